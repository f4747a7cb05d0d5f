using System.Globalization;
using System.Text;
using Hull.Linux.Files;

namespace Hull.Engine.Drivers;

/// <summary>Figures of the whole machine.</summary>
public static class HostUsage
{
    private static readonly Lazy<ulong> s_memory = new(ReadMemoryTotal);

    /// <summary>Bytes of memory of the machine.</summary>
    public static ulong MemoryTotal() => s_memory.Value;

    /// <summary>Nanoseconds that all processors have spent, idle time included; proc_stat(5) counts in hundredths of a second.</summary>
    public static ulong ProcessorTime()
    {
        var line = Encoding.ASCII.GetString(AtomicFile.Read("/proc/stat", 1 << 20)).Split('\n')[0];
        ulong ticks = 0;
        foreach (var field in line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(8))
            ticks += ulong.Parse(field, CultureInfo.InvariantCulture);
        return ticks * 10_000_000;
    }

    private static ulong ReadMemoryTotal()
    {
        var text = Encoding.ASCII.GetString(AtomicFile.Read("/proc/meminfo", 1 << 20));
        var line = text.Split('\n').First(line => line.StartsWith("MemTotal:", StringComparison.Ordinal));
        return ulong.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
