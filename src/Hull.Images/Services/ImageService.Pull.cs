using Hull.Core;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <content>Fetching and sending.</content>
public sealed partial class ImageService
{
    public async Task<Image> PullAsync(ImageReference reference, IFetcher fetcher, PullOptions? options = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= PullOptions.Default;
        options = options with { Limits = options.Limits ?? _limits };
        reference = reference.WithDefaultTag();
        try
        {
            // What was pulled a while ago the kernel has written by now: this only makes sure of it.
            Flush(TimeSpan.FromMinutes(2));
            using var lease = Content.Leases.Begin();
            var pull = new ImagePull(Content, Snapshotter, lease, reference, fetcher, options, progress);
            var target = await pull.RunAsync(cancellation).ConfigureAwait(false);
            Content.References.Set(options.Anonymous ? null : reference.Canonical, target);
            return _catalog.Open(target, options.Platform ?? Platform.Host);
        }
        catch (HullException error) when (error.Kind is ErrorKind.DataCorrupted or ErrorKind.ResourceExhausted or ErrorKind.Unsupported)
        {
            // Nothing of an image that is wrong in itself is worth resuming.
            CollectGarbage(CancellationToken.None);
            throw;
        }
    }

    public void Flush(TimeSpan age = default) => Content.Unflushed.Flush(age, Snapshotter);

    public async Task<ChainId?> EnsureUnpackedAsync(Image image, ISnapshotter? snapshotter = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        snapshotter ??= Snapshotter;
        if (image.Chain is { } chain && snapshotter.Find(chain.ToString()) is not null && image.DiffIds.All(snapshotter.HasLayer)) return chain;
        using var lease = Content.Leases.Begin();
        lease.Pin(image.Target.Digest);
        lease.Pin(image.Manifest.Digest);
        var unpack = new ImageUnpack(snapshotter, _limits, progress);
        var layers = image.Manifest.Manifest!.Layers;
        ImageUnpack.CheckLayers(image.Manifest.Manifest, image.Config);
        await Parallel.ForEachAsync(layers.Zip(image.DiffIds).DistinctBy(pair => pair.Second),
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation },
            async (pair, token) => await unpack.LayerAsync(pair.Second, pair.First, () => Content.OpenRead(pair.First.Digest), token).ConfigureAwait(false))
            .ConfigureAwait(false);
        return unpack.Commit(image.DiffIds);
    }

    public async Task<Descriptor> PushAsync(string name, ImageReference target, IPusher pusher, Platform? platform = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        var image = Resolve(name, platform);
        using var lease = Content.Leases.Begin();
        lease.Pin(image.Target.Digest);
        lease.Pin(image.Manifest.Digest);
        // The whole index only where all of it is here; a registry refuses one whose manifests it does not have.
        var whole = platform is null && _catalog.Documents(image.Target).All(document => document.Children.All(child => Content.Contains(child.Digest)));
        var root = whole ? image.Target : image.Manifest.Descriptor;
        var sources = image.References.Where(other => other.Domain == target.Domain && other.Path != target.Path).ToList();
        await new ImagePush(Content, target.WithDefaultTag(), pusher, sources, progress).RunAsync(root, cancellation).ConfigureAwait(false);
        return root;
    }
}
