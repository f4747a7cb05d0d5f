using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>Unpacks an image's layers, a few at a time, whether they are stored or still arriving.</summary>
/// <param name="flush">Wait until the disk has them.</param>
internal sealed class ImageUnpack(ISnapshotter snapshotter, UnpackLimits limits, IProgress<TransferProgress>? progress, bool flush = true)
{
    private int _running;

    /// <summary>The configuration must speak of as many layers as the manifest, and each must be one.</summary>
    public static void CheckLayers(ImageManifest manifest, ImageConfig config)
    {
        if (config.RootFs.DiffIds.Count != manifest.Layers.Count)
            throw HullException.Corrupted($"the image's configuration has {config.RootFs.DiffIds.Count} layers, its manifest {manifest.Layers.Count}");
        if (manifest.Layers.FirstOrDefault(layer => !MediaTypes.IsLayer(layer.MediaType)) is { } odd)
            throw HullException.Unsupported($"layer {odd.Digest.Short} has the media type {odd.MediaType}, which is no layer of a root file system");
    }

    /// <summary>Unpacks one layer from what <paramref name="open"/> opens, its packed bytes.</summary>
    public async Task LayerAsync(Digest diffId, Descriptor layer, Func<Stream> open, CancellationToken cancellation)
    {
        if (snapshotter.HasLayer(diffId)) return;
        progress?.Report(new TransferProgress(layer.Digest.Short, TransferPhase.Unpacking, 0, layer.Size));
        // A layer that is alone on the machine is unpacked by two threads; more layers than that keep all cores busy anyway.
        var alone = Interlocked.Increment(ref _running) < Environment.ProcessorCount;
        try
        {
            await snapshotter.WriteLayerAsync(diffId, _ =>
            {
                var tar = LayerStream.Open(open(), limits);
                return ValueTask.FromResult<Stream>(alone && layer.Size > 1 << 20 ? new ReadAheadStream(tar) : tar);
            }, limits, flush, cancellation).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    /// <summary>Makes the committed snapshots of all layers; answers the topmost one.</summary>
    public ChainId? Commit(IReadOnlyList<Digest> diffIds)
    {
        ChainId? chain = null;
        foreach (var diffId in diffIds)
        {
            var next = ChainId.Of(chain, diffId);
            snapshotter.Commit(next, chain, diffId);
            chain = next;
        }

        return chain;
    }
}
