using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>
/// One pull. Manifests and configuration come first, since they say what the layers are; then the layers, several at a time,
/// each unpacked from the store's growing file while it is still being written.
/// </summary>
internal sealed class ImagePull(ContentStore content, ISnapshotter snapshotter, Lease lease, ImageReference reference,
    IFetcher fetcher, PullOptions options, IProgress<TransferProgress>? progress)
{
    private const int BufferSize = 128 << 10;
    private const long ReportInterval = 1 << 20;

    private readonly ImageUnpack _unpack = new(snapshotter, options.Limits ?? UnpackLimits.Default, progress, flush: false);
    private readonly SemaphoreSlim _downloads = new(options.Parallelism);

    private Platform Platform => options.Platform ?? Platform.Host;

    /// <summary>Fetches all; answers what the reference is to point to.</summary>
    public async Task<Descriptor> RunAsync(CancellationToken cancellation)
    {
        Report(reference.Familiar, TransferPhase.Resolving, 0, 0);
        var resolved = await fetcher.ResolveAsync(reference, cancellation).ConfigureAwait(false);
        if (reference.Digest is { } wanted && resolved.Descriptor.Digest != wanted) throw ContentHash.Mismatch(wanted, resolved.Descriptor.Digest);
        var document = resolved.Document ?? await FetchDocumentAsync(resolved.Descriptor, cancellation).ConfigureAwait(false);
        if (document.Digest != resolved.Descriptor.Digest) throw ContentHash.Mismatch(resolved.Descriptor.Digest, document.Digest);
        content.Put(document.Bytes, document.MediaType, lease);
        var manifests = new List<ImageDocument>();
        await CollectManifestsAsync(document, manifests, 0, cancellation).ConfigureAwait(false);
        foreach (var manifest in manifests) await FetchImageAsync(manifest, cancellation).ConfigureAwait(false);
        Report(reference.Familiar, TransferPhase.Done, 0, 0, document.Digest.ToString());
        return document.Descriptor;
    }

    private async Task CollectManifestsAsync(ImageDocument document, List<ImageDocument> manifests, int depth, CancellationToken cancellation)
    {
        if (document.Index is not { } index)
        {
            manifests.Add(document);
            return;
        }

        if (depth >= ImageCatalog.MaxNesting) throw HullException.Corrupted($"{reference.Familiar} is an index nested deeper than {ImageCatalog.MaxNesting} levels");
        var children = options.AllPlatforms
            ? index.Manifests
            : [ImageCatalog.Choose(index, Platform) ?? throw HullException.NotFound($"{reference.Familiar} has no image for {Platform}: it has {Offered(index)}")];
        foreach (var child in children)
        {
            if (!MediaTypes.IsIndex(child.MediaType) && !MediaTypes.IsManifest(child.MediaType)) continue;
            var below = await FetchDocumentAsync(child, cancellation).ConfigureAwait(false);
            content.Put(below.Bytes, below.MediaType, lease);
            await CollectManifestsAsync(below, manifests, depth + 1, cancellation).ConfigureAwait(false);
        }
    }

    private static string Offered(ImageIndex index)
    {
        var platforms = index.Manifests.Where(child => !child.IsAttestation && child.Platform is not null).Select(child => child.Platform!.ToPlatform().ToString()).Distinct().ToList();
        return platforms.Count == 0 ? "none" : string.Join(", ", platforms);
    }

    private async Task FetchImageAsync(ImageDocument document, CancellationToken cancellation)
    {
        var manifest = document.Manifest!;
        await FetchBlobAsync(manifest.Config, null, cancellation).ConfigureAwait(false);
        if (!manifest.IsImage)
        {
            // An artifact: its blobs are kept as they are.
            await Task.WhenAll(manifest.Layers.DistinctBy(layer => layer.Digest).Select(layer => FetchBlobAsync(layer, null, cancellation))).ConfigureAwait(false);
            return;
        }

        var config = content.ReadConfig(manifest.Config);
        ImageUnpack.CheckLayers(manifest, config);
        var unpacks = options.Unpack && (!options.AllPlatforms || Platform.Accepts(config.Platform));
        content.Unflushed.Mark([.. manifest.Layers.Zip(config.RootFs.DiffIds).Where(pair => !content.Contains(pair.First.Digest) || (unpacks && !snapshotter.HasLayer(pair.Second)))
            .Select(pair => new UnflushedItem(pair.First.Digest, unpacks ? pair.Second : null))]);
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var layers = manifest.Layers.Zip(config.RootFs.DiffIds).DistinctBy(pair => pair.First.Digest)
            .Select(pair => FetchLayerAsync(pair.First, unpacks ? pair.Second : null, failed)).ToList();
        await FirstFailureAsync(layers).ConfigureAwait(false);
        if (unpacks) _unpack.Commit(config.RootFs.DiffIds);
    }

    /// <summary>Waits for all, then throws what failed first, not the cancellations that followed from it.</summary>
    private static async Task FirstFailureAsync(List<Task> tasks)
    {
        try
        {
            await Task.WhenAll(tasks).ConfigureAwait(false);
        }
        catch
        {
            if (tasks.Where(task => task.Exception is not null).SelectMany(task => task.Exception!.InnerExceptions).FirstOrDefault(error => error is not OperationCanceledException) is { } cause)
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(cause);
            throw;
        }
    }

    private async Task FetchLayerAsync(Descriptor layer, Digest? diffId, CancellationTokenSource failed)
    {
        try
        {
            await _downloads.WaitAsync(failed.Token).ConfigureAwait(false);
            try
            {
                await FetchBlobAsync(layer, diffId, failed.Token, isLayer: true).ConfigureAwait(false);
            }
            finally
            {
                _downloads.Release();
            }

            if (diffId is { } id && !snapshotter.HasLayer(id))
                await _unpack.LayerAsync(id, layer, () => content.OpenRead(layer.Digest), failed.Token).ConfigureAwait(false);
            Report(layer.Digest.Short, TransferPhase.Done, layer.Size, layer.Size);
        }
        catch
        {
            await failed.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task<ImageDocument> FetchDocumentAsync(Descriptor descriptor, CancellationToken cancellation)
    {
        if (content.Contains(descriptor.Digest)) return content.ReadDocument(descriptor);
        if (descriptor.Size is <= 0 or > ImageDocument.MaxSize)
            throw HullException.Corrupted($"manifest {descriptor.Digest.Short} is announced with {descriptor.Size} bytes, at most {ImageDocument.MaxSize} are allowed");
        var fetched = await fetcher.FetchAsync(reference, descriptor, 0, cancellation).ConfigureAwait(false);
        await using (fetched.ConfigureAwait(false))
        {
            var bytes = new byte[descriptor.Size + 1];
            var count = await fetched.Stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
            if (count != descriptor.Size) throw HullException.Corrupted($"manifest {descriptor.Digest.Short} does not have the {descriptor.Size} bytes it was announced with");
            Array.Resize(ref bytes, count);
            ContentHash.Check(bytes, descriptor.Digest);
            return ImageDocument.Parse(bytes, descriptor.MediaType);
        }
    }

    /// <summary>Brings a blob into the store, and unpacks it meanwhile if it is a layer (whose bytes need not be on the disk yet).</summary>
    private async Task FetchBlobAsync(Descriptor blob, Digest? diffId, CancellationToken cancellation, bool isLayer = false)
    {
        for (var attempt = 1; ; attempt++)
        {
            Report(blob.Digest.Short, TransferPhase.Waiting, 0, blob.Size);
            using var writer = await content.BeginIngestAsync(blob, lease, cancellation).ConfigureAwait(false);
            if (writer is null)
            {
                Report(blob.Digest.Short, TransferPhase.Exists, blob.Size, blob.Size);
                return;
            }

            try
            {
                await DownloadAndUnpackAsync(writer, blob, diffId, isLayer, cancellation).ConfigureAwait(false);
                return;
            }
            catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted && writer.Resumed > 0 && attempt == 1)
            {
                // What was here from an earlier attempt may be what is wrong: once more, from the start.
                writer.Abandon();
            }
            catch (HullException error) when (error.Kind is ErrorKind.DataCorrupted or ErrorKind.ResourceExhausted)
            {
                writer.Abandon();
                throw;
            }
        }
    }

    private async Task DownloadAndUnpackAsync(IngestWriter writer, Descriptor blob, Digest? diffId, bool isLayer, CancellationToken cancellation)
    {
        if (diffId is not { } id || snapshotter.HasLayer(id))
        {
            await DownloadAsync(writer, blob, cancellation).ConfigureAwait(false);
            writer.Commit(flush: !isLayer);
            return;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var unpacking = _unpack.LayerAsync(id, blob, writer.Progress.OpenRead, stop.Token);
        try
        {
            await DownloadAsync(writer, blob, stop.Token, unpacking).ConfigureAwait(false);
            writer.Commit(flush: false);
        }
        catch (Exception error)
        {
            writer.Progress.Fail();
            await stop.CancelAsync().ConfigureAwait(false);
            try
            {
                await unpacking.ConfigureAwait(false);
            }
            catch (HullException cause) when (cause.Kind is ErrorKind.DataCorrupted or ErrorKind.ResourceExhausted && error is OperationCanceledException or HullException { Kind: ErrorKind.Cancelled })
            {
                throw;
            }
            catch (Exception)
            {
                // It failed because the download did.
            }

            throw;
        }

        await unpacking.ConfigureAwait(false);
    }

    private async Task DownloadAsync(IngestWriter writer, Descriptor blob, CancellationToken cancellation, Task? unpacking = null)
    {
        var buffer = new byte[BufferSize];
        for (var attempt = 1; writer.Offset < blob.Size; attempt++)
        {
            try
            {
                await DownloadOnceAsync(writer, blob, buffer, unpacking, cancellation).ConfigureAwait(false);
                if (writer.Offset >= blob.Size) return;
                throw new HullException(ErrorKind.Unavailable, $"{blob.Digest.Short} broke off after {writer.Offset} of {blob.Size} bytes");
            }
            catch (Exception error) when (attempt < options.Attempts && IsTransient(error))
            {
                Report(blob.Digest.Short, TransferPhase.Retrying, writer.Offset, blob.Size, error.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(100 << Math.Min(attempt, 6)), cancellation).ConfigureAwait(false);
            }
        }
    }

    private async Task DownloadOnceAsync(IngestWriter writer, Descriptor blob, byte[] buffer, Task? unpacking, CancellationToken cancellation)
    {
        var fetched = await fetcher.FetchAsync(reference, blob, writer.Offset, cancellation).ConfigureAwait(false);
        await using (fetched.ConfigureAwait(false))
        {
            var skip = writer.Offset - fetched.Offset;
            var reported = writer.Offset;
            int count;
            while ((count = await fetched.Stream.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                // An unpacker that gave up has seen that the layer is bad: the rest is not worth fetching.
                if (unpacking is { IsFaulted: true }) await unpacking.ConfigureAwait(false);
                var used = (int)Math.Min(skip, count);
                skip -= used;
                writer.Write(buffer.AsSpan(used, count - used));
                if (writer.Offset - reported < ReportInterval && writer.Offset < blob.Size) continue;
                reported = writer.Offset;
                Report(blob.Digest.Short, TransferPhase.Downloading, writer.Offset, blob.Size);
            }
        }
    }

    private static bool IsTransient(Exception error) => error is IOException or HttpRequestException
        or HullException { Kind: ErrorKind.Unavailable or ErrorKind.Timeout };

    private void Report(string id, TransferPhase phase, long current, long total, string? detail = null) =>
        progress?.Report(new TransferProgress(id, phase, current, total, detail));
}
