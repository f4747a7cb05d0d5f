using System.Globalization;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull stats</c>: usage of running containers, once or again and again.</summary>
internal sealed class StatsVerb : Verb
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private bool once;
    private bool all;

    public override string Usage => "stats [options] [CONTAINER...]";

    public override void Define(FlagSet flags) => flags
        .Switch("no-stream", null, "once", v => once = v)
        .Switch("all", 'a', "also those that do not run", v => all = v);

    public override int Run(Invocation call)
    {
        Show(call, once || !Terminal.IsInteractive, () => Sample(call, call.Arguments.Count > 0 ? call.Arguments : Ids(call, all)), (before, now) => Print(call, before, now));
        return 0;
    }

    /// <summary>
    /// Shows a table a second. Every container is sampled once for it, so that many cost no more time than few; processor time is
    /// what was used since the table before.
    /// </summary>
    public static void Show(Invocation call, bool once, Func<List<ContainerStats>> sample, Action<List<ContainerStats>, List<ContainerStats>> print)
    {
        var before = sample();
        while (true)
        {
            Thread.Sleep(Period);
            var now = sample();
            if (!once) call.Output.Write("\e[H\e[2J");
            print(before, now);
            call.Output.Flush();
            if (once) return;
            before = now;
        }
    }

    public static IReadOnlyList<string> Ids(Invocation call, bool all) =>
        [.. call.Engine.Get($"/containers/json?all={(all ? 1 : 0)}", DockerJson.Wire.ListContainerSummary).Select(c => c.Id)];

    /// <summary>Full machines that run; none where the engine is older, or shows them to others only.</summary>
    public static List<ContainerStats> Machines(Invocation call)
    {
        try
        {
            return call.Engine.Get("/hull/v1/machine-usage", DockerJson.Wire.ListContainerStats);
        }
        catch (HullException error) when (error.Kind is ErrorKind.NotFound or ErrorKind.PermissionDenied or ErrorKind.Unsupported)
        {
            return [];
        }
    }

    public static List<ContainerStats> Sample(Invocation call, IReadOnlyList<string> names)
    {
        var samples = new List<ContainerStats>();
        foreach (var name in names)
        {
            try
            {
                samples.Add(call.Engine.Get($"/containers/{Uri.EscapeDataString(name)}/stats?stream=false&one-shot=true", DockerJson.Wire.ContainerStats));
            }
            catch (HullException error) when (error.Kind == ErrorKind.NotFound && call.Arguments.Count == 0)
            {
                // It went after the list was made.
            }
        }

        return samples;
    }

    private static void Print(Invocation call, List<ContainerStats> before, List<ContainerStats> now)
    {
        var table = new Table("CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS");
        foreach (var stats in now) table.Add(UsageRow.Of(stats, Find(before, stats)));
        table.Write(call.Output);
    }

    public static ContainerStats? Find(List<ContainerStats> samples, ContainerStats of) => samples.Find(one => one.Id == of.Id);
}

/// <summary>Usage in words.</summary>
internal static class UsageRow
{
    /// <param name="before">An earlier sample, against which processor time is measured; null for none.</param>
    public static string[] Of(ContainerStats stats, ContainerStats? before)
    {
        var memory = Memory(stats);
        var network = (stats.Networks ?? []).Values;
        var blocks = stats.Block.ServiceBytes ?? [];
        return
        [
            stats.Id.Length > 12 ? stats.Id[..12] : stats.Id, stats.Name.TrimStart('/'), Percent(Cpu(stats, before)),
            $"{ByteSize.Binary(memory)} / {ByteSize.Binary(stats.Memory.Limit)}",
            Percent(stats.Memory.Limit > 0 ? 100.0 * memory / stats.Memory.Limit : 0),
            $"{ByteSize.Decimal(network.Sum(n => n.ReceivedBytes))} / {ByteSize.Decimal(network.Sum(n => n.SentBytes))}",
            $"{ByteSize.Decimal(blocks.Where(b => b.Operation == "read").Sum(b => b.Value))} / {ByteSize.Decimal(blocks.Where(b => b.Operation == "write").Sum(b => b.Value))}",
            stats.Pids.Current.ToString(CultureInfo.InvariantCulture),
        ];
    }

    /// <summary>Percent of one processor.</summary>
    public static double Cpu(ContainerStats stats, ContainerStats? before)
    {
        if (before is null) return 0;
        double used = stats.Cpu.Usage.Total - before.Cpu.Usage.Total;
        double passed = stats.Cpu.System - before.Cpu.System;
        return used > 0 && passed > 0 ? used / passed * Math.Max(1, stats.Cpu.OnlineCpus) * 100 : 0;
    }

    /// <summary>Without the part of the page cache that can be given back at once.</summary>
    public static long Memory(ContainerStats stats)
    {
        var cache = stats.Memory.Stats is not { } details ? 0
            : details.TryGetValue("inactive_file", out var unified) ? unified
            : details.TryGetValue("total_inactive_file", out var old) ? old : 0;
        return Math.Max(0, stats.Memory.Usage - cache);
    }

    private static string Percent(double value) => value.ToString("F2", CultureInfo.InvariantCulture) + "%";
}
