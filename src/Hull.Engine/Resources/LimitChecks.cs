using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Resources;

/// <summary>Refuses reservations and priorities that contradict their limits, or that a group cannot have.</summary>
internal static class LimitChecks
{
    public const int LowestPriority = 0;
    public const int HighestPriority = 100;

    /// <summary>The priority of who names none.</summary>
    public const int DefaultPriority = 50;

    public static void Check(ResourceLimits limits)
    {
        if (limits.CpuReservation is < 0) throw HullException.Invalid("a reservation of processors cannot be negative: 0 is none");
        if (limits.CpuReservation is > 0 and var reserved && limits.NanoCpus is > 0 and var most && reserved > most)
            throw HullException.Invalid($"a reservation of {reserved / 1e9:0.##} processors is more than the limit of {most / 1e9:0.##}");
        if (limits.Priority is { } priority and (< LowestPriority or > HighestPriority))
            throw HullException.Invalid($"priority {priority}: expected {LowestPriority} (its memory is taken first) to {HighestPriority}");
    }

    public static void CheckGroup(ResourceLimits limits)
    {
        Check(limits);
        if (limits.MemoryReservation is > 0 and var reserved && limits.Memory is > 0 and var most && reserved > most)
            throw HullException.Invalid($"a reservation of {reserved} bytes of memory is more than the limit of {most}");
        if (limits.NanoCpus is > 0 and var nano && nano > Environment.ProcessorCount * 1_000_000_000L)
            throw HullException.Invalid($"a group can have 0.01 to {Environment.ProcessorCount}.00 processors, not {nano / 1e9:0.##}");
        if (limits.BlkioWeight is > 0 and (< 10 or > 1000)) throw HullException.Invalid("range of blkio weight is from 10 to 1000");
        if (limits.MemorySwappiness is not null || limits.CpusetCpus is not null || limits.CpusetMems is not null)
            throw HullException.Unsupported("a group has shares, reservations and limits of processors, memory, processes, disk and network; what else there is belongs to its members");
    }
}
