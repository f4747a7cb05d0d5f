using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>Cgroups made by systemd as transient scopes, "slice:prefix:name" of a spec's cgroupsPath. This build has no such driver and says so.</summary>
internal static class SystemdCgroup
{
    internal static ICgroup Name(string id, string? cgroupsPath, bool rootless) => throw Missing();

    internal static ICgroup Load(CgroupRecord record, ICgroup inner, bool rootless) => throw Missing();

    private static HullException Missing() => HullException.Unsupported(
        CgroupHost.HasSystemd
            ? "this build does not ask systemd for cgroups: leave --systemd-cgroup out to have them made through cgroupfs"
            : "the systemd cgroup driver needs systemd, which does not run here: leave --systemd-cgroup out to have cgroups made through cgroupfs");
}
