using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux.Files;

namespace Hull.Engine.Resources;

/// <summary>How the machine is off for memory.</summary>
/// <param name="Available">Bytes that programs can have without others losing theirs.</param>
/// <param name="Total">Bytes of the machine.</param>
/// <param name="StalledPercent">Part of the last ten seconds in which some program waited for memory; 0 where the kernel does not say.</param>
public readonly record struct MemoryPressure(long Available, long Total, double StalledPercent);

/// <summary>Tells how the machine is off for memory.</summary>
public interface IMemoryPressureSource
{
    MemoryPressure Read();
}

/// <summary>proc_meminfo(5), and pressure stall information (accounting/psi.rst) where the kernel has it.</summary>
internal sealed class HostMemoryPressure : IMemoryPressureSource
{
    private bool _hasStalls = File.Exists("/proc/pressure/memory");

    public MemoryPressure Read()
    {
        var text = Encoding.ASCII.GetString(AtomicFile.Read("/proc/meminfo", 1 << 16));
        return new MemoryPressure(Field(text, "MemAvailable:"), Field(text, "MemTotal:"), ReadStalls());
    }

    private static long Field(string text, string name)
    {
        var at = text.IndexOf(name, StringComparison.Ordinal) + name.Length;
        return long.Parse(text.AsSpan(at, text.IndexOf("kB", at, StringComparison.Ordinal) - at).Trim(), CultureInfo.InvariantCulture) << 10;
    }

    /// <summary><c>some avg10=0.12 avg60=…</c></summary>
    private double ReadStalls()
    {
        if (!_hasStalls) return 0;
        try
        {
            const string mark = "some avg10=";
            var text = Encoding.ASCII.GetString(AtomicFile.Read("/proc/pressure/memory", 4096));
            var at = text.IndexOf(mark, StringComparison.Ordinal) + mark.Length;
            return double.Parse(text.AsSpan(at, text.IndexOf(' ', at) - at), CultureInfo.InvariantCulture);
        }
        catch (HullException)
        {
            // Built in and turned off (psi=0): reading answers EOPNOTSUPP.
            _hasStalls = false;
            return 0;
        }
    }
}
