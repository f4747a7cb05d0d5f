using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>Names cgroups: from what a spec says, or from a state file. Touches nothing by itself.</summary>
public static class CgroupManager
{
    /// <summary>The version used on this machine: v2 where it is mounted at /sys/fs/cgroup, v1 otherwise.</summary>
    public static CgroupVersion Version => CgroupHost.Current.Version;

    /// <summary>
    /// The cgroup of a container. An absolute path counts from the root of each hierarchy, a relative one from the cgroup of
    /// this process (on v2 from its parent, because one that has processes cannot hand on controllers); none is the id,
    /// relative. With the systemd driver the path is "slice:prefix:name".
    /// </summary>
    public static ICgroup Name(string id, string? cgroupsPath, CgroupDriver driver = CgroupDriver.Cgroupfs, bool rootless = false)
    {
        if (driver == CgroupDriver.Systemd) return SystemdCgroup.Name(id, cgroupsPath, rootless);
        var path = string.IsNullOrEmpty(cgroupsPath) ? id : cgroupsPath;
        var isAbsolute = path[0] == '/';
        var clean = CgroupTree.Clean(path);
        if (clean.Length == 0) throw HullException.Invalid($"cgroupsPath '{cgroupsPath}' names no cgroup below the root");
        return At(hierarchyOwn => isAbsolute ? "/" + clean : CgroupTree.Join(hierarchyOwn, clean), rootless);
    }

    /// <summary>The cgroup with a path below the root of each hierarchy; or below what each hierarchy's own cgroup is.</summary>
    internal static ICgroup At(Func<string, string> pathFrom, bool rootless)
    {
        var host = CgroupHost.Current;
        if (host.Version == CgroupVersion.V2)
        {
            var own = host.UnifiedOwnPath;
            var parent = own[..Math.Max(1, own.LastIndexOf('/'))];
            return new V2Cgroup(CgroupTree.Join(host.UnifiedMount!, pathFrom(parent)), host.UnifiedMount!, rootless);
        }

        var paths = new Dictionary<string, string>(StringComparer.Ordinal);
        var roots = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var hierarchy in host.Hierarchies)
        {
            // Named hierarchies control nothing; only systemd reads one.
            if (hierarchy.IsNamed && !CgroupHost.HasSystemd) continue;
            var directory = CgroupTree.Join(hierarchy.Mount, pathFrom(hierarchy.OwnPath));
            roots[directory] = hierarchy.Mount;
            foreach (var controller in hierarchy.Controllers) paths[controller] = directory;
        }

        if (host.UnifiedMount is { } unified)
        {
            // Nothing is limited there; but a process has one cgroup in v2 too, by which systemd and eBPF programs know it.
            var directory = CgroupTree.Join(unified, pathFrom(host.UnifiedOwnPath));
            roots[directory] = unified;
            paths[V1Cgroup.Unified] = directory;
        }

        return new V1Cgroup(paths, directory => roots[directory], rootless);
    }

    /// <summary>The cgroup a state file remembers.</summary>
    public static ICgroup Load(CgroupRecord record, bool rootless = false)
    {
        ICgroup cgroup;
        if (record.Paths.TryGetValue("", out var directory))
        {
            cgroup = new V2Cgroup(directory, CgroupHost.Current.UnifiedMount ?? CgroupHost.DefaultRoot, rootless);
        }
        else
        {
            cgroup = new V1Cgroup(new Dictionary<string, string>(record.Paths, StringComparer.Ordinal), MountOf, rootless);
        }

        return record.Driver == CgroupDriver.Systemd ? SystemdCgroup.Load(record, cgroup, rootless) : cgroup;
    }

    private static string MountOf(string directory)
    {
        foreach (var hierarchy in CgroupHost.Current.Hierarchies)
        {
            if (directory.StartsWith(hierarchy.Mount + "/", StringComparison.Ordinal)) return hierarchy.Mount;
        }

        if (CgroupHost.Current.UnifiedMount is { } unified && directory.StartsWith(unified + "/", StringComparison.Ordinal)) return unified;

        return CgroupHost.DefaultRoot;
    }
}
