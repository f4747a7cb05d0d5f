using System.Runtime;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Startup;

/// <summary>
/// The runtime's protection from being overwritten (CVE-2019-5736), before the managed world is set up: a program that must
/// execute itself again does so here for the price of a C program, instead of setting up everything twice.
/// <para>
/// Only a program that names <c>hull_start</c> as its DT_INIT function has it called, by the C library with the arguments of
/// main. It is no more than a short cut: whatever fails here is left to the managed code of the same meaning.
/// </para>
/// <para>
/// There is no managed runtime yet. So: no allocation, no exception, no static field, and calls of the C library only
/// without a transition, which is what <see cref="SuppressGCTransitionAttribute"/> makes of them.
/// </para>
/// </summary>
internal static unsafe partial class EarlyProtection
{
    /// <summary>Executes this program again from a read-only clone of its mount, if its command line starts a container's process.</summary>
    [RuntimeExport("hull_start")]
    private static void Start(int count, byte** arguments, byte** environment)
    {
        var starts = false;
        for (var i = 1; i < count && !starts; i++) starts = Is(arguments[i], "run\0"u8) || Is(arguments[i], "exec\0"u8) || Is(arguments[i], "create\0"u8);
        if (!starts) return;

        // SAFETY: all pointers are of this frame, of constants with a NUL, or the C library's own.
        fixed (byte* exe = "/proc/self/exe\0"u8)
        fixed (byte* empty = "\0"u8)
        {
            Syscall(SYS_prctl, Prctl.PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
            var self = Syscall(SYS_openat, AT_FDCWD, (nint)exe, O_RDONLY | O_CLOEXEC, 0, 0, 0);
            if (self < 0) return;
            var clone = IsProtected(self) ? -1 : Syscall(SYS_open_tree, self, (nint)empty, (nint)(OPEN_TREE_CLONE | (uint)O_CLOEXEC | (uint)AT_EMPTY_PATH), 0, 0, 0);
            if (clone >= 0)
            {
                var attributes = new MountAttr { attr_set = MOUNT_ATTR_RDONLY, propagation = MountFlags.MS_PRIVATE };
                if (Syscall(SYS_mount_setattr, clone, (nint)empty, AT_EMPTY_PATH, (nint)(&attributes), sizeof(MountAttr), 0) == 0)
                    Syscall(SYS_execveat, clone, (nint)empty, (nint)arguments, (nint)environment, AT_EMPTY_PATH, 0);
                Syscall(SYS_close, clone, 0, 0, 0, 0, 0);
            }

            Syscall(SYS_close, self, 0, 0, 0, 0, 0);
        }
    }

    private static bool IsProtected(nint self)
    {
        StatFs status;
        // SAFETY: the kernel fills one struct statfs of this frame.
        if (Syscall(SYS_fstatfs, self, (nint)(&status), 0, 0, 0, 0) == 0 && (status.f_flags & StatFs.ST_RDONLY) != 0) return true;
        var seals = Syscall(SYS_fcntl, self, F_GET_SEALS, 0, 0, 0, 0);
        return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
    }

    private static bool Is(byte* text, ReadOnlySpan<byte> word)
    {
        // SAFETY: text ends with a NUL and so does the word: the loop ends at the first difference or after the word's NUL.
        for (var i = 0; i < word.Length; i++)
        {
            if (text[i] != word[i]) return false;
        }

        return true;
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial nint Syscall(nint number, nint a, nint b, nint c, nint d, nint e, nint f);
}
