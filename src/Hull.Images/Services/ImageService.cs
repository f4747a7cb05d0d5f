using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <inheritdoc cref="IImageService"/>
public sealed partial class ImageService : IImageService
{
    private readonly TimeProvider _time;
    private readonly UnpackLimits _limits;
    private readonly ImageCatalog _catalog;

    /// <param name="limits">What layers may cost, wherever they come from.</param>
    public ImageService(ContentStore content, ISnapshotter snapshotter, TimeProvider? time = null, UnpackLimits? limits = null)
    {
        (Content, Snapshotter, _time, _limits) = (content, snapshotter, time ?? TimeProvider.System, limits ?? UnpackLimits.Default);
        _catalog = new ImageCatalog(content);
        content.Unflushed.Recover(snapshotter);
    }

    public ContentStore Content { get; }

    public ISnapshotter Snapshotter { get; }

    /// <summary>
    /// Opens or makes the store below <paramref name="root"/>: content in <c>content/</c>, snapshots in
    /// <c>snapshots/NAME/</c>.
    /// </summary>
    /// <param name="snapshotter"><c>erofs</c>, <c>overlay</c> or <c>copy</c>; null: the best this machine can do.</param>
    public static ImageService Open(string root, string? snapshotter = null, TimeProvider? time = null, UnpackLimits? limits = null) =>
        new(ContentStore.Open(Path.Combine(root, "content"), time), Snapshotters.Open(Path.Combine(root, "snapshots"), snapshotter, time), time, limits);

    public Image Resolve(string name, Platform? platform = null) => Find(name, platform)
        ?? throw HullException.NotFound($"no such image: {name}");

    public Image? Find(string name, Platform? platform = null)
    {
        platform ??= Platform.Host;
        if (FindTarget(name) is { } target) return _catalog.Open(target, platform);
        return FindById(name, platform);
    }

    public IReadOnlyList<ImageSummary> List()
    {
        var sizes = Snapshotter.Layers().ToDictionary(layer => layer.DiffId, layer => layer.Size);
        var images = new List<ImageSummary>();
        foreach (var group in _catalog.Images().GroupBy(image => (image.Id, image.Target.Digest)))
        {
            var image = group.First();
            var size = image.DiffIds.All(sizes.ContainsKey) ? image.DiffIds.Distinct().Sum(diffId => sizes[diffId]) : image.Size;
            images.Add(new ImageSummary(image.Id, image.Target, image.References, image.Config.Created, size,
                image.Config.Config?.Labels ?? new Dictionary<string, string>(), _catalog.Platforms(image.Target), image.References.Count == 0));
        }

        return [.. images.OrderByDescending(image => image.Created ?? DateTimeOffset.MinValue).ThenBy(image => image.Id.Hex, StringComparer.Ordinal)];
    }

    public IReadOnlyList<ImageHistory> History(Image image)
    {
        var sizes = Snapshotter.Layers().ToDictionary(layer => layer.DiffId, layer => layer.Size);
        var layers = new Queue<(Descriptor Layer, Digest DiffId)>(image.Manifest.Manifest!.Layers.Zip(image.DiffIds));
        var history = new List<ImageHistory>();
        foreach (var entry in image.Config.History ?? [])
        {
            long size = 0;
            if (entry.EmptyLayer is not true && layers.TryDequeue(out var layer)) size = sizes.GetValueOrDefault(layer.DiffId, layer.Layer.Size);
            history.Add(new ImageHistory(null, entry.Created, entry.CreatedBy ?? "", size, entry.Comment ?? "", []));
        }

        foreach (var (layer, diffId) in layers) history.Add(new ImageHistory(null, null, "", sizes.GetValueOrDefault(diffId, layer.Size), "", []));
        history.Reverse();
        if (history.Count > 0) history[0] = history[0] with { Id = image.Id, References = image.References };
        return history;
    }

    public void Tag(Image image, ImageReference reference)
    {
        reference = reference.WithDefaultTag();
        if (reference.Digest is not null) throw HullException.Invalid($"{reference.Familiar} names a digest: give a name with a tag");
        using var lease = Content.Leases.Begin();
        lease.Pin(image.Target.Digest);
        _catalog.CheckComplete(image.Target, image.Platform);
        Content.References.Set(reference.Canonical, image.Target);
    }

    /// <summary>The target of a reference: of the very name, or with a digest of any name of that repository.</summary>
    private Descriptor? FindTarget(string name)
    {
        if (!ImageReference.TryParse(name, out var reference)) return null;
        reference = reference.WithDefaultTag();
        if (Content.References.Find(reference.Canonical) is { } target) return target;
        if (reference.Digest is not { } digest) return null;
        foreach (var (stored, found) in Content.References.List())
        {
            if (stored is null || !ImageReference.TryParse(stored, out var other) || other.Repository != reference.Repository) continue;
            if (found.Digest == digest) return found;
            if (_catalog.Documents(found).FirstOrDefault(document => document.Digest == digest) is { } document) return document.Descriptor;
        }

        return null;
    }

    private Image? FindById(string name, Platform platform)
    {
        var text = name.StartsWith("sha256:", StringComparison.Ordinal) ? name["sha256:".Length..] : name;
        if (text.Length is 0 or > 64 || !text.All(char.IsAsciiHexDigitLower)) return null;
        Image? found = null;
        foreach (var image in _catalog.Images(platform))
        {
            if (!image.Id.Hex.StartsWith(text, StringComparison.Ordinal) && !image.Target.Digest.Hex.StartsWith(text, StringComparison.Ordinal)
                && !image.Manifest.Digest.Hex.StartsWith(text, StringComparison.Ordinal)) continue;
            if (found is not null && found.Id != image.Id) throw HullException.Invalid($"image id {name} is ambiguous: give more digits");
            found ??= image;
        }

        return found;
    }
}
