using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Hull.Linux.Abi;

namespace Hull.Linux.Syscalls;

/// <summary>
/// Pages of the program and its libraries that this process has mapped and has not written to. The kernel maps sixteen around
/// each that is touched, so what is mapped after some work is mostly never used. They stay in the page cache and come back when
/// they are touched. Takes next to nothing from the heap, because it comes behind a collection.
/// </summary>
public static partial class FilePages
{
    private const int MADV_DONTNEED = 4;
    private const int MADV_PAGEOUT = 21;
    private const int POSIX_FADV_WILLNEED = 3;

    /// <summary>More than a program with a dozen libraries has; of further ones the pages stay mapped.</summary>
    private const int MostMappings = 64;

    /// <summary>Unmaps code and constants.</summary>
    /// <param name="data">Unmaps the program's data too, for the most part tables that nobody writes to.</param>
    public static void Drop(bool data)
    {
        Span<Mapping> mappings = stackalloc Mapping[MostMappings];
        // The search comes first: what it takes of the program would be mapped again behind it.
        mappings = mappings[..Find(mappings)];
        if (data) PageOutData(mappings);
        foreach (var mapping in mappings)
        {
            // A page that was written to, as the loader does before it takes the right away, would be lost.
            // SAFETY: the range is a whole private mapping of a file, without a page of its own; what is unmapped is read again.
            if (mapping is { Writable: false, Written: false }) _ = madvise(mapping.Start, mapping.Length, MADV_DONTNEED);
        }
    }

    /// <summary>
    /// Other threads may write to the program's data at this moment, so the kernel is left to tell which pages are still the
    /// file's: MADV_PAGEOUT (madvise(2)) takes those out of the page cache as well, and they are asked back to there. What another
    /// process of the same program has mapped is left alone; what was written to goes to swap, where there is some.
    /// </summary>
    private static void PageOutData(ReadOnlySpan<Mapping> mappings)
    {
        using var program = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe", Fcntl.O_RDONLY), $"open this program");
        foreach (var mapping in mappings)
        {
            if (mapping is not { OfProgram: true, Writable: true }) continue;
            // SAFETY: the advice changes the contents of no page.
            if (madvise(mapping.Start, mapping.Length, MADV_PAGEOUT) == 0)
                _ = posix_fadvise(program.Value, (nint)mapping.Offset, (nint)mapping.Length, POSIX_FADV_WILLNEED);
        }
    }

    /// <summary>Private mappings of files, as far as there is room for them; answers how many there are.</summary>
    private static int Find(Span<Mapping> mappings)
    {
        var program = Encoding.UTF8.GetBytes(Environment.ProcessPath ?? "");
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/self/smaps", Fcntl.O_RDONLY);
        if (descriptor < 0) return 0;
        using var smaps = new SafeFd((int)descriptor);
        Span<byte> buffer = stackalloc byte[8192];
        var (found, isLast, count) = (0, false, 0);
        while (count < buffer.Length && FileCalls.Read(smaps.Value, buffer[count..]) is > 0 and var read)
        {
            count += (int)read;
            var start = 0;
            for (int length; (length = buffer[start..count].IndexOf((byte)'\n')) >= 0; start += length + 1)
            {
                var line = buffer.Slice(start, length);
                if (line is not [>= (byte)'A' and <= (byte)'Z', ..])
                {
                    if (found == mappings.Length) return found;
                    isLast = Mapping.TryParse(line, program, out mappings[found]);
                    if (isLast) found++;
                }
                else if (isLast && line.StartsWith("Anonymous:"u8)) mappings[found - 1].Written = !line.EndsWith(" 0 kB"u8);
            }

            buffer[start..count].CopyTo(buffer);
            count -= start;
        }

        return found;
    }

    /// <summary>A private mapping of a file.</summary>
    private struct Mapping
    {
        public nint Start;
        public nuint Length;
        public long Offset;
        public bool Writable;
        public bool OfProgram;

        /// <summary>Some page was written to, and is the process's own.</summary>
        public bool Written;

        /// <summary>Takes the first line of a mapping (proc_pid_smaps(5)): <c>address perms offset dev inode pathname</c>.</summary>
        public static bool TryParse(ReadOnlySpan<byte> line, ReadOnlySpan<byte> program, out Mapping mapping)
        {
            mapping = default;
            var (dash, space) = (line.IndexOf((byte)'-'), line.IndexOf((byte)' '));
            if (dash < 0 || space < dash || line.Length < space + 15 || line[space + 4] != (byte)'p' || line.IndexOf(" /"u8) < 0) return false;
            var offset = line[(space + 6)..];
            if (!TryParse(line[..dash], out var start) || !TryParse(line[(dash + 1)..space], out var end)
                || !TryParse(offset[..Math.Max(0, offset.IndexOf((byte)' '))], out mapping.Offset)) return false;
            (mapping.Start, mapping.Length) = ((nint)start, (nuint)(end - start));
            mapping.Writable = line[space + 2] == (byte)'w';
            mapping.OfProgram = line.EndsWith(program);
            return true;
        }

        private static bool TryParse(ReadOnlySpan<byte> digits, out long number) =>
            long.TryParse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out number);
    }

    [LibraryImport("libc")]
    private static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport("libc")]
    private static partial int posix_fadvise(int descriptor, nint offset, nint length, int advice);
}
