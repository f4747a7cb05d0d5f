using System.Buffers.Binary;
using System.Globalization;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// The pages in which a process that has mapped a file privately differs from it: those the kernel has copied for it.
/// Pagemap tells them (Documentation/admin-guide/mm/pagemap.rst), whatever emulator is at work: no dirty bitmap of its own is trusted.
/// </summary>
internal static class PrivatePages
{
    private const int PageSize = 4096;
    private const ulong Present = 1UL << 63;
    private const ulong Swapped = 1UL << 62;
    private const ulong OfFile = 1UL << 61;

    /// <summary>Pages that did not change but lie between others are copied with them rather than left out.</summary>
    private const int Gap = 8;

    /// <summary>Writes the pages that a stopped process has changed over a copy of the file; answers their bytes.</summary>
    public static long CopyTo(int process, SafeFd file, SafeFd copy)
    {
        using var memory = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{process}/mem", Fcntl.O_RDONLY), $"open the memory of {process}");
        using var pagemap = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{process}/pagemap", Fcntl.O_RDONLY), $"open the page map of {process}");
        var buffer = new byte[1 << 20];
        var total = 0L;
        foreach (var (start, end, offset) in Mappings(process, file.Stat().Inode))
        {
            foreach (var (from, to) in Runs(pagemap, start, end))
            {
                for (var position = from; position < to;)
                {
                    var wanted = (int)Math.Min(buffer.Length, to - position);
                    var count = (int)Check.Result(FileCalls.ReadAt(memory.Value, buffer.AsSpan(0, wanted), position), $"read the memory of {process}");
                    if (count == 0) throw HullException.Corrupted($"the memory of {process} went away");
                    for (var written = 0; written < count;)
                    {
                        written += (int)Check.Result(FileCalls.WriteAt(copy.Value, buffer.AsSpan(written, count - written),
                            position - start + offset + written), $"write a copy of memory");
                    }

                    position += count;
                }

                total += to - from;
            }
        }

        return total;
    }

    private static IEnumerable<(long From, long To)> Runs(SafeFd pagemap, long start, long end)
    {
        var entries = new byte[(end - start) / PageSize * sizeof(ulong)];
        for (var read = 0; read < entries.Length;)
        {
            var count = (int)Check.Result(FileCalls.ReadAt(pagemap.Value, entries.AsSpan(read), start / PageSize * sizeof(ulong) + read), $"read a page map");
            if (count == 0) throw HullException.Corrupted("a page map is cut short");
            read += count;
        }

        var (first, last) = (-1, -1);
        for (var page = 0; page < entries.Length / sizeof(ulong); page++)
        {
            var entry = BinaryPrimitives.ReadUInt64LittleEndian(entries.AsSpan(page * sizeof(ulong)));
            if ((entry & (Present | Swapped)) == 0 || (entry & OfFile) != 0) continue;
            if (first >= 0 && page - last > Gap)
            {
                yield return (start + (long)first * PageSize, start + (long)(last + 1) * PageSize);
                first = -1;
            }

            if (first < 0) first = page;
            last = page;
        }

        if (first >= 0) yield return (start + (long)first * PageSize, start + (long)(last + 1) * PageSize);
    }

    /// <summary>Where the process has mapped the file, by proc_pid_maps(5).</summary>
    private static List<(long Start, long End, long Offset)> Mappings(int process, ulong inode)
    {
        var found = new List<(long, long, long)>();
        foreach (var line in File.ReadLines($"/proc/{process}/maps"))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 6 || fields[4] != inode.ToString(CultureInfo.InvariantCulture) || !fields[5].StartsWith("/memfd:", StringComparison.Ordinal)) continue;
            var range = fields[0].Split('-');
            found.Add((Hex(range[0]), Hex(range[1]), Hex(fields[2])));
        }

        return found.Count > 0 ? found : throw HullException.Internal($"process {process} has not mapped the memory of its template");

        static long Hex(string text) => long.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
