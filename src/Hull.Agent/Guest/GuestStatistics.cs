using System.Globalization;
using System.Text;
using Hull.Agent.Protocol;
using Hull.Linux.Files;

namespace Hull.Agent.Guest;

/// <summary>What a container uses, as the guest's own kernel counts it: cgroup v2 and procfs.</summary>
internal static class GuestStatistics
{
    /// <summary>Clock ticks of proc_pid_stat(5): USER_HZ is 100 on every architecture Linux has but alpha and ia64.</summary>
    private const int TicksPerSecond = 100;

    public static StatisticsReply Read(string id)
    {
        var cpu = Pairs(id, "cpu.stat");
        var details = Pairs(id, "memory.stat");
        return new StatisticsReply(cpu.GetValueOrDefault("usage_usec") * 1000, cpu.GetValueOrDefault("user_usec") * 1000,
            cpu.GetValueOrDefault("system_usec") * 1000, Number(id, "memory.current"), Number(id, "memory.max"), Number(id, "pids.current"),
            FreeBytes(), [.. details], []);
    }

    /// <summary>The processes of a container; one that ends meanwhile is left out.</summary>
    public static List<GuestProcess> Processes(string id)
    {
        var bootedAt = Pairs("/proc/stat").GetValueOrDefault("btime");
        var processes = new List<GuestProcess>();
        foreach (var line in Text(PathOf(id, "cgroup.procs")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Describe(line, bootedAt) is { } process) processes.Add(process);
        }

        return processes;
    }

    /// <summary>Applies limits that are not -1.</summary>
    public static void Update(UpdateContainerRequest request)
    {
        if (request.MemoryBytes >= 0) Write(request.Id, "memory.max", request.MemoryBytes);
        if (request.Processes >= 0) Write(request.Id, "pids.max", request.Processes);
    }

    private static GuestProcess? Describe(string pid, long bootedAt)
    {
        try
        {
            var stat = Text($"/proc/{pid}/stat");
            // The name in parentheses may hold anything; what follows the last of them has a fixed order (proc_pid_stat(5)).
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            var name = stat[(stat.IndexOf('(') + 1)..stat.LastIndexOf(')')];
            var command = Text($"/proc/{pid}/cmdline").TrimEnd('\0').Replace('\0', ' ');
            var terminal = long.Parse(fields[4], CultureInfo.InvariantCulture);
            return new GuestProcess(uint.Parse(pid, CultureInfo.InvariantCulture), uint.Parse(fields[1], CultureInfo.InvariantCulture), UserOf(pid),
                (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond,
                bootedAt + long.Parse(fields[19], CultureInfo.InvariantCulture) / TicksPerSecond,
                terminal == 0 ? "?" : $"pts/{terminal & 0xFF}", command.Length > 0 ? command : $"[{name}]");
        }
        catch (Core.HullException)
        {
            return null;
        }
    }

    private static uint UserOf(string pid)
    {
        foreach (var line in Text($"/proc/{pid}/status").Split('\n'))
        {
            if (line.StartsWith("Uid:", StringComparison.Ordinal)) return uint.Parse(line.Split('\t')[2], CultureInfo.InvariantCulture);
        }

        return 0;
    }

    private static long FreeBytes()
    {
        foreach (var line in Text("/proc/meminfo").Split('\n'))
        {
            if (!line.StartsWith("MemAvailable:", StringComparison.Ordinal)) continue;
            return long.Parse(line["MemAvailable:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) * 1024;
        }

        return 0;
    }

    private static long Number(string id, string file)
    {
        var text = Text(PathOf(id, file)).Trim();
        return text == "max" ? 0 : long.Parse(text, CultureInfo.InvariantCulture);
    }

    private static Dictionary<string, long> Pairs(string id, string file) => Pairs(PathOf(id, file));

    private static Dictionary<string, long> Pairs(string path)
    {
        var pairs = new Dictionary<string, long>();
        foreach (var line in Text(path).Split('\n'))
        {
            var space = line.IndexOf(' ');
            if (space > 0 && long.TryParse(line.AsSpan(space + 1), CultureInfo.InvariantCulture, out var value)) pairs[line[..space]] = value;
        }

        return pairs;
    }

    private static void Write(string id, string file, long value)
    {
        using var control = File.OpenHandle(PathOf(id, file), FileMode.Open, FileAccess.Write);
        RandomAccess.Write(control, Encoding.ASCII.GetBytes(value == 0 ? "max" : value.ToString(CultureInfo.InvariantCulture)), 0);
    }

    private static string PathOf(string id, string file) => $"/sys/fs/cgroup/hull/{id}/{file}";

    private static string Text(string path) => Encoding.UTF8.GetString(AtomicFile.Read(path, 1 << 20));
}
