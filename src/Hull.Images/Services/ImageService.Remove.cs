using Hull.Core;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Oci.Image;

namespace Hull.Images;

/// <content>Taking images away.</content>
public sealed partial class ImageService
{
    public IReadOnlyList<RemovedImage> Remove(string name, bool force = false)
    {
        var image = Resolve(name, null);
        var byName = FindTarget(name) is not null && ImageReference.TryParse(name, out var reference)
            ? Content.References.Find(reference.WithDefaultTag().Canonical) is null ? null : reference.WithDefaultTag()
            : null;
        var removed = new List<RemovedImage>();
        if (byName is not null && LeavesNames(image, byName, out var going))
        {
            foreach (var one in going) Untag(one, removed);
            return removed;
        }

        if (byName is null && !force && image.References.Select(one => one.Repository).Distinct().Count() > 1)
            throw HullException.Conflict($"image {image.Id.Short} has names in several repositories: remove them one by one, or use force");
        if (!force && UserOf(image) is { } user) throw HullException.Conflict($"image {image.Id.Short} is in use by {user}");
        foreach (var one in Content.References.RemoveTarget(image.Target.Digest)) removed.Add(new RemovedImage(ImageReference.Parse(one), null));
        if (!_catalog.Images().Any(other => other.Id == image.Id)) removed.Add(new RemovedImage(null, image.Id));
        CollectGarbage();
        return removed;
    }

    public PruneResult Prune(bool all = false, Func<ImageSummary, bool>? filter = null, CancellationToken cancellation = default)
    {
        var removed = new List<RemovedImage>();
        foreach (var summary in List())
        {
            cancellation.ThrowIfCancellationRequested();
            if ((!all && !summary.Dangling) || filter?.Invoke(summary) == false) continue;
            if (_catalog.Images().FirstOrDefault(one => one.Target.Digest == summary.Target.Digest) is not { } image || UserOf(image) is not null) continue;
            foreach (var one in Content.References.RemoveTarget(summary.Target.Digest)) removed.Add(new RemovedImage(ImageReference.Parse(one), null));
            removed.Add(new RemovedImage(null, summary.Id));
        }

        return new PruneResult(removed, CollectGarbage(cancellation).Bytes);
    }

    public GarbageReport CollectGarbage(CancellationToken cancellation = default) =>
        new GarbageCollector(Content, Snapshotter).Collect(cancellation);

    /// <summary>Whether the image keeps other names when this one goes; digests of the same repository go with its last tag.</summary>
    private static bool LeavesNames(Image image, ImageReference name, out List<ImageReference> going)
    {
        going = [name];
        var others = image.References.Where(other => other != name).ToList();
        if (name.Digest is null && !others.Exists(other => other.Repository == name.Repository && other.Digest is null))
        {
            var digests = others.Where(other => other.Repository == name.Repository).ToList();
            going.AddRange(digests);
            others = [.. others.Except(digests)];
        }

        return others.Count > 0;
    }

    private void Untag(ImageReference name, List<RemovedImage> removed)
    {
        if (Content.References.Remove(name.Canonical) is not null) removed.Add(new RemovedImage(name, null));
    }

    /// <summary>A snapshot that stands on the image, as every container of it has one; null where there is none.</summary>
    private string? UserOf(Image image)
    {
        if (image.Chain is not { } chain) return null;
        return Snapshotter.List().FirstOrDefault(snapshot => snapshot.Kind != SnapshotKind.Committed && snapshot.Parent == chain)?.Key;
    }
}
