using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.MountFlags;

namespace Hull.Runtime.Checkpoints;

/// <summary>
/// Mounts whose content is not the container's: criu leaves it out of the images, and is told where it is now when the
/// container is continued (criu(8), --external mnt[]).
/// </summary>
internal sealed class ExternalMounts(Spec spec, string bundle, string rootfs)
{
    /// <summary>For saving: each by its place in the container, which is its name as well.</summary>
    internal IEnumerable<string> ForDump(int pid, ICgroup cgroup)
    {
        foreach (var (destination, _) in Binds()) yield return $"mnt[{destination}]:{destination}";
        foreach (var (destination, _) in Hierarchies(cgroup)) yield return $"mnt[{destination}]:{destination}";
        foreach (var path in spec.Linux?.MaskedPaths ?? [])
        {
            // A directory is masked by a file system of the container's own.
            if (File.Exists($"/proc/{pid}/root{path}")) yield return $"mnt[{path}]:{path}";
        }
    }

    /// <summary>For continuing: each name with what to mount there.</summary>
    internal IEnumerable<string> ForRestore(ICgroup cgroup)
    {
        foreach (var (destination, source) in Binds()) yield return $"mnt[{destination}]:{source}";
        foreach (var (destination, source) in Hierarchies(cgroup)) yield return $"mnt[{destination}]:{source}";
        foreach (var path in spec.Linux?.MaskedPaths ?? []) yield return $"mnt[{path}]:/dev/null";
    }

    /// <summary>
    /// Makes the root a mount, which criu wants, and the places of mounts that are gone since. The caller is in a mount
    /// namespace of its own.
    /// </summary>
    internal void Prepare()
    {
        Check.Result(MountCalls.Mount(null, "/", null, MS_REC | MS_SLAVE, null), $"make the mounts receive only");
        Check.Result(MountCalls.Mount(rootfs, rootfs, null, MS_BIND | MS_REC, null), $"mount {rootfs}");
        using var root = RootDirectory.Open(rootfs);
        var covered = new List<string>();
        var mounted = new Stack<string>();
        foreach (var mount in spec.Mounts ?? [])
        {
            var destination = PathName.Clean(mount.Destination!);
            if (covered.Any(prefix => destination.StartsWith(prefix + "/", StringComparison.Ordinal))) continue;
            if (mount.Type == "tmpfs") covered.Add(destination);
            var source = IsBind(mount) ? Path.Combine(bundle, mount.Source!) : null;
            using var place = MakePlace(root, destination, source is null || Directory.Exists(source));
            if (source is null) continue;
            // Later mounts may be inside of this one.
            Check.Result(MountCalls.Mount(source, $"/proc/self/fd/{place.Value}", null, MS_BIND | MS_REC, null), $"mount {source}");
            mounted.Push(destination);
        }

        while (mounted.TryPop(out var destination))
        {
            using var place = root.OpenPath(destination);
            Check.Result(MountCalls.Umount($"/proc/self/fd/{place.Value}", UmountFlags.MNT_DETACH), $"unmount {destination}");
        }
    }

    private static SafeFd MakePlace(RootDirectory root, string destination, bool directory)
    {
        if (root.Exists(destination)) return root.OpenPath(destination);
        if (directory) return root.MkdirAll(destination);
        var parent = Path.GetDirectoryName(destination);
        if (parent is not (null or "/")) root.MkdirAll(parent).Dispose();
        return root.CreateFileExclusive(destination, 0x1A4 /* 0644 */);
    }

    private IEnumerable<(string Destination, string Source)> Binds()
    {
        foreach (var mount in spec.Mounts ?? [])
        {
            if (IsBind(mount)) yield return (Resolve(PathName.Clean(mount.Destination!)), Path.Combine(bundle, mount.Source!));
        }
    }

    /// <summary>Version 1: every hierarchy is a bind of the container's own cgroup. That of version 2 is made by criu.</summary>
    private IEnumerable<(string Destination, string Source)> Hierarchies(ICgroup cgroup)
    {
        if (cgroup.Version == CgroupVersion.V2) yield break;
        foreach (var mount in (spec.Mounts ?? []).Where(mount => mount.Type is "cgroup"))
        {
            var destination = Resolve(PathName.Clean(mount.Destination!));
            foreach (var hierarchy in cgroup.Paths.GroupBy(pair => pair.Value))
            {
                var names = hierarchy.Select(pair => pair.Key.StartsWith("name=", StringComparison.Ordinal) ? pair.Key[5..] : pair.Key);
                yield return ($"{destination}/{string.Join(',', names)}", hierarchy.Key);
            }
        }
    }

    /// <summary>Where a destination that is a link of the image leads to.</summary>
    private string Resolve(string destination)
    {
        using var root = RootDirectory.Open(rootfs);
        if (!root.Exists(destination)) return destination;
        using var place = root.OpenPath(destination);
        using var top = root.OpenPath("/");
        var (path, prefix) = (NameOf(place), NameOf(top));
        return path.StartsWith(prefix + "/", StringComparison.Ordinal) ? path[prefix.Length..] : destination;
    }

    private static string NameOf(SafeFd descriptor) => new FileInfo($"/proc/self/fd/{descriptor.Value}").LinkTarget ?? "";

    private static bool IsBind(MountSpec mount)
    {
        var options = MountOptions.Parse(mount.Options);
        return !options.Remount && (options.Bind || mount.Type == "bind");
    }
}
