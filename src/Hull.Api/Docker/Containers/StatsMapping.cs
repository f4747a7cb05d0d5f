using Hull.Engine.Drivers;
using Hull.Engine.Workloads;
using Hull.Protocol;
using CpuStats = Hull.Protocol.CpuStats;
using MemoryStats = Hull.Protocol.MemoryStats;
using PidsStats = Hull.Protocol.PidsStats;

namespace Hull.Api.Docker.Containers;

/// <summary>Usage as <c>docker stats</c> reads it.</summary>
internal static class StatsMapping
{
    public static ContainerStats ToStats(StatsSample sample)
    {
        var current = sample.Current;
        var running = current.ReadAt != default;
        return new ContainerStats
        {
            Id = sample.Id,
            Name = "/" + sample.Name,
            Read = running ? Timestamps.Format(current.ReadAt) : Timestamps.Zero,
            Preread = sample.Previous is { } previous ? Timestamps.Format(previous.ReadAt) : Timestamps.Zero,
            Pids = new PidsStats { Current = (long)current.Pids.Current, Limit = current.Pids.Limit },
            Block = Block(current.Block),
            Cpu = Cpu(current.Cpu),
            Precpu = sample.Previous is null ? new CpuStats() : Cpu(sample.Previous.Cpu),
            Memory = Memory(current.Memory),
            Networks = current.Interfaces.Count == 0 ? null : current.Interfaces.ToDictionary(i => i.Key, i => Network(i.Value), StringComparer.Ordinal),
        };
    }

    private static CpuStats Cpu(Engine.Drivers.CpuStats cpu) => new()
    {
        Usage = new CpuUsage
        {
            Total = (long)cpu.Total,
            Kernel = (long)cpu.Kernel,
            User = (long)cpu.User,
            PerCpu = cpu.PerCpu.Count == 0 ? null : [.. cpu.PerCpu.Select(v => (long)v)],
        },
        System = (long)cpu.SystemTotal,
        OnlineCpus = cpu.OnlineCpus,
        Throttling = new ThrottlingStats
        {
            Periods = (long)cpu.Periods,
            ThrottledPeriods = (long)cpu.ThrottledPeriods,
            ThrottledTime = (long)cpu.ThrottledTime,
        },
    };

    private static MemoryStats Memory(Engine.Drivers.MemoryStats memory) => new()
    {
        Usage = (long)memory.Usage,
        MaximumUsage = (long)memory.MaxUsage,
        FailureCount = (long)memory.FailCount,
        Limit = (long)memory.Limit,
        Stats = memory.Details.Count == 0 ? null : memory.Details.ToDictionary(d => d.Key, d => (long)d.Value, StringComparer.Ordinal),
    };

    private static Protocol.BlockStats Block(IReadOnlyList<Engine.Drivers.BlockStats> devices) => devices.Count == 0 ? new Protocol.BlockStats() : new Protocol.BlockStats
    {
        ServiceBytes = [.. devices.SelectMany(d => Entries(d, d.ReadBytes, d.WriteBytes))],
        Serviced = [.. devices.SelectMany(d => Entries(d, d.Reads, d.Writes))],
    };

    private static BlockEntry[] Entries(Engine.Drivers.BlockStats device, ulong read, ulong write) =>
    [
        new() { Major = device.Major, Minor = device.Minor, Operation = "read", Value = (long)read },
        new() { Major = device.Major, Minor = device.Minor, Operation = "write", Value = (long)write },
    ];

    private static NetworkStats Network(InterfaceStats stats) => new()
    {
        ReceivedBytes = (long)stats.ReceivedBytes,
        ReceivedPackets = (long)stats.ReceivedPackets,
        ReceiveErrors = (long)stats.ReceiveErrors,
        ReceiveDropped = (long)stats.ReceiveDropped,
        SentBytes = (long)stats.SentBytes,
        SentPackets = (long)stats.SentPackets,
        SendErrors = (long)stats.SendErrors,
        SendDropped = (long)stats.SendDropped,
    };
}
