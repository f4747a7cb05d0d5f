namespace Hull.Engine.Drivers;

/// <summary>Usage of an instance at one moment, in kernel units converted to bytes and nanoseconds.</summary>
public sealed record InstanceStats
{
    public DateTimeOffset ReadAt { get; init; }
    public CpuStats Cpu { get; init; } = new();
    public MemoryStats Memory { get; init; } = new();
    public PidsStats Pids { get; init; } = new();
    public IReadOnlyList<BlockStats> Block { get; init; } = [];

    /// <summary>By interface name inside the instance.</summary>
    public IReadOnlyDictionary<string, InterfaceStats> Interfaces { get; init; } = new Dictionary<string, InterfaceStats>();
}

/// <summary>Processor time in nanoseconds.</summary>
public sealed record CpuStats
{
    public ulong Total { get; init; }
    public ulong User { get; init; }
    public ulong Kernel { get; init; }
    public IReadOnlyList<ulong> PerCpu { get; init; } = [];

    /// <summary>Time all processors of the machine have spent, for shares of the whole.</summary>
    public ulong SystemTotal { get; init; }

    public int OnlineCpus { get; init; }
    public ulong Periods { get; init; }
    public ulong ThrottledPeriods { get; init; }
    public ulong ThrottledTime { get; init; }
}

/// <summary>Bytes of memory.</summary>
public sealed record MemoryStats
{
    public ulong Usage { get; init; }
    public ulong MaxUsage { get; init; }

    /// <summary>0 when there is none.</summary>
    public ulong Limit { get; init; }

    public ulong FailCount { get; init; }

    /// <summary>The kernel's own memory.stat of the cgroup.</summary>
    public IReadOnlyDictionary<string, ulong> Details { get; init; } = new Dictionary<string, ulong>();

    /// <summary>True when <see cref="Details"/> has the names of cgroup v2.</summary>
    public bool Unified { get; init; }
}

public sealed record PidsStats(ulong Current = 0, ulong Limit = 0);

public sealed record BlockStats(uint Major, uint Minor)
{
    public ulong ReadBytes { get; init; }
    public ulong WriteBytes { get; init; }
    public ulong Reads { get; init; }
    public ulong Writes { get; init; }
}

public sealed record InterfaceStats
{
    public ulong ReceivedBytes { get; init; }
    public ulong ReceivedPackets { get; init; }
    public ulong ReceiveErrors { get; init; }
    public ulong ReceiveDropped { get; init; }
    public ulong SentBytes { get; init; }
    public ulong SentPackets { get; init; }
    public ulong SendErrors { get; init; }
    public ulong SendDropped { get; init; }
}
