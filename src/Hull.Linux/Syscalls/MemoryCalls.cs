using System.Runtime.InteropServices;

namespace Hull.Linux.Syscalls;

/// <summary>What the C library does with this process's memory.</summary>
public static partial class MemoryCalls
{
    /// <summary>malloc_trim(3): gives free memory of the C library's heap back to the system.</summary>
    public static void TrimHeap() => _ = malloc_trim(0);

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);
}
