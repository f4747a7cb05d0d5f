using Hull.Linux.Abi;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>Calls on what the kernel keeps beside the bytes of a file: type, mode, owner, times, extended attributes.</summary>
public static unsafe class MetadataCalls
{
    public static nint Statx(int directory, string path, int flags, uint mask, out Statx result)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: name and result are pinned for the call; the kernel fills one struct statx.
        fixed (byte* p = name)
        fixed (Statx* s = &result) return Kernel.Call(SYS_statx, directory, (nint)p, flags, (nint)mask, (nint)s);
    }

    public static nint FstatFs(int descriptor, out StatFs result)
    {
        // SAFETY: the kernel fills one struct statfs.
        fixed (StatFs* s = &result) return Kernel.Call(SYS_fstatfs, descriptor, (nint)s);
    }

    public static nint Fchmod(int descriptor, uint mode) => Kernel.Call(SYS_fchmod, descriptor, (nint)mode);

    /// <summary>fchmodat2(2), Linux 6.6: the only chmod that takes AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW.</summary>
    public static nint FchmodAt2(int directory, string path, uint mode, int flags)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_fchmodat2, directory, (nint)p, (nint)mode, flags);
    }

    /// <summary>fchmodat(2), which follows symbolic links: only for names known to be none.</summary>
    public static nint FchmodAt(int directory, string path, uint mode)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_fchmodat, directory, (nint)p, (nint)mode);
    }

    public static nint FchownAt(int directory, string path, uint user, uint group, int flags)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_fchownat, directory, (nint)p, (nint)user, (nint)group, flags);
    }

    public static nint UtimensAt(int directory, string path, TimeSpec accessed, TimeSpec modified, int flags)
    {
        var times = stackalloc TimeSpec[] { accessed, modified };
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is pinned; times are two struct timespec on this stack.
        fixed (byte* p = name) return Kernel.Call(SYS_utimensat, directory, (nint)p, (nint)times, flags);
    }

    /// <summary>Reads an attribute of an open file that is no O_PATH descriptor.</summary>
    public static nint FgetXattr(int descriptor, string attribute, Span<byte> value)
    {
        using var name = new CString(attribute, stackalloc byte[CString.StackSize]);
        // SAFETY: name and value are pinned; the value's length is given.
        fixed (byte* p = name)
        fixed (byte* v = value) return Kernel.Call(SYS_fgetxattr, descriptor, (nint)p, (nint)v, value.Length);
    }

    public static nint FsetXattr(int descriptor, string attribute, ReadOnlySpan<byte> value, int flags = 0)
    {
        using var name = new CString(attribute, stackalloc byte[CString.StackSize]);
        // SAFETY: name and value are pinned; the value's length is given.
        fixed (byte* p = name)
        fixed (byte* v = value) return Kernel.Call(SYS_fsetxattr, descriptor, (nint)p, (nint)v, value.Length, flags);
    }

    /// <summary>
    /// getxattr(2). It follows a link at the end of the path, as it must for the magic links of procfs: they lead to the open
    /// file itself, be that a symbolic link, and end there.
    /// </summary>
    public static nint GetXattr(string path, string attribute, Span<byte> value)
    {
        using var file = new CString(path, stackalloc byte[CString.StackSize]);
        using var name = new CString(attribute, stackalloc byte[CString.StackSize]);
        // SAFETY: names and value are pinned; the value's length is given.
        fixed (byte* f = file)
        fixed (byte* p = name)
        fixed (byte* v = value) return Kernel.Call(SYS_getxattr, (nint)f, (nint)p, (nint)v, value.Length);
    }

    /// <summary>setxattr(2); as <see cref="GetXattr"/>.</summary>
    public static nint SetXattr(string path, string attribute, ReadOnlySpan<byte> value, int flags = 0)
    {
        using var file = new CString(path, stackalloc byte[CString.StackSize]);
        using var name = new CString(attribute, stackalloc byte[CString.StackSize]);
        // SAFETY: names and value are pinned; the value's length is given.
        fixed (byte* f = file)
        fixed (byte* p = name)
        fixed (byte* v = value) return Kernel.Call(SYS_setxattr, (nint)f, (nint)p, (nint)v, value.Length, flags);
    }

    /// <summary>listxattr(2): the names, each ended by a NUL; as <see cref="GetXattr"/>.</summary>
    public static nint ListXattr(string path, Span<byte> names)
    {
        using var file = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: name and buffer are pinned; the buffer's length is given.
        fixed (byte* f = file)
        fixed (byte* n = names) return Kernel.Call(SYS_listxattr, (nint)f, (nint)n, names.Length);
    }

    public static nint RemoveXattr(string path, string attribute)
    {
        using var file = new CString(path, stackalloc byte[CString.StackSize]);
        using var name = new CString(attribute, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* f = file)
        fixed (byte* p = name) return Kernel.Call(SYS_removexattr, (nint)f, (nint)p);
    }

    /// <summary>What an open descriptor, O_PATH included, refers to.</summary>
    public static Statx Stat(SafeFd descriptor, uint mask = StatxMask.STATX_BASIC_STATS | StatxMask.STATX_MNT_ID)
    {
        Check.Result(Statx(descriptor.Value, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, mask, out var result), $"examine {descriptor}");
        return result;
    }
}
