using System.Runtime.InteropServices;
using Hull.Linux.Abi;

namespace Hull.Linux.Syscalls;

/// <summary>
/// The one door to the kernel. Every call answers what syscall(2) defines for the kernel itself: a value, or a
/// negated error number. EINTR is handled here and nowhere else.
/// </summary>
public static unsafe partial class Kernel
{
    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint Syscall(nint number, nint a, nint b, nint c, nint d, nint e, nint f);

    /// <summary>The C library's <c>environ</c>.</summary>
    internal static nint Environment =>
        // SAFETY: environ is a variable of the C library that holds a pointer.
        *(nint*)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ");

    /// <summary>Calls the kernel, again for as long as a signal interrupts it.</summary>
    internal static nint Call(nint number, nint a = 0, nint b = 0, nint c = 0, nint d = 0, nint e = 0, nint f = 0)
    {
        nint result;
        do
        {
            result = CallOnce(number, a, b, c, d, e, f);
        }
        while (result == -(nint)Errno.EINTR);
        return result;
    }

    /// <summary>
    /// Calls the kernel once. For close(2), after which the descriptor is gone even on EINTR, and for waits with a
    /// relative timeout, which must not start anew.
    /// </summary>
    internal static nint CallOnce(nint number, nint a = 0, nint b = 0, nint c = 0, nint d = 0, nint e = 0, nint f = 0)
    {
        var result = Syscall(number, a, b, c, d, e, f);
        // The runtime keeps errno across the return from native code, so reading it here is not a race with the GC.
        return result == -1 ? -(nint)Marshal.GetLastSystemError() : result;
    }
}
