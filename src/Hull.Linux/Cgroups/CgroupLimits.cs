namespace Hull.Linux.Cgroups;

/// <summary>
/// What a cgroup is to enforce, in the units of the OCI runtime-spec (config-linux.md, "Control groups"), free
/// of any wire format. A member that is null leaves what the kernel has unchanged.
/// </summary>
public sealed record CgroupLimits
{
    public MemoryLimits? Memory { get; init; }

    public CpuLimits? Cpu { get; init; }

    public BlockIoLimits? BlockIo { get; init; }

    /// <summary>Most tasks; -1 is no limit.</summary>
    public long? Pids { get; init; }

    public IReadOnlyList<HugePageLimit> HugePages { get; init; } = [];

    /// <summary>
    /// Which devices may be used, in the order in which rules were given: a later rule overrides an earlier one.
    /// The starting point is "deny all". Null leaves device access as inherited.
    /// </summary>
    public IReadOnlyList<DeviceRule>? Devices { get; init; }

    /// <summary>net_cls.classid (v1 only).</summary>
    public uint? NetworkClass { get; init; }

    /// <summary>net_prio.ifpriomap: priority by interface name (v1 only).</summary>
    public IReadOnlyList<NetworkPriority> NetworkPriorities { get; init; } = [];

    public IReadOnlyList<RdmaLimit> Rdma { get; init; } = [];

    /// <summary>Files of cgroup v2 with the text to write to each, after everything else was applied.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Unified { get; init; } = [];
}

/// <summary>Memory limits in bytes; -1 is no limit.</summary>
public sealed record MemoryLimits
{
    public long? Limit { get; init; }

    /// <summary>Soft limit: v1 memory.soft_limit_in_bytes, v2 memory.low.</summary>
    public long? Reservation { get; init; }

    /// <summary>Memory plus swap, as v1 counts it; on v2 the difference to <see cref="Limit"/> becomes memory.swap.max.</summary>
    public long? Swap { get; init; }

    /// <summary>Kernel TCP buffers (v1 only).</summary>
    public long? KernelTcp { get; init; }

    /// <summary>0 to 100 (v1 only).</summary>
    public ulong? Swappiness { get; init; }

    /// <summary>True stops the OOM killer; tasks wait instead (v1 only).</summary>
    public bool? DisableOomKiller { get; init; }

    public bool? UseHierarchy { get; init; }

    /// <summary>An update below what is in use fails instead of reclaiming and killing.</summary>
    public bool CheckBeforeUpdate { get; init; }
}

/// <summary>CPU time and placement.</summary>
public sealed record CpuLimits
{
    /// <summary>Relative weight, 2 to 262144; converted to cpu.weight on v2.</summary>
    public ulong? Shares { get; init; }

    /// <summary>Microseconds per <see cref="Period"/>; -1 is no limit.</summary>
    public long? Quota { get; init; }

    public ulong? Period { get; init; }

    /// <summary>Microseconds a task may run beyond its quota out of what it saved up.</summary>
    public ulong? Burst { get; init; }

    public long? RealtimeRuntime { get; init; }

    public ulong? RealtimePeriod { get; init; }

    /// <summary>List of CPUs such as "0-2,7".</summary>
    public string? Cpus { get; init; }

    /// <summary>List of NUMA nodes such as "0".</summary>
    public string? MemoryNodes { get; init; }

    /// <summary>1 makes the cgroup SCHED_IDLE.</summary>
    public long? Idle { get; init; }
}

/// <summary>Block device weights and throttles.</summary>
public sealed record BlockIoLimits
{
    /// <summary>10 to 1000; converted to io.bfq.weight or io.weight on v2.</summary>
    public ushort? Weight { get; init; }

    public ushort? LeafWeight { get; init; }

    public IReadOnlyList<DeviceWeight> DeviceWeights { get; init; } = [];

    public IReadOnlyList<DeviceThrottle> ReadBytesPerSecond { get; init; } = [];

    public IReadOnlyList<DeviceThrottle> WriteBytesPerSecond { get; init; } = [];

    public IReadOnlyList<DeviceThrottle> ReadOperationsPerSecond { get; init; } = [];

    public IReadOnlyList<DeviceThrottle> WriteOperationsPerSecond { get; init; } = [];
}

/// <summary>Weight of one block device.</summary>
public readonly record struct DeviceWeight(long Major, long Minor, ushort? Weight, ushort? LeafWeight);

/// <summary>Rate of one block device; 0 removes the limit.</summary>
public readonly record struct DeviceThrottle(long Major, long Minor, ulong Rate);

/// <summary>Bytes of huge pages of one size; the size is spelled as the kernel does, such as "2MB".</summary>
public readonly record struct HugePageLimit(string PageSize, ulong Limit);

/// <summary>Priority of traffic leaving through an interface.</summary>
public readonly record struct NetworkPriority(string Interface, uint Priority);

/// <summary>RDMA objects of one device.</summary>
public readonly record struct RdmaLimit(string Device, uint? Handles, uint? Objects);

/// <summary>Kinds of device nodes; All stands for both and ends every earlier rule.</summary>
public enum DeviceKind : byte
{
    All = (byte)'a',
    Block = (byte)'b',
    Character = (byte)'c',
}

/// <summary>What may be done to a device; the values are the kernel's BPF_DEVCG_ACC_*.</summary>
[Flags]
public enum DeviceAccess
{
    None = 0,
    MakeNode = 1,
    Read = 2,
    Write = 4,
    All = MakeNode | Read | Write,
}

/// <summary>One line of a device policy. Null numbers are wildcards.</summary>
public readonly record struct DeviceRule(bool Allow, DeviceKind Kind, long? Major, long? Minor, DeviceAccess Access);
