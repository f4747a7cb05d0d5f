using System.Globalization;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Tracing;

/// <summary>Memory of another process (proc_pid_mem(5)), which needs the rights of ptrace(2).</summary>
internal sealed class ProcessMemory : IDisposable
{
    private readonly SafeFd _memory;

    private ProcessMemory(SafeFd memory) => _memory = memory;

    public static ProcessMemory Open(int process) =>
        new(Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{process}/mem", Fcntl.O_RDWR), $"open the memory of {process}"));

    public void Read(ulong address, Span<byte> bytes)
    {
        if (Check.Result(FileCalls.ReadAt(_memory.Value, bytes, (long)address), $"read memory") != bytes.Length)
            throw HullException.Internal($"cannot read {bytes.Length} bytes of a process");
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (Check.Result(FileCalls.WriteAt(_memory.Value, bytes, (long)address), $"write memory") != bytes.Length)
            throw HullException.Internal($"cannot write {bytes.Length} bytes of a process");
    }

    /// <summary>Mappings that the process keeps from its children (flag <c>dc</c> of smaps, MADV_DONTFORK).</summary>
    public static IReadOnlyList<(ulong Start, ulong End)> NotInherited(int process)
    {
        var found = new List<(ulong, ulong)>();
        (ulong Start, ulong End) current = default;
        foreach (var line in File.ReadLines($"/proc/{process}/smaps"))
        {
            if (line.StartsWith("VmFlags:", StringComparison.Ordinal))
            {
                if (line.Contains(" dc ", StringComparison.Ordinal)) found.Add(current);
            }
            else if (char.IsAsciiHexDigitLower(line[0]))
            {
                current = Range(line);
            }
        }

        return found;
    }

    /// <summary>Where the command line lies (fields 48 and 49 of proc_pid_stat(5)).</summary>
    public static (ulong Start, ulong End) CommandLine(int process)
    {
        var text = File.ReadAllText($"/proc/{process}/stat");
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (ulong.Parse(fields[45], CultureInfo.InvariantCulture), ulong.Parse(fields[46], CultureInfo.InvariantCulture));
    }

    public void Dispose() => _memory.Dispose();

    private static (ulong Start, ulong End) Range(string line)
    {
        var (dash, space) = (line.IndexOf('-'), line.IndexOf(' '));
        return (ulong.Parse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            ulong.Parse(line.AsSpan(dash + 1, space - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }
}
