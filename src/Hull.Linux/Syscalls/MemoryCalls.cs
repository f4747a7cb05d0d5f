using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Hull.Linux.Abi;

namespace Hull.Linux.Syscalls;

/// <summary>What the C library and the kernel do with this process's memory.</summary>
public static partial class MemoryCalls
{
    private const int MADV_DONTNEED = 4;

    /// <summary>Bytes of the kernel's random generator (getrandom(2)), which takes no library of its own to be loaded.</summary>
    public static unsafe byte[] RandomBytes(int count)
    {
        var bytes = new byte[count];
        // SAFETY: the array is pinned and counted.
        fixed (byte* pointer = bytes)
        {
            // Up to 256 bytes come at once, and whole.
            if (Check.Result(Kernel.Call(SyscallNumber.SYS_getrandom, (nint)pointer, count, 0), $"get random bytes") != count)
                throw Core.HullException.Invalid($"{count} random bytes are more than come at once");
        }

        return bytes;
    }

    /// <summary>malloc_trim(3): gives free memory of the C library's heap back to the system.</summary>
    public static void TrimHeap() => _ = malloc_trim(0);

    /// <summary>
    /// Unmaps the pages of the program file that hold code and constants. They stay in the page cache and come back when
    /// they are touched; the kernel maps sixteen around each that is, so what is mapped after some work is mostly never used.
    /// Takes next to nothing from the heap, because it comes behind the collection.
    /// </summary>
    public static void DropProgramPages()
    {
        var program = Encoding.UTF8.GetBytes(Environment.ProcessPath ?? "");
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/self/smaps", Fcntl.O_RDONLY);
        if (descriptor < 0 || program.Length == 0) return;
        using var file = new SafeFd((int)descriptor);
        Span<byte> buffer = stackalloc byte[8192];
        (nint Start, nint End) found = default;
        var count = 0;
        while (count < buffer.Length && FileCalls.Read(file.Value, buffer[count..]) is > 0 and var read)
        {
            count += (int)read;
            var start = 0;
            for (int length; (length = buffer[start..count].IndexOf((byte)'\n')) >= 0; start += length + 1)
                found = DropMapping(buffer.Slice(start, length), program, found);
            buffer[start..count].CopyTo(buffer);
            count -= start;
        }
    }

    /// <summary>Takes one line of smaps (proc_pid_smaps(5)); answers the mapping to drop once its anonymous pages are known.</summary>
    private static (nint Start, nint End) DropMapping(ReadOnlySpan<byte> line, ReadOnlySpan<byte> program, (nint Start, nint End) found)
    {
        if (line.StartsWith("Anonymous:"u8) && found.End != 0)
        {
            // A page that was written to, as the loader does before it takes the right away, would be lost.
            // SAFETY: the range is a whole mapping of a file, without a page of its own; what is unmapped is read again.
            if (line.EndsWith(" 0 kB"u8)) _ = madvise(found.Start, (nuint)(found.End - found.Start), MADV_DONTNEED);
            return default;
        }

        if (line.EndsWith(" kB"u8) || !line.EndsWith(program)) return found;
        var dash = line.IndexOf((byte)'-');
        var space = line.IndexOf((byte)' ');
        if (dash < 0 || space < dash || line.Length < space + 5) return default;
        var constant = line.Slice(space + 1, 4).SequenceEqual("r-xp"u8) || line.Slice(space + 1, 4).SequenceEqual("r--p"u8);
        return constant && nint.TryParse(line[..dash], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var start)
            && nint.TryParse(line[(dash + 1)..space], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var end) ? (start, end) : default;
    }

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);

    [LibraryImport("libc")]
    private static partial int madvise(nint address, nuint length, int advice);
}
