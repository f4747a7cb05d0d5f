using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Cgroups;

/// <summary>inotify(7).</summary>
internal static unsafe class FileEvents
{
    internal static nint Watch(int descriptor, string path, uint mask)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_inotify_add_watch, descriptor, (nint)p, (nint)mask);
    }
}
