using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Linux.Files;
using Hull.Network;

namespace Hull.Engine.Machines;

/// <content>What running machines use, as their monitors' processes show it.</content>
public sealed partial class MachineManager
{
    /// <summary>Usage of every machine that runs, oldest first. It is read from the kernel: no monitor is asked.</summary>
    public IReadOnlyList<(MachineView Machine, InstanceStats Usage)> Usage()
    {
        var all = new List<(MachineView, InstanceStats)>();
        foreach (var view in Machines.Where(view => view.Status != MachineStatus.Stopped))
        {
            if (view.Record.Monitor is not { } monitor) continue;
            try
            {
                all.Add((view, UsageOf(view.Record, $"/proc/{monitor.ProcessId}")));
            }
            catch (HullException)
            {
                // It ended after the list was made.
            }
        }

        return all;
    }

    private InstanceStats UsageOf(MachineRecord record, string process)
    {
        // proc_pid_stat(5), counted from the state, which follows the name in parentheses.
        var text = Read(process + "/stat");
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        var (user, kernel) = (Ticks(fields[11]), Ticks(fields[12]));
        var traffic = Table(process + "/io");
        return new InstanceStats
        {
            ReadAt = _clock.GetUtcNow(),
            Cpu = new CpuStats { Total = user + kernel, User = user, Kernel = kernel, SystemTotal = HostUsage.ProcessorTime(), OnlineCpus = Environment.ProcessorCount },
            Memory = new MemoryStats
            {
                Usage = Number(Read(process + "/statm").Split(' ')[1]) * (ulong)Environment.SystemPageSize,
                Limit = (ulong)record.Config.MemoryBytes,
            },
            Pids = new PidsStats(Number(fields[17])),
            Block = [new BlockStats(0, 0) { ReadBytes = traffic.GetValueOrDefault("read_bytes"), WriteBytes = traffic.GetValueOrDefault("write_bytes") }],
            Interfaces = Interfaces(record),
        };
    }

    private Dictionary<string, InterfaceStats> Interfaces(MachineRecord record)
    {
        var all = new Dictionary<string, InterfaceStats>();
        foreach (var endpoint in _options.Networks?.FindInstance(record.Id)?.Endpoints ?? [])
        {
            var directory = $"/sys/class/net/{endpoint.HostInterface}/statistics/";
            // What the tap receives is what the guest sends.
            if (endpoint.HostInterface is not null && Directory.Exists(directory))
                all[endpoint.InterfaceName] = new InterfaceStats { ReceivedBytes = Number(Read(directory + "tx_bytes")), SentBytes = Number(Read(directory + "rx_bytes")) };
        }

        return all;
    }

    /// <summary>proc(5) counts processor time in hundredths of a second.</summary>
    private static ulong Ticks(string text) => Number(text) * 10_000_000;

    private static ulong Number(string text) => ulong.Parse(text, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);

    private static string Read(string path) => Encoding.UTF8.GetString(AtomicFile.Read(path, 1 << 16));

    private static Dictionary<string, ulong> Table(string path) => Read(path).Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Split(": ")).Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => Number(pair[1]));
}
