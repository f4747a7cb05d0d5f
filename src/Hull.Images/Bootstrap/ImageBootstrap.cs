using System.Globalization;
using System.IO.Compression;
using Hull.Core;
using Hull.Images.Content;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Images.Bootstrap;

/// <summary>
/// Makes images without a registry, from the signed packages of the distribution this machine runs. The same packages
/// give the same digests; which ones they were stands in the manifest's annotations.
/// </summary>
/// <param name="store">Where the images go.</param>
/// <param name="work">A directory for packages that are kept, and for what is in the making.</param>
public sealed class ImageBootstrap(ContentStore store, string work, Action<string>? progress = null)
{
    /// <summary>Annotation with <c>name=version</c> of all packages, parted by blanks.</summary>
    public const string PackagesAnnotation = "io.hull.bootstrap.packages";

    private readonly Action<string> _progress = progress ?? (_ => { });

    /// <summary>
    /// Builds the image <paramref name="name"/> and stores it under that name. A base image that an application needs is
    /// taken from the store where it was bootstrapped before, and made where not.
    /// </summary>
    public async Task<Descriptor> BuildAsync(string name, CancellationToken cancellation = default)
    {
        var recipe = BootstrapRecipe.Find(name);
        Directory.CreateDirectory(work);
        using var alone = FileLock.Acquire(Path.Combine(work, "lock"));
        using var lease = store.Leases.Begin();
        var descriptor = recipe.IsBusybox ? await BusyboxAsync(recipe, lease, cancellation).ConfigureAwait(false)
            : recipe.Base is null ? await BaseAsync(recipe, lease, cancellation).ConfigureAwait(false)
            : await ApplicationAsync(recipe, lease, cancellation).ConfigureAwait(false);
        store.References.Set(recipe.Reference.Canonical, descriptor);
        return descriptor;
    }

    private async Task<Descriptor> BusyboxAsync(BootstrapRecipe recipe, Lease lease, CancellationToken cancellation)
    {
        var (layer, input, created) = await BusyboxRoot.BuildAsync(store, lease, work, cancellation).ConfigureAwait(false);
        return Put(recipe, null, layer, [input], created, lease);
    }

    private async Task<Descriptor> BaseAsync(BootstrapRecipe recipe, Lease lease, CancellationToken cancellation)
    {
        var (packages, epoch, tar) = await InstallAsync(recipe, null, cancellation).ConfigureAwait(false);
        try
        {
            _progress("writing the layer");
            await using var file = File.OpenRead(tar);
            var layer = LayerStaging.Write(store, lease, output => file.CopyTo(output, 1 << 20));
            return Put(recipe, null, layer, packages, epoch, lease);
        }
        finally
        {
            File.Delete(tar);
        }
    }

    private async Task<Descriptor> ApplicationAsync(BootstrapRecipe recipe, Lease lease, CancellationToken cancellation)
    {
        var below = FindBase(recipe.Base!, lease);
        if (below is null)
        {
            var made = await BaseAsync(recipe.Base!, lease, cancellation).ConfigureAwait(false);
            store.References.Set(recipe.Base!.Reference.Canonical, made);
            below = store.ReadDocument(made).Manifest!;
        }

        var lower = TemporaryTar();
        try
        {
            await using var scratch = new FileStream(lower, FileMode.Create, FileAccess.ReadWrite);
            await using (var gzip = new GZipStream(store.OpenRead(below.Layers[0].Digest), CompressionMode.Decompress))
                await gzip.CopyToAsync(scratch, cancellation).ConfigureAwait(false);
            await scratch.FlushAsync(cancellation).ConfigureAwait(false);
            var (packages, epoch, tar) = await InstallAsync(recipe, lower, cancellation).ConfigureAwait(false);
            try
            {
                _progress("writing the layer");
                await using var upper = File.OpenRead(tar);
                scratch.Position = 0;
                var layer = LayerStaging.Write(store, lease, output => LayerDifference.Write(scratch, upper, output));
                return Put(recipe, below, layer, packages, epoch, lease);
            }
            finally
            {
                File.Delete(tar);
            }
        }
        finally
        {
            File.Delete(lower);
        }
    }

    private string TemporaryTar() => Path.Combine(work, "root-" + RandomId.Short(RandomId.New()) + ".tar");

    private async Task<(IReadOnlyList<string> Packages, DateTimeOffset Epoch, string Tar)> InstallAsync(
        BootstrapRecipe recipe, string? below, CancellationToken cancellation)
    {
        var suite = recipe.Suite ?? recipe.Base?.Suite ?? HostRelease.Codename();
        var epoch = await DebianRoot.EpochAsync(suite, work, cancellation).ConfigureAwait(false);
        var tar = TemporaryTar();
        try
        {
            var packages = await new DebianRoot(work, _progress).BuildAsync(suite, recipe, below, epoch, tar, cancellation).ConfigureAwait(false);
            return (packages, epoch, tar);
        }
        catch
        {
            File.Delete(tar);
            throw;
        }
    }

    /// <summary>The base's manifest, if it is here and was made by this program: one pulled from a registry has other bytes.</summary>
    private ImageManifest? FindBase(BootstrapRecipe recipe, Lease lease)
    {
        if (store.References.Find(recipe.Reference.Canonical) is not { } descriptor || !MediaTypes.IsManifest(descriptor.MediaType)) return null;
        lease.Pin(descriptor.Digest);
        if (!store.Contains(descriptor.Digest)) return null;
        var manifest = store.ReadDocument(descriptor).Manifest!;
        var usable = manifest.Annotations?.ContainsKey(PackagesAnnotation) == true && manifest.Layers.Count == 1
            && store.Contains(manifest.Config.Digest) && store.Contains(manifest.Layers[0].Digest);
        return usable ? manifest : null;
    }

    private Descriptor Put(BootstrapRecipe recipe, ImageManifest? below, StagedLayer layer, IReadOnlyList<string> packages, DateTimeOffset created, Lease lease)
    {
        var parent = below is null ? null : store.ReadConfig(below.Config);
        var config = new ImageConfig
        {
            Created = created,
            Architecture = Platform.Host.Architecture,
            Os = Platform.Host.Os,
            Config = recipe.Config,
            RootFs = new RootFileSystem { DiffIds = [.. parent?.RootFs.DiffIds ?? [], layer.DiffId] },
            History = [.. parent?.History ?? [], new HistoryEntry { Created = created, CreatedBy = "hull image bootstrap " + recipe.Reference.Familiar }],
        };
        var manifest = new ImageManifest
        {
            Config = store.Put(ImageJson.Serialize(config), MediaTypes.OciConfig, lease),
            Layers = [.. below?.Layers ?? [], layer.Descriptor],
            Annotations = new SortedDictionary<string, string>(StringComparer.Ordinal)
            {
                [AnnotationKeys.Created] = created.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                [PackagesAnnotation] = string.Join(' ', packages),
            },
        };
        return store.Put(ImageJson.Serialize(manifest), MediaTypes.OciManifest, lease);
    }
}
