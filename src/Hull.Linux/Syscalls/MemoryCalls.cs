using System.Runtime.InteropServices;
using Hull.Linux.Abi;

namespace Hull.Linux.Syscalls;

/// <summary>What the C library and the kernel do with this process's memory.</summary>
public static partial class MemoryCalls
{
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

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);
}
