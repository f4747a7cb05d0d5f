using Hull.Core;
using Hull.Images.Content;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>Reads images out of the store: from what a reference points to down to the configuration of one platform.</summary>
internal sealed class ImageCatalog(ContentStore content)
{
    /// <summary>An index may hold indexes, but nobody nests them deeper than this; it also ends what a hostile index would never.</summary>
    public const int MaxNesting = 4;

    /// <summary>The image for the platform; <see cref="ErrorKind.NotFound"/> where the store has none for it.</summary>
    public Image Open(Descriptor target, Platform platform)
    {
        var manifest = Select(target, platform)
            ?? throw HullException.NotFound($"image {target.Digest.Short} is not in the store for {platform}: pull it for this platform");
        return ToImage(target, manifest, Names());
    }

    /// <summary>
    /// Every entry of the index as the image a user would get; for an index without this machine's platform, one it has.
    /// </summary>
    public IEnumerable<Image> Images(Platform? platform = null)
    {
        var names = Names();
        var seen = new HashSet<Digest>();
        foreach (var (_, target) in content.References.List())
        {
            if (!seen.Add(target.Digest) || TryOpen(target, platform ?? Platform.Host, names) is not { } image) continue;
            yield return image;
        }
    }

    /// <summary>The manifests and indexes that are here, from the target down.</summary>
    public IEnumerable<ImageDocument> Documents(Descriptor target, int depth = 0)
    {
        if (!content.Contains(target.Digest) || (!MediaTypes.IsIndex(target.MediaType) && !MediaTypes.IsManifest(target.MediaType))) yield break;
        var document = content.ReadDocument(target);
        yield return document;
        if (document.Index is null || depth >= MaxNesting) yield break;
        foreach (var child in document.Index.Manifests)
        {
            foreach (var below in Documents(child, depth + 1)) yield return below;
        }
    }

    public IReadOnlyList<Platform> Platforms(Descriptor target)
    {
        var platforms = new List<Platform>();
        foreach (var document in Documents(target))
        {
            if (document.Manifest is { IsImage: true } manifest && content.Contains(manifest.Config.Digest))
                platforms.Add(content.ReadConfig(manifest.Config).Platform);
        }

        return [.. platforms.Where(platform => platform.Os != "unknown").Distinct()];
    }

    /// <summary>Throws <see cref="ErrorKind.NotFound"/> unless all that the platform's image consists of is here.</summary>
    public void CheckComplete(Descriptor target, Platform platform)
    {
        var manifest = Select(target, platform) ?? throw HullException.NotFound($"image {target.Digest.Short} is not in the store for {platform}");
        foreach (var child in manifest.Children)
        {
            if (!content.Contains(child.Digest)) throw HullException.NotFound($"image {target.Digest.Short} is incomplete: {child.Digest} is missing, pull it again");
        }
    }

    /// <summary>The child of an index that serves the platform; attestations and other artifacts are no candidates.</summary>
    public static Descriptor? Choose(ImageIndex index, Platform platform)
    {
        var candidates = index.Manifests.Where(child => !child.IsAttestation
            && (MediaTypes.IsManifest(child.MediaType) || MediaTypes.IsIndex(child.MediaType))).ToList();
        var exact = candidates.Find(child => child.Platform?.ToPlatform() is { } offered && platform.Accepts(offered));
        // An index of one entry without a platform is how some tools wrap a single image.
        return exact ?? (candidates is [{ Platform: null }] ? candidates[0] : candidates.Find(child => child.Platform is null && MediaTypes.IsIndex(child.MediaType)));
    }

    private Image? TryOpen(Descriptor target, Platform platform, ILookup<Digest, ImageReference> names)
    {
        try
        {
            var manifest = Select(target, platform)
                ?? Documents(target).FirstOrDefault(document => document.Manifest is { IsImage: true } image && content.Contains(image.Config.Digest));
            return manifest is null ? null : ToImage(target, manifest, names);
        }
        catch (HullException error) when (error.Kind is ErrorKind.NotFound or ErrorKind.DataCorrupted or ErrorKind.Unsupported)
        {
            // One broken image must not hide the others; verify says what is wrong with it.
            return null;
        }
    }

    private ImageDocument? Select(Descriptor target, Platform platform, int depth = 0)
    {
        if (depth > MaxNesting || !content.Contains(target.Digest)) return null;
        if (!MediaTypes.IsIndex(target.MediaType) && !MediaTypes.IsManifest(target.MediaType)) return null;
        var document = content.ReadDocument(target);
        if (document.Manifest is { } manifest) return manifest.IsImage && content.Contains(manifest.Config.Digest) ? document : null;
        return Choose(document.Index!, platform) is { } child ? Select(child, platform, depth + 1) : null;
    }

    private Image ToImage(Descriptor target, ImageDocument manifest, ILookup<Digest, ImageReference> names)
    {
        var config = content.ReadConfig(manifest.Manifest!.Config);
        return new Image(manifest.Manifest.Config.Digest, target, manifest, config, [.. names[target.Digest]]);
    }

    private ILookup<Digest, ImageReference> Names() => content.References.List()
        .Where(stored => stored.Name is not null && ImageReference.TryParse(stored.Name, out _))
        .OrderBy(stored => stored.Name, StringComparer.Ordinal)
        .ToLookup(stored => stored.Target.Digest, stored => ImageReference.Parse(stored.Name!));
}
