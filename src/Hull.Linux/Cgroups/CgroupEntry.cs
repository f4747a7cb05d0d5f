

namespace Hull.Linux.Cgroups;

/// <summary>
/// How a process about to be made enters its cgroup, one of three ways; on a machine with both versions the first and second together:
/// <list type="bullet">
/// <item><see cref="CloneDescriptor"/> (v2): pass it to clone3 with CLONE_INTO_CGROUP; the process is born inside.</item>
/// <item><see cref="JoinDescriptors"/> (v1): the new process, while it has one thread, writes "0" to each. A thread that moves
/// itself takes no system-wide lock (kernel/cgroup/cgroup.c, cgroup_procs_write_start), unlike a write of its pid by another and
/// any write to a v2 cgroup.procs, which wait for an RCU grace period: 10 ms and more.</item>
/// <item><see cref="NeedsPid"/> (systemd): after clone3 and before it goes on, call <see cref="ICgroup.Add"/> with its pid.</item>
/// </list>
/// </summary>
public sealed class CgroupEntry : IDisposable
{
    public SafeFd? CloneDescriptor { get; init; }

    public IReadOnlyList<SafeFd> JoinDescriptors { get; init; } = [];

    public bool NeedsPid { get; init; }

    /// <summary>The cgroup was there before: what is in it may be somebody else's.</summary>
    public bool IsShared { get; init; }

    public void Dispose()
    {
        CloneDescriptor?.Dispose();
        foreach (var descriptor in JoinDescriptors) descriptor.Dispose();
    }
}
