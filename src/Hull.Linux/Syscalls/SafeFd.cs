using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using Microsoft.Win32.SafeHandles;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux;

/// <summary>
/// An open descriptor with one owner. Everything in Hull that opens a descriptor opens it close-on-exec; what a
/// child process gets is named one by one when it is started.
/// </summary>
public sealed class SafeFd : SafeHandle
{
    /// <summary>Takes ownership of an open descriptor.</summary>
    public SafeFd(int descriptor) : base(-1, ownsHandle: true) => SetHandle(descriptor);

    private SafeFd(int descriptor, bool owns) : base(-1, owns) => SetHandle(descriptor);

    /// <summary>A view of a descriptor that somebody else closes, such as 0, 1 and 2.</summary>
    public static SafeFd Borrow(int descriptor) => new(descriptor, owns: false);

    /// <summary>Takes a descriptor over from the runtime's own kind of handle, which no longer closes it.</summary>
    public static SafeFd Take(SafeFileHandle handle)
    {
        var taken = new SafeFd((int)handle.DangerousGetHandle());
        handle.SetHandleAsInvalid();
        return taken;
    }

    public override bool IsInvalid => handle < 0;

    /// <summary>The number, valid while this object is alive and not disposed.</summary>
    public int Value => IsClosed ? throw new ObjectDisposedException(nameof(SafeFd)) : (int)handle;

    /// <summary>A second descriptor, close-on-exec, of the same open file.</summary>
    public SafeFd Duplicate() =>
        Check.Descriptor(Syscalls.Kernel.Call(SYS_fcntl, Value, F_DUPFD_CLOEXEC, 0), $"duplicate descriptor {Value}");

    /// <summary>A second descriptor, close-on-exec, with a number of at least <paramref name="minimum"/>.</summary>
    public SafeFd DuplicateAbove(int minimum) =>
        Check.Descriptor(Syscalls.Kernel.Call(SYS_fcntl, Value, F_DUPFD_CLOEXEC, minimum), $"duplicate descriptor {Value}");

    /// <summary>Gives the number to a new owner; this object no longer closes it.</summary>
    public int Release()
    {
        var descriptor = Value;
        SetHandleAsInvalid();
        return descriptor;
    }

    /// <summary>Hands the descriptor over to a stream. This object no longer owns it.</summary>
    public FileStream ToStream(FileAccess access, int bufferSize = 0) =>
        new(new SafeFileHandle(Release(), ownsHandle: true), access, bufferSize, isAsync: false);

    protected override bool ReleaseHandle()
    {
        var result = Syscalls.Kernel.CallOnce(SYS_close, handle);
        return result >= 0 || result == -(nint)Errno.EINTR;
    }

    public override string ToString() => IsClosed ? "closed descriptor" : $"descriptor {handle}";
}
