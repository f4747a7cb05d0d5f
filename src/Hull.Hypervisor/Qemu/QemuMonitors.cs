using System.Globalization;
using System.Text;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

/// <summary>The monitors that run on this host, whoever started them: what an engine looks at after it was away.</summary>
public static class QemuMonitors
{
    private const string Prefix = "hull-";
    private const string Suffix = ",debug-threads=on";

    /// <summary>Process ids of the monitors by <see cref="VirtualMachineConfig.Id"/>, which each names on its command line.</summary>
    public static IReadOnlyDictionary<string, int> Find()
    {
        var found = new Dictionary<string, int>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var process)) continue;
            if (MachineOf(directory) is { } machine) found[machine] = process;
        }

        return found;
    }

    /// <summary>Ends a monitor at once and waits until it is gone.</summary>
    public static async Task EndAsync(int process, CancellationToken cancellationToken = default)
    {
        var result = ProcessCalls.PidfdOpen(process);
        if (result < 0) return;
        using var monitor = ChildProcess.AdoptStranger(process, new SafeFd((int)result), "qemu");
        monitor.Kill(9);
        await monitor.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    internal static string NameOf(string machineId) => Prefix + machineId + Suffix;

    private static string? MachineOf(string directory)
    {
        string[] words;
        try
        {
            words = Encoding.UTF8.GetString(AtomicFile.Read(directory + "/cmdline", 1 << 17)).Split('\0');
        }
        catch (HullException)
        {
            return null; // It ended while this looked.
        }

        return words is [_, "-name", var name, ..] && name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Suffix, StringComparison.Ordinal)
            ? name[Prefix.Length..^Suffix.Length] : null;
    }
}
