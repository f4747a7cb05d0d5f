namespace Hull.Oci.Runtime;

/// <summary>Limits of the container's cgroup (config-linux.md, "Control groups").</summary>
public sealed record ResourcesSpec
{
    public IReadOnlyList<DeviceCgroupSpec>? Devices { get; init; }

    public MemorySpec? Memory { get; init; }

    public CpuSpec? Cpu { get; init; }

    public PidsSpec? Pids { get; init; }

    public BlockIoSpec? BlockIO { get; init; }

    public IReadOnlyList<HugePageLimitSpec>? HugepageLimits { get; init; }

    public NetworkSpec? Network { get; init; }

    public IReadOnlyDictionary<string, RdmaSpec>? Rdma { get; init; }

    /// <summary>Files of cgroup v2 and what is written to them.</summary>
    public IReadOnlyDictionary<string, string>? Unified { get; init; }
}

/// <summary>A rule of the device controller.</summary>
public sealed record DeviceCgroupSpec
{
    public bool Allow { get; init; }

    public string? Type { get; init; }

    public long? Major { get; init; }

    public long? Minor { get; init; }

    /// <summary>A combination of <c>r</c>, <c>w</c> and <c>m</c>.</summary>
    public string? Access { get; init; }
}

/// <summary>Bytes; -1 is no limit.</summary>
public sealed record MemorySpec
{
    public long? Limit { get; init; }

    public long? Reservation { get; init; }

    public long? Swap { get; init; }

    public long? Kernel { get; init; }

    public long? KernelTCP { get; init; }

    public ulong? Swappiness { get; init; }

    public bool? DisableOOMKiller { get; init; }

    public bool? UseHierarchy { get; init; }

    public bool? CheckBeforeUpdate { get; init; }
}

/// <summary>Shares, and microseconds of quota and period.</summary>
public sealed record CpuSpec
{
    public ulong? Shares { get; init; }

    public long? Quota { get; init; }

    public ulong? Burst { get; init; }

    public ulong? Period { get; init; }

    public long? RealtimeRuntime { get; init; }

    public ulong? RealtimePeriod { get; init; }

    public string? Cpus { get; init; }

    public string? Mems { get; init; }

    public long? Idle { get; init; }
}

public sealed record PidsSpec
{
    public long? Limit { get; init; }
}

public sealed record BlockIoSpec
{
    public ushort? Weight { get; init; }

    public ushort? LeafWeight { get; init; }

    public IReadOnlyList<WeightDeviceSpec>? WeightDevice { get; init; }

    public IReadOnlyList<ThrottleDeviceSpec>? ThrottleReadBpsDevice { get; init; }

    public IReadOnlyList<ThrottleDeviceSpec>? ThrottleWriteBpsDevice { get; init; }

    public IReadOnlyList<ThrottleDeviceSpec>? ThrottleReadIOPSDevice { get; init; }

    public IReadOnlyList<ThrottleDeviceSpec>? ThrottleWriteIOPSDevice { get; init; }
}

public sealed record WeightDeviceSpec
{
    public long Major { get; init; }

    public long Minor { get; init; }

    public ushort? Weight { get; init; }

    public ushort? LeafWeight { get; init; }
}

public sealed record ThrottleDeviceSpec
{
    public long Major { get; init; }

    public long Minor { get; init; }

    public ulong Rate { get; init; }
}

public sealed record HugePageLimitSpec
{
    public string? PageSize { get; init; }

    public ulong Limit { get; init; }
}

public sealed record NetworkSpec
{
    [System.Text.Json.Serialization.JsonPropertyName("classID")]
    public uint? ClassId { get; init; }

    public IReadOnlyList<InterfacePrioritySpec>? Priorities { get; init; }
}

public sealed record InterfacePrioritySpec
{
    public string? Name { get; init; }

    public uint Priority { get; init; }
}

public sealed record RdmaSpec
{
    public uint? HcaHandles { get; init; }

    public uint? HcaObjects { get; init; }
}
