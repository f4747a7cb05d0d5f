using Hull.Linux.Cgroups;
using Hull.Runtime.Resources;

namespace Hull.Engine.Drivers.Container;

/// <summary>Between the engine's limits and usage and the kernel's.</summary>
internal static class CgroupTranslation
{
    public static CgroupLimits ToLimits(ResourceLimits limits) => ResourceTranslation.ForUpdate(LimitTranslation.ToSpec(limits));

    public static InstanceStats ToStats(CgroupStats stats, bool unified, DateTimeOffset now)
    {
        var memory = stats.Memory;
        return new InstanceStats
        {
            ReadAt = now,
            Cpu = new CpuStats
            {
                Total = stats.Cpu?.Total ?? 0,
                User = stats.Cpu?.User ?? 0,
                Kernel = stats.Cpu?.Kernel ?? 0,
                PerCpu = stats.Cpu?.PerCpu ?? [],
                Periods = stats.Cpu?.Periods ?? 0,
                ThrottledPeriods = stats.Cpu?.ThrottledPeriods ?? 0,
                ThrottledTime = stats.Cpu?.ThrottledTime ?? 0,
                SystemTotal = HostUsage.ProcessorTime(),
                OnlineCpus = Environment.ProcessorCount,
            },
            Memory = new MemoryStats
            {
                Usage = memory?.Memory.Usage ?? 0,
                MaxUsage = memory?.Memory.MaxUsage ?? 0,
                Limit = EffectiveLimit(memory?.Memory.Limit ?? 0),
                FailCount = memory?.Memory.FailCount ?? 0,
                Details = memory?.Detail ?? new Dictionary<string, ulong>(),
                Unified = unified,
            },
            Pids = new PidsStats(stats.Pids?.Current ?? 0, stats.Pids?.Limit ?? 0),
            Block = ToBlock(stats.BlockIo),
        };
    }

    /// <summary>Without a limit of its own, an instance is limited by the machine.</summary>
    private static ulong EffectiveLimit(ulong limit)
    {
        var machine = HostUsage.MemoryTotal();
        return limit == 0 || limit > machine ? machine : limit;
    }

    private static List<BlockStats> ToBlock(BlockIoStats? stats)
    {
        var devices = new Dictionary<(ulong, ulong), BlockStats>();
        foreach (var entry in stats?.ServiceBytes ?? [])
        {
            var device = Device(devices, entry);
            if (IsRead(entry)) device = device with { ReadBytes = entry.Value };
            if (IsWrite(entry)) device = device with { WriteBytes = entry.Value };
            devices[(entry.Major, entry.Minor)] = device;
        }

        foreach (var entry in stats?.Serviced ?? [])
        {
            var device = Device(devices, entry);
            if (IsRead(entry)) device = device with { Reads = entry.Value };
            if (IsWrite(entry)) device = device with { Writes = entry.Value };
            devices[(entry.Major, entry.Minor)] = device;
        }

        return [.. devices.Values];
    }

    private static BlockStats Device(Dictionary<(ulong, ulong), BlockStats> devices, BlockIoEntry entry) =>
        devices.GetValueOrDefault((entry.Major, entry.Minor)) ?? new BlockStats((uint)entry.Major, (uint)entry.Minor);

    private static bool IsRead(BlockIoEntry entry) => entry.Operation.Equals("read", StringComparison.OrdinalIgnoreCase);

    private static bool IsWrite(BlockIoEntry entry) => entry.Operation.Equals("write", StringComparison.OrdinalIgnoreCase);
}
