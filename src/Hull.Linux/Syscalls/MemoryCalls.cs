using System.Globalization;
using System.Runtime.InteropServices;

namespace Hull.Linux.Syscalls;

/// <summary>What the C library and the kernel do with this process's memory.</summary>
public static partial class MemoryCalls
{
    private const int MADV_DONTNEED = 4;

    /// <summary>malloc_trim(3): gives free memory of the C library's heap back to the system.</summary>
    public static void TrimHeap() => _ = malloc_trim(0);

    /// <summary>
    /// Unmaps the pages of the program file that hold code and constants. They stay in the page cache and come back when
    /// they are touched; the kernel maps sixteen around each that is, so what is mapped after some work is mostly never used.
    /// </summary>
    public static void DropProgramPages()
    {
        var program = Environment.ProcessPath;
        (nint Start, nint End)? found = null;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            if (line[^1] != 'B' && line.IndexOf('-') is > 0 and < 17 && TryParse(line, out var start, out var end))
            {
                var rights = line.AsSpan(line.IndexOf(' ') + 1, 4);
                var constant = rights is "r-xp" or "r--p" && program is not null && line.EndsWith(program, StringComparison.Ordinal);
                found = constant ? (start, end) : null;
            }
            else if (found is { } range && line.StartsWith("Anonymous:", StringComparison.Ordinal))
            {
                // A page that was written to, as the loader does before it takes the right away, would be lost.
                // SAFETY: the range is a whole mapping of a file, without a page of its own; what is unmapped is read again.
                if (line.EndsWith(" 0 kB", StringComparison.Ordinal)) _ = madvise(range.Start, (nuint)(range.End - range.Start), MADV_DONTNEED);
                found = null;
            }
        }
    }

    private static bool TryParse(string line, out nint start, out nint end)
    {
        var dash = line.IndexOf('-');
        var space = line.IndexOf(' ');
        end = 0;
        return nint.TryParse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out start)
            && space > dash && nint.TryParse(line.AsSpan(dash + 1, space - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out end);
    }

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);

    [LibraryImport("libc")]
    private static partial int madvise(nint address, nuint length, int advice);
}
