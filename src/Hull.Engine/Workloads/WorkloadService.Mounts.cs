using Hull.Core;
using Hull.Engine.Volumes;

namespace Hull.Engine.Workloads;

/// <summary>Volumes and binds: decided at creation, made available at each start.</summary>
internal sealed partial class WorkloadService
{
    private IVolumeManager Volumes => _services.Volumes ?? throw HullException.Unsupported("this engine has no volumes");

    /// <summary>Every mount with its volume made and its source known. Volumes made here are listed, to be undone.</summary>
    private async Task<IReadOnlyList<MountPoint>> ResolveMountsAsync(WorkloadRecord record, List<string> made, CancellationToken cancellationToken)
    {
        var points = new List<MountPoint>();
        foreach (var reference in record.Config.VolumesFrom) points.AddRange(MountsFrom(reference));
        foreach (var mount in record.Config.Mounts)
        {
            points.RemoveAll(other => SameTarget(other.Target, mount.Target));
            points.Add(await ResolveMountAsync(record.Id, mount, made, cancellationToken).ConfigureAwait(false));
        }

        foreach (var target in record.Process.AnonymousVolumes)
        {
            if (points.Any(point => SameTarget(point.Target, target)) || !target.StartsWith('/')) continue;
            points.Add(await ResolveMountAsync(record.Id, new MountConfig { Type = "volume", Target = target }, made, cancellationToken).ConfigureAwait(false));
        }

        return await HoldImagesAsync(record.Id, points, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The mounts of another workload, as <c>id[:ro|rw]</c> asks.</summary>
    private IEnumerable<MountPoint> MountsFrom(string reference)
    {
        var parts = reference.Split(':');
        if (parts.Length > 2 || (parts.Length == 2 && parts[1] is not ("ro" or "rw" or "z" or "Z" or "")))
            throw HullException.Invalid($"invalid volumes-from '{reference}': expected CONTAINER[:ro|rw]");
        var readOnly = parts.Length == 2 && parts[1] == "ro";
        return Get(parts[0]).Record.Mounts.Where(mount => mount.Type != "tmpfs")
            .Select(mount => mount with { ReadOnly = mount.ReadOnly || readOnly, Anonymous = false, SnapshotKey = null });
    }

    private async Task<MountPoint> ResolveMountAsync(string id, MountConfig mount, List<string> made, CancellationToken cancellationToken)
    {
        var target = mount.Target.Length > 1 ? mount.Target.TrimEnd('/') : mount.Target;
        var point = new MountPoint
        {
            Type = mount.Type,
            Source = mount.Source,
            Target = target,
            ReadOnly = mount.ReadOnly,
            Propagation = mount.Propagation ?? (mount.Type == "bind" ? "rprivate" : ""),
            Mode = string.Join(',', mount.Options.Where(option => option is "z" or "Z")),
        };
        switch (mount.Type)
        {
            case "tmpfs":
                return point with { Source = "" };
            case "bind":
                PrepareBind(mount);
                return point;
            case "volume":
                return await ResolveVolumeAsync(id, mount, point, made, cancellationToken).ConfigureAwait(false);
            default:
                return point with { ImageId = ImageToMount(mount).Id.ToString(), ImagePath = mount.Subpath, ReadOnly = true };
        }
    }

    private static void PrepareBind(MountConfig mount)
    {
        if (Path.Exists(mount.Source)) return;
        if (!mount.CreateSource) throw HullException.Invalid($"invalid mount config for type \"bind\": bind source path does not exist: {mount.Source}");
        try
        {
            Directory.CreateDirectory(mount.Source);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw HullException.Invalid($"error while creating mount source path '{mount.Source}': {error.Message}");
        }
    }

    private async Task<MountPoint> ResolveVolumeAsync(string id, MountConfig mount, MountPoint point, List<string> made, CancellationToken cancellationToken)
    {
        var exists = mount.Source.Length > 0 && Volumes.List().Any(volume => volume.Name == mount.Source);
        var volume = await Volumes.CreateAsync(new VolumeRequest
        {
            Name = mount.Source,
            Driver = mount.VolumeDriver ?? "local",
            Options = mount.VolumeOptions,
            Labels = mount.VolumeLabels,
            Anonymous = mount.Source.Length == 0,
        }, cancellationToken).ConfigureAwait(false);
        if (!exists) made.Add(volume.Name);
        // Held from this moment, so that a prune at the same time does not take it.
        Volumes.Hold(volume.Name, id);
        return point with
        {
            Name = volume.Name,
            Source = mount.Subpath is { Length: > 0 } subpath ? Path.Combine(volume.Mountpoint, subpath) : volume.Mountpoint,
            Driver = volume.Driver,
            Anonymous = mount.Source.Length == 0,
        };
    }

    private void HoldVolumes(WorkloadRecord record)
    {
        if (_services.Volumes is not { } volumes) return;
        foreach (var mount in record.Mounts.Where(mount => mount.Name.Length > 0)) volumes.Hold(mount.Name, record.Id);
    }

    /// <summary>Makes every volume's directory available; answers the mounts with their sources of now.</summary>
    private async Task<IReadOnlyList<MountPoint>> MountVolumesAsync(WorkloadRecord record, CancellationToken cancellationToken)
    {
        var mounts = new List<MountPoint>(record.Mounts.Count);
        foreach (var mount in record.Mounts)
        {
            if (mount.Type == "bind" && !Path.Exists(mount.Source))
                throw HullException.Invalid($"bind source path does not exist: {mount.Source}");
            if (mount.Name.Length == 0)
            {
                mounts.Add(mount);
                continue;
            }

            var path = await Volumes.MountAsync(mount.Name, record.Id, cancellationToken).ConfigureAwait(false);
            mounts.Add(mount with { Source = Resolve(path, SubpathOf(record, mount)) });
        }

        return mounts;
    }

    private async Task UnmountVolumesAsync(WorkloadRecord record)
    {
        foreach (var name in record.Mounts.Select(mount => mount.Name).Where(name => name.Length > 0).Distinct())
        {
            try
            {
                await Volumes.UnmountAsync(name, record.Id, CancellationToken.None).ConfigureAwait(false);
            }
            catch (HullException error)
            {
                _services.Log($"{record.Name}: volume {name} could not be put away: {error.FullMessage}");
            }
        }
    }

    private static string? SubpathOf(WorkloadRecord record, MountPoint mount) =>
        record.Config.Mounts.FirstOrDefault(asked => SameTarget(asked.Target, mount.Target))?.Subpath;

    /// <summary>A path inside a volume, whose content belongs to workloads: a link in it must not lead out.</summary>
    private static string Resolve(string volume, string? subpath)
    {
        if (subpath is null or "") return volume;
        using var root = Hull.Linux.Files.RootDirectory.Open(volume, Hull.Linux.Files.RootScope.Beneath);
        if (!root.Exists(subpath)) throw HullException.Invalid($"the volume has no {subpath}: make it there, or mount another part");
        using var handle = root.OpenPath(subpath);
        return new FileInfo($"/proc/self/fd/{handle.Value}").LinkTarget ?? throw HullException.Invalid($"subpath {subpath} has no path");
    }

    private static bool SameTarget(string left, string right) => left.TrimEnd('/') == right.TrimEnd('/');

    /// <summary>A fresh volume begins with what the image has at that place, owners and modes included.</summary>
    private async Task CopyUpAsync(WorkloadRecord record, CancellationToken cancellationToken)
    {
        var fresh = record.Mounts.Where(mount => mount.Name.Length > 0 && !NoCopy(record, mount) && IsEmpty(mount.Source)).ToList();
        if (fresh.Count == 0 || !record.HasSnapshot) return;
        var spec = BuildInstance(new Workload(record, new WorkloadState()), NoNetwork, []);
        var root = await DriverOf("container").OpenStoppedRootAsync(spec, cancellationToken).ConfigureAwait(false);
        await using (root.ConfigureAwait(false))
        {
            foreach (var mount in fresh)
            {
                var path = await Volumes.MountAsync(mount.Name, record.Id, cancellationToken).ConfigureAwait(false);
                try
                {
                    await Task.Run(() => Files.TreeCopy.Copy(root.Descriptor!.Value, mount.Target, Resolve(path, SubpathOf(record, mount))), cancellationToken)
                        .ConfigureAwait(false);
                }
                finally
                {
                    await Volumes.UnmountAsync(mount.Name, record.Id, CancellationToken.None).ConfigureAwait(false);
                }
            }
        }
    }

    private static bool NoCopy(WorkloadRecord record, MountPoint mount) =>
        record.Config.Mounts.FirstOrDefault(asked => SameTarget(asked.Target, mount.Target))?.NoCopy == true;

    private static bool IsEmpty(string directory) => Directory.Exists(directory) && !Directory.EnumerateFileSystemEntries(directory).Any();
}
