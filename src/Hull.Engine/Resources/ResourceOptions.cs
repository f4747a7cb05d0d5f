namespace Hull.Engine.Resources;

/// <summary>What the engine may promise of the machine.</summary>
public sealed record ResourceOptions
{
    /// <summary>Billionths of processors that are never reserved: the host's own.</summary>
    public long HostNanoCpus { get; init; }

    /// <summary>Bytes of memory that are never reserved: the host's own.</summary>
    public long HostMemory { get; init; } = 256L << 20;

    /// <summary>How many times the processors there are may be reserved.</summary>
    public double CpuOvercommit { get; init; } = 1;

    /// <summary>How many times the memory there is may be reserved.</summary>
    public double MemoryOvercommit { get; init; } = 1;

    /// <summary>
    /// Percent of a virtual machine's memory that counts as reserved where it names no reservation. Clones share pages and give
    /// free ones back, so that most of them need no more.
    /// </summary>
    public int VmMemoryPercent { get; init; } = 25;

    /// <summary>When memory is taken from low priorities.</summary>
    public ReclaimOptions Reclaim { get; init; } = new();
}

/// <summary>When memory is taken from low priorities, and given back. Percentages are of the machine's memory unless it says otherwise.</summary>
public sealed record ReclaimOptions
{
    public bool Enabled { get; init; } = true;

    /// <summary>Memory is short when less than this is available,</summary>
    public int ShortPercent { get; init; } = 5;

    /// <summary>and there is plenty again when this is. In between nothing changes.</summary>
    public int PlentyPercent { get; init; } = 10;

    /// <summary>Memory is short as well when programs waited for it for this part of the last ten seconds.</summary>
    public double StalledPercent { get; init; } = 20;

    /// <summary>How much of what an instance holds is taken in one step.</summary>
    public int StepPercent { get; init; } = 10;

    /// <summary>Time between steps.</summary>
    public TimeSpan Period { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>What can be reserved.</summary>
public sealed record MachineCapacity(long NanoCpus, long MemoryBytes)
{
    /// <summary>This machine's, less what is the host's, times what may be overcommitted.</summary>
    public static MachineCapacity Of(ResourceOptions options, int processors, ulong memoryBytes) => new(
        (long)(Math.Max(0, processors * 1_000_000_000L - options.HostNanoCpus) * options.CpuOvercommit),
        (long)(Math.Max(0, (long)memoryBytes - options.HostMemory) * options.MemoryOvercommit));
}
