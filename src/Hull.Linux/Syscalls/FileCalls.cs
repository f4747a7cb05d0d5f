using Hull.Linux.Abi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>
/// Calls on files and directories, each the kernel's own with its result: a value or a negated error number.
/// Paths under somebody else's control go through <see cref="Files.RootDirectory"/> instead.
/// </summary>
public static unsafe class FileCalls
{
    public static nint OpenAt(int directory, string path, int flags, uint mode = 0)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_openat, directory, (nint)p, flags | Abi.Fcntl.O_CLOEXEC, (nint)mode);
    }

    /// <summary>openat2(2) with the walk restricted by <paramref name="resolve"/>; retries the races it reports with EAGAIN.</summary>
    public static nint OpenAt2(int directory, string path, int flags, ulong resolve, uint mode = 0)
    {
        var how = new OpenHow { flags = (ulong)(uint)(flags | Abi.Fcntl.O_CLOEXEC), mode = mode, resolve = resolve };
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        nint result;
        var attempts = 0;
        do
        {
            // SAFETY: name and how outlive the call; the size is that of struct open_how version 0.
            fixed (byte* p = name) result = Kernel.Call(SYS_openat2, directory, (nint)p, (nint)(&how), sizeof(OpenHow));
        }
        while (result == -(nint)Errno.EAGAIN && ++attempts < 1000);
        return result;
    }

    public static nint Read(int descriptor, Span<byte> buffer)
    {
        // SAFETY: the buffer is pinned and its length given.
        fixed (byte* p = buffer) return Kernel.Call(SYS_read, descriptor, (nint)p, buffer.Length);
    }

    public static nint Write(int descriptor, ReadOnlySpan<byte> buffer)
    {
        // SAFETY: the buffer is pinned and its length given.
        fixed (byte* p = buffer) return Kernel.Call(SYS_write, descriptor, (nint)p, buffer.Length);
    }

    public static nint ReadAt(int descriptor, Span<byte> buffer, long offset)
    {
        // SAFETY: the buffer is pinned and its length given.
        fixed (byte* p = buffer) return Kernel.Call(SYS_pread64, descriptor, (nint)p, buffer.Length, (nint)offset);
    }

    public static nint WriteAt(int descriptor, ReadOnlySpan<byte> buffer, long offset)
    {
        // SAFETY: the buffer is pinned and its length given.
        fixed (byte* p = buffer) return Kernel.Call(SYS_pwrite64, descriptor, (nint)p, buffer.Length, (nint)offset);
    }

    public static nint Close(int descriptor) => Kernel.CallOnce(SYS_close, descriptor);

    public static nint CloseRange(uint first, uint last, uint flags) => Kernel.Call(SYS_close_range, (nint)first, (nint)last, (nint)flags);

    public static nint Fcntl(int descriptor, int command, nint argument = 0) => Kernel.Call(SYS_fcntl, descriptor, command, argument);

    public static nint Dup3(int from, int to, int flags) => Kernel.Call(SYS_dup3, from, to, flags);

    public static nint Seek(int descriptor, long offset, int whence) => Kernel.Call(SYS_lseek, descriptor, (nint)offset, whence);

    public static nint Truncate(int descriptor, long length) => Kernel.Call(SYS_ftruncate, descriptor, (nint)length);

    public static nint Allocate(int descriptor, int mode, long offset, long length) =>
        Kernel.Call(SYS_fallocate, descriptor, mode, (nint)offset, (nint)length);

    public static nint Fsync(int descriptor) => Kernel.Call(SYS_fsync, descriptor);

    public static nint SyncFs(int descriptor) => Kernel.Call(SYS_syncfs, descriptor);

    public static nint Flock(int descriptor, int operation) => Kernel.Call(SYS_flock, descriptor, operation);

    public static nint GetDents(int descriptor, Span<byte> buffer)
    {
        // SAFETY: the buffer is pinned and its length given.
        fixed (byte* p = buffer) return Kernel.Call(SYS_getdents64, descriptor, (nint)p, buffer.Length);
    }

    /// <summary>A pair of connected descriptors, read end first.</summary>
    public static (SafeFd Read, SafeFd Write) Pipe(int flags = 0)
    {
        var ends = stackalloc int[2];
        // SAFETY: the kernel writes two ints.
        Check.Result(Kernel.Call(SYS_pipe2, (nint)ends, flags | Abi.Fcntl.O_CLOEXEC), $"create a pipe");
        return (new SafeFd(ends[0]), new SafeFd(ends[1]));
    }

    public static nint MkdirAt(int directory, string path, uint mode)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_mkdirat, directory, (nint)p, (nint)mode);
    }

    /// <summary>mknodat(2); the device number is made of <paramref name="major"/> and <paramref name="minor"/> as makedev(3) does.</summary>
    public static nint MknodAt(int directory, string path, uint mode, uint major, uint minor)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_mknodat, directory, (nint)p, (nint)mode, (nint)MakeDevice(major, minor));
    }

    /// <summary>The kernel's encoding of a device number (new_encode_dev); major 12 bits, minor 20.</summary>
    public static uint MakeDevice(uint major, uint minor) => (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xffu) << 12);

    public static nint UnlinkAt(int directory, string path, int flags = 0)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_unlinkat, directory, (nint)p, flags);
    }

    public static nint SymlinkAt(string target, int directory, string path)
    {
        using var to = new CString(target, stackalloc byte[CString.StackSize]);
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* t = to)
        fixed (byte* p = name) return Kernel.Call(SYS_symlinkat, (nint)t, directory, (nint)p);
    }

    public static nint LinkAt(int fromDirectory, string from, int toDirectory, string to, int flags = 0)
    {
        using var source = new CString(from, stackalloc byte[CString.StackSize]);
        using var target = new CString(to, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* s = source)
        fixed (byte* t = target) return Kernel.Call(SYS_linkat, fromDirectory, (nint)s, toDirectory, (nint)t, flags);
    }

    public static nint RenameAt2(int fromDirectory, string from, int toDirectory, string to, uint flags = 0)
    {
        using var source = new CString(from, stackalloc byte[CString.StackSize]);
        using var target = new CString(to, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* s = source)
        fixed (byte* t = target) return Kernel.Call(SYS_renameat2, fromDirectory, (nint)s, toDirectory, (nint)t, (nint)flags);
    }

    public static nint ReadLinkAt(int directory, string path, Span<byte> buffer)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: name and buffer are pinned; the buffer's length is given.
        fixed (byte* p = name)
        fixed (byte* b = buffer) return Kernel.Call(SYS_readlinkat, directory, (nint)p, (nint)b, buffer.Length);
    }

    public static nint ChdirTo(int directory) => Kernel.Call(SYS_fchdir, directory);

    /// <summary>memfd_create(2): an anonymous file in memory, close-on-exec, that may be sealed.</summary>
    public static nint MemfdCreate(string label, uint flags = FileFlags.MFD_ALLOW_SEALING)
    {
        using var name = new CString(label, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_memfd_create, (nint)p, (nint)(flags | FileFlags.MFD_CLOEXEC));
    }

    public static nint SendFile(int to, int from, long count) => Kernel.Call(SYS_sendfile, to, from, 0, (nint)count);

    /// <summary>sendfile(2) from a place in the file, which it moves on; the file's own position stays.</summary>
    public static nint SendFile(int to, int from, ref long offset, long count)
    {
        // SAFETY: loff_t is 64 bits wide and pinned for the call.
        fixed (long* o = &offset) return Kernel.Call(SYS_sendfile, to, from, (nint)o, (nint)count);
    }

    public static nint CopyFileRange(int from, int to, long count) =>
        Kernel.Call(SYS_copy_file_range, from, 0, to, 0, (nint)count, 0);
}
