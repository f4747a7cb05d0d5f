using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>A cgroup made by systemd as a transient scope, "slice:prefix:name" of a spec's cgroupsPath.</summary>
internal static class SystemdCgroup
{
    internal static ICgroup Name(string id, string? cgroupsPath, bool rootless) => throw HullException.Unsupported("the systemd cgroup driver is not to be had here");

    internal static ICgroup Load(CgroupRecord record, ICgroup inner, bool rootless) => throw HullException.Unsupported("the systemd cgroup driver is not to be had here");
}
