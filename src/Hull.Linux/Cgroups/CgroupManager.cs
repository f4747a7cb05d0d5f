namespace Hull.Linux.Cgroups;

/// <summary>Names cgroups: from what a spec says, from a state file, or from a process. Touches nothing by itself.</summary>
public static class CgroupManager
{
    /// <summary>The version used on this machine: v2 where it is mounted at /sys/fs/cgroup, v1 otherwise.</summary>
    public static CgroupVersion Version => throw new NotImplementedException();

    /// <summary>
    /// The cgroup of a container. An absolute path counts from the root of each hierarchy, a relative one from the cgroup of
    /// this process (on v2 from its parent, which may have controllers); none is the id, relative. With the systemd driver
    /// the path is "slice:prefix:name".
    /// </summary>
    public static ICgroup Name(string id, string? cgroupsPath, CgroupDriver driver = CgroupDriver.Cgroupfs, bool rootless = false) =>
        throw new NotImplementedException();

    /// <summary>The cgroup a state file remembers.</summary>
    public static ICgroup Load(CgroupRecord record) => throw new NotImplementedException();
}
