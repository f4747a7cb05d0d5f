using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Files;

/// <summary>
/// An advisory lock, flock(2), on a file made for it. It belongs to the open file, so it ends with this object or with
/// the process, whichever comes first. The holder may remove the file: who waited for it then takes the next one.
/// </summary>
public sealed class FileLock : IDisposable
{
    private readonly SafeFd _descriptor;

    private FileLock(SafeFd descriptor) => _descriptor = descriptor;

    /// <summary>Takes the lock, waiting for it.</summary>
    public static FileLock Acquire(string path, bool shared = false) => Take(path, shared, wait: true)!;

    /// <summary>Takes the lock where it is free; null where another holds it.</summary>
    public static FileLock? TryAcquire(string path, bool shared = false) => Take(path, shared, wait: false);

    /// <summary>
    /// Gives the lock back at once: closing alone would not while a child process that was just cloned, and has not come to
    /// its execve(2), still has a copy of the descriptor.
    /// </summary>
    public void Dispose()
    {
        if (!_descriptor.IsClosed) _ = FileCalls.Flock(_descriptor.Value, FileFlags.LOCK_UN);
        _descriptor.Dispose();
    }

    private static FileLock? Take(string path, bool shared, bool wait)
    {
        while (true)
        {
            var taken = TakeOnce(path, shared, wait);
            if (taken is null || taken._descriptor.Stat().Links > 0) return taken;
            taken.Dispose();
        }
    }

    private static FileLock? TakeOnce(string path, bool shared, bool wait)
    {
        var descriptor = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_NOFOLLOW, 0x180 /* 0600 */), $"open lock {path}");
        var operation = (shared ? FileFlags.LOCK_SH : FileFlags.LOCK_EX) | (wait ? 0 : FileFlags.LOCK_NB);
        var result = FileCalls.Flock(descriptor.Value, operation);
        if (result >= 0) return new FileLock(descriptor);
        descriptor.Dispose();
        if (result == -(nint)Errno.EAGAIN) return null;
        throw Check.Failure((Errno)(int)-result, $"lock {path}");
    }
}
