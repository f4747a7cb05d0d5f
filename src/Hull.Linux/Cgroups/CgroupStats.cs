namespace Hull.Linux.Cgroups;

/// <summary>Counters of a cgroup. Times are nanoseconds, sizes bytes; a part is null where its controller is not there.</summary>
public sealed record CgroupStats
{
    public CpuStats? Cpu { get; init; }

    public CpusetStats? Cpuset { get; init; }

    public MemoryStats? Memory { get; init; }

    public PidsStats? Pids { get; init; }

    public BlockIoStats? BlockIo { get; init; }

    public IReadOnlyDictionary<string, HugePageStats> HugePages { get; init; } = new Dictionary<string, HugePageStats>();

    public IReadOnlyList<RdmaStats> RdmaCurrent { get; init; } = [];

    public IReadOnlyList<RdmaStats> RdmaLimits { get; init; } = [];
}

public sealed record CpuStats
{
    public ulong Total { get; init; }

    public ulong User { get; init; }

    public ulong Kernel { get; init; }

    public IReadOnlyList<ulong> PerCpu { get; init; } = [];

    public ulong Periods { get; init; }

    public ulong ThrottledPeriods { get; init; }

    public ulong ThrottledTime { get; init; }

    public PressureStats? Pressure { get; init; }
}

/// <summary>Placement as the kernel has it, expanded to numbers.</summary>
public sealed record CpusetStats(IReadOnlyList<ushort> Cpus, IReadOnlyList<ushort> MemoryNodes);

/// <summary>One kind of memory; a limit of <see cref="ulong.MaxValue"/> is none.</summary>
public readonly record struct MemoryUse(ulong Usage, ulong MaxUsage, ulong Limit, ulong FailCount);

public sealed record MemoryStats
{
    public MemoryUse Memory { get; init; }

    /// <summary>Memory and swap together, on v2 too.</summary>
    public MemoryUse MemoryAndSwap { get; init; }

    /// <summary>Swap alone (v2).</summary>
    public MemoryUse SwapOnly { get; init; }

    public MemoryUse Kernel { get; init; }

    public MemoryUse KernelTcp { get; init; }

    /// <summary>Page cache: v1 "cache", v2 "file".</summary>
    public ulong Cache { get; init; }

    /// <summary>Page cache that can go first; engines subtract it from usage.</summary>
    public ulong InactiveFile { get; init; }

    /// <summary>memory.stat as the kernel has it.</summary>
    public IReadOnlyDictionary<string, ulong> Detail { get; init; } = new Dictionary<string, ulong>();

    public ulong OomKills { get; init; }

    public bool UseHierarchy { get; init; }

    public PressureStats? Pressure { get; init; }
}

/// <summary>Tasks of a cgroup; a limit of 0 is none, as runc prints it.</summary>
public sealed record PidsStats(ulong Current, ulong Limit);

public readonly record struct BlockIoEntry(ulong Major, ulong Minor, string Operation, ulong Value);

public sealed record BlockIoStats
{
    public IReadOnlyList<BlockIoEntry> ServiceBytes { get; init; } = [];

    public IReadOnlyList<BlockIoEntry> Serviced { get; init; } = [];

    public PressureStats? Pressure { get; init; }
}

public readonly record struct HugePageStats(ulong Usage, ulong MaxUsage, ulong FailCount);

public readonly record struct RdmaStats(string Device, uint Handles, uint Objects);

/// <summary>Pressure stall information (Documentation/accounting/psi.rst).</summary>
public sealed record PressureStats(PressureLine Some, PressureLine Full);

/// <summary>Shares of time in percent over the last 10, 60 and 300 seconds, and the total in microseconds.</summary>
public readonly record struct PressureLine(double Average10, double Average60, double Average300, ulong Total);
