using Hull.Core;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Linux.Archives;
using Hull.Oci.Image;

namespace Hull.Images;

/// <content>Making images of trees, and trees of images.</content>
public sealed partial class ImageService
{
    public async Task<Image> ImportAsync(Stream input, ImageReference? reference, ContainerDefaults? config = null, string? comment = null,
        Platform? platform = null, CancellationToken cancellation = default)
    {
        platform ??= Platform.Host;
        using var lease = Content.Leases.Begin();
        var layer = await LayerPacker.PackAsync(Content, lease, output =>
        {
            using var tar = LayerStream.Open(input, _limits);
            tar.CopyTo(output, 1 << 20);
        }, cancellation).ConfigureAwait(false);
        var created = _time.GetUtcNow();
        return await StoreAsync(lease, new ImageConfig
        {
            Created = created,
            Os = platform.Os,
            Architecture = platform.Architecture,
            Variant = platform.Variant,
            Config = config ?? new ContainerDefaults(),
            Comment = comment,
            RootFs = new RootFileSystem { DiffIds = [layer.DiffId] },
            History = [new HistoryEntry { Created = created, Comment = comment ?? "imported" }],
        }, [layer.Descriptor], reference, cancellation).ConfigureAwait(false);
    }

    public Task ExportAsync(string snapshotKey, Stream output, CancellationToken cancellation = default) => Task.Run(() =>
    {
        using var tree = Snapshotter.OpenTree(snapshotKey);
        var archive = new TreeArchiver(tree, output);
        TreeWalk.Walk(tree, (path, status) =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (path.Length > 0) archive.Add(path, status);
        });
        archive.Finish();
    }, cancellation);

    public async Task<Image> CommitAsync(string snapshotKey, CommitOptions options, CancellationToken cancellation = default)
    {
        using var lease = Content.Leases.Begin();
        if (options.Base is { } parent)
        {
            lease.Pin(parent.Target.Digest);
            lease.Pin(parent.Manifest.Digest);
        }

        var layer = await LayerPacker.PackAsync(Content, lease,
            output => Snapshotter.DiffAsync(snapshotKey, output, cancellation).GetAwaiter().GetResult(), cancellation).ConfigureAwait(false);
        var created = _time.GetUtcNow();
        var below = options.Base?.Config ?? new ImageConfig { Os = Platform.Host.Os, Architecture = Platform.Host.Architecture };
        var config = below with
        {
            Created = created,
            Author = options.Author ?? below.Author,
            Comment = options.Comment,
            Container = options.Container,
            ContainerConfig = null,
            Config = options.Config ?? below.Config,
            RootFs = new RootFileSystem { DiffIds = [.. below.RootFs.DiffIds, layer.DiffId] },
            History = [.. below.History ?? [], new HistoryEntry { Created = created, CreatedBy = options.CreatedBy, Author = options.Author, Comment = options.Comment }],
        };
        return await StoreAsync(lease, config, [.. options.Base?.Manifest.Manifest!.Layers ?? [], layer.Descriptor], options.Reference, cancellation)
            .ConfigureAwait(false);
    }

    /// <summary>Stores configuration and manifest, unpacks what is not yet, and only then gives the image its name.</summary>
    private async Task<Image> StoreAsync(Lease lease, ImageConfig config, IReadOnlyList<Descriptor> layers, ImageReference? reference,
        CancellationToken cancellation)
    {
        var manifest = new ImageManifest
        {
            Config = Content.Put(ImageJson.Serialize(config), MediaTypes.OciConfig, lease),
            Layers = layers,
        };
        var target = Content.Put(ImageJson.Serialize(manifest), MediaTypes.OciManifest, lease);
        return await AdoptAsync(target, config.Platform, reference, null, cancellation).ConfigureAwait(false);
    }

    /// <summary>Makes stored content an image: checks it by unpacking, then sets the reference (or keeps it without a name).</summary>
    private async Task<Image> AdoptAsync(Descriptor target, Platform platform, ImageReference? reference,
        IProgress<TransferProgress>? progress, CancellationToken cancellation)
    {
        await EnsureUnpackedAsync(_catalog.Open(target, platform), null, progress, cancellation).ConfigureAwait(false);
        Content.References.Set(reference?.WithDefaultTag().Canonical, target);
        return _catalog.Open(target, platform);
    }
}
