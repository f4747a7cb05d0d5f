using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Images;
using Hull.Images.Snapshots;

namespace Hull.Engine.Workloads;

/// <summary>Images mounted into workloads: a view of each is kept for as long as the workload exists.</summary>
internal sealed partial class WorkloadService
{
    /// <summary>Mounts of the engine's own, below which the runtime covers whatever the root has.</summary>
    private static readonly string[] s_covered = ["/proc", "/sys", "/dev"];

    private Image ImageToMount(MountConfig mount)
    {
        var images = _services.Images ?? throw HullException.Unsupported("this engine has no image store");
        try
        {
            return images.Resolve(mount.Source, null);
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound)
        {
            // Not "not found": clients take that for the container's own image and go and pull it.
            throw HullException.Invalid($"no image {mount.Source} to mount at {mount.Target}: pull it first");
        }
    }

    /// <summary>The mounts with a view of their own of each image.</summary>
    private async Task<IReadOnlyList<MountPoint>> HoldImagesAsync(string id, List<MountPoint> points, CancellationToken cancellationToken)
    {
        for (var i = 0; i < points.Count; i++)
        {
            if (points[i].Type != "image") continue;
            CheckUncovered(points[i], points);
            points[i] = points[i] with { SnapshotKey = await ViewAsync(id, points[i], cancellationToken).ConfigureAwait(false) };
        }

        return points;
    }

    private async Task<string> ViewAsync(string id, MountPoint point, CancellationToken cancellationToken)
    {
        var images = _services.Images!;
        var image = images.Find(point.ImageId!) ?? throw HullException.Invalid($"image {point.Source}, to be mounted at {point.Target}, is gone: pull it again");
        var chain = image.Chain;
        if (chain is null || images.Snapshotter.Find(chain.Value.ToString()) is null)
            chain = await images.EnsureUnpackedAsync(image, cancellation: cancellationToken).ConfigureAwait(false);
        if (chain is not { } unpacked) throw HullException.Invalid($"image {point.Source} has no files to mount at {point.Target}");
        var key = $"{id}.{RandomId.New()[..8]}";
        images.Snapshotter.View(key, unpacked);
        return key;
    }

    /// <summary>An image is part of the root, so what is mounted above its place would hide it.</summary>
    private static void CheckUncovered(MountPoint image, List<MountPoint> points)
    {
        var above = points.Where(other => other != image).Select(other => other.Target).Concat(s_covered)
            .FirstOrDefault(target => image.Target.StartsWith(target.TrimEnd('/') + "/", StringComparison.Ordinal) || SameTarget(image.Target, target));
        if (above is not null) throw HullException.Unsupported($"an image cannot be mounted at {image.Target}, inside of the mount at {above}: choose a target outside");
    }

    private List<ImageMount> ImageMounts(IReadOnlyList<MountPoint> mounts) =>
    [
        .. mounts.Where(mount => mount.SnapshotKey is not null).OrderBy(mount => mount.Target.Count(c => c == '/'))
            .Select(mount => new ImageMount(mount.Target, ToRootMount(_services.Images!.Snapshotter.Mounts(mount.SnapshotKey!)[0]), mount.ImagePath)),
    ];

    private static RootMount ToRootMount(SnapshotMount mount) => new(mount.Type, mount.Source, mount.Options) { Lower = mount.Lower };

    private void DropImages(IEnumerable<MountPoint> mounts)
    {
        foreach (var key in mounts.Select(mount => mount.SnapshotKey).OfType<string>()) _services.Images!.Snapshotter.Remove(key);
    }

    /// <summary>The same where no list was written down.</summary>
    private void DropImages(string id)
    {
        foreach (var view in _services.Images?.Snapshotter.List().Where(snapshot => snapshot.Key.StartsWith(id + ".", StringComparison.Ordinal)) ?? [])
            _services.Images!.Snapshotter.Remove(view.Key);
    }
}
