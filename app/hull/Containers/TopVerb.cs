using System.Globalization;
using System.Text.Json;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;
using Hull.Protocol.Containers;

namespace Hull.Cli.Containers;

/// <summary><c>hull top</c>: the processes of a container, or a live table of everything that runs, of what it gets and why.</summary>
internal sealed class TopVerb : Verb
{
    public override string Usage => "top [CONTAINER [PS-OPTIONS]]";

    public override void Define(FlagSet flags) => flags.Interspersed = false;

    public override int Run(Invocation call)
    {
        if (call.Arguments.Count == 0)
        {
            StatsVerb.Show(call, !Terminal.IsInteractive, () => [.. StatsVerb.Sample(call, StatsVerb.Ids(call, all: false)), .. StatsVerb.Machines(call)],
                (before, now) => Print(call, before, now));
            return 0;
        }

        var arguments = call.Arguments.Count > 1 ? "?ps_args=" + Uri.EscapeDataString(string.Join(' ', call.Arguments.Skip(1))) : "";
        var answer = call.Engine.Get($"/containers/{Uri.EscapeDataString(call.Arguments[0])}/top{arguments}", DockerJson.Wire.ContainerTopAnswer);
        var table = new Table([.. answer.Titles]);
        foreach (var row in answer.Processes) table.Add([.. row]);
        table.Write(call.Output);
        return 0;
    }

    private static void Print(Invocation call, List<ContainerStats> before, List<ContainerStats> now)
    {
        var allocations = Allocations(call);
        var table = new Table("CONTAINER ID", "NAME", "CPU %", "SHARES", "CPUS KEPT / LIMIT", "MEM USAGE", "MEM KEPT / LIMIT", "GROUP", "PRIORITY", "NET I/O", "BLOCK I/O", "WHY");
        foreach (var stats in now.OrderByDescending(one => UsageRow.Cpu(one, StatsVerb.Find(before, one))))
            table.Add(AllocationRow.Of(stats, StatsVerb.Find(before, stats), allocations.GetValueOrDefault(stats.Id)));
        table.Write(call.Output);
    }

    /// <summary>By id; none where the engine is older, or shows them to others only.</summary>
    private static Dictionary<string, AllocationResource> Allocations(Invocation call)
    {
        try
        {
            using var answer = call.Engine.Send("GET", "/hull/v1/allocations", raw: true);
            return (JsonSerializer.Deserialize(answer.Content, GroupProtocolJson.Default.ListAllocationResource) ?? []).ToDictionary(one => one.Id);
        }
        catch (HullException error) when (error.Kind is ErrorKind.NotFound or ErrorKind.PermissionDenied or ErrorKind.Unsupported)
        {
            return [];
        }
    }
}

/// <summary>What one gets, and why it is not more, in words.</summary>
internal static class AllocationRow
{
    private const string None = "-";

    public static string[] Of(ContainerStats stats, ContainerStats? before, AllocationResource? allocation)
    {
        var usage = UsageRow.Of(stats, before);
        var limits = allocation?.Limits ?? new ResourceSettings();
        return
        [
            usage[0], usage[1], usage[2], limits.CpuShares > 0 ? limits.CpuShares.ToString(CultureInfo.InvariantCulture) : None,
            $"{Cpus(allocation?.ReservedCpus ?? 0)} / {Cpus(CpuLimit(limits))}",
            ByteSize.Binary(UsageRow.Memory(stats)), $"{Bytes(allocation?.ReservedMemory ?? 0)} / {Bytes(limits.Memory)}",
            allocation is { Group.Length: > 0 } ? allocation.Group : None, allocation is null ? None : allocation.Priority.ToString(CultureInfo.InvariantCulture),
            usage[5], usage[6], Why(stats, before, limits, allocation),
        ];
    }

    private static string Why(ContainerStats stats, ContainerStats? before, ResourceSettings limits, AllocationResource? allocation)
    {
        var reasons = new List<string>();
        if (before is not null && stats.Cpu.Throttling.ThrottledPeriods > before.Cpu.Throttling.ThrottledPeriods && CpuLimit(limits) is > 0 and var limit)
            reasons.Add($"throttled: limit {Cpus(limit)} cpus");
        if (allocation is { TakenMemory: > 0 })
            reasons.Add($"reclaimed {ByteSize.Binary(allocation.TakenMemory)}: priority {allocation.Priority} is below {allocation.TakenFor}");
        if (limits.Memory > 0 && UsageRow.Memory(stats) > limits.Memory / 100 * 95) reasons.Add($"memory: at its limit of {ByteSize.Binary(limits.Memory)}");
        return string.Join("; ", reasons);
    }

    /// <summary>Billionths of processors; 0 for no limit.</summary>
    private static long CpuLimit(ResourceSettings limits) => limits.NanoCpus > 0 ? limits.NanoCpus
        : limits.CpuQuota > 0 ? limits.CpuQuota * 1_000_000_000 / (limits.CpuPeriod > 0 ? limits.CpuPeriod : 100_000) : 0;

    /// <summary>Processors of billionths; a dash for none.</summary>
    public static string Cpus(long nano) => nano <= 0 ? None : (nano / 1e9).ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>Bytes with their unit; a dash for none.</summary>
    public static string Bytes(long bytes) => bytes <= 0 ? None : ByteSize.Binary(bytes);
}
