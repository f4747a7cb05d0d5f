using System.Net.Sockets;
using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Microsoft.Win32.SafeHandles;
using static Hull.Linux.Abi.Waiting;

namespace Hull.Linux.Files;

/// <summary>
/// Sends files to a non-blocking socket by sendfile(2) in the calling thread. Waiting for the socket in the thread that
/// goes on sending costs half the processor time of an event loop that hands each wake-up to a pool.
/// </summary>
public static class FileSender
{
    /// <summary>The most sendfile(2) moves at once (MAX_RW_COUNT of the kernel, rounded down).</summary>
    private const long MaximumCall = 1 << 30;

    /// <summary>
    /// Sends up to <paramref name="count"/> bytes from <paramref name="offset"/> and answers how many went: fewer where the
    /// peer took nothing for <paramref name="patience"/> (in milliseconds; 0 does not wait at all), or where the file ends.
    /// <paramref name="progressed"/> is called now and then while bytes move.
    /// Throws <see cref="IOException"/> where the connection is gone.
    /// </summary>
    public static long Send(SafeSocketHandle socket, SafeFileHandle file, long offset, long count, int patience, Action progressed)
    {
        // Both handles are held for as long as their numbers are used, so that neither is closed and given out anew.
        using var to = new Held(socket);
        using var from = new Held(file);
        var position = offset;
        var end = offset + count;
        while (position < end)
        {
            var result = FileCalls.SendFile(to.Number, from.Number, ref position, Math.Min(end - position, MaximumCall));
            if (result == 0) break;
            if (result > 0) progressed();
            else if (result != -(nint)Errno.EAGAIN) throw Broken((Errno)(int)-result);
            else if (!WaitWritable(to.Number, patience)) break;
        }

        return position - offset;
    }

    private static bool WaitWritable(int socket, int milliseconds)
    {
        if (milliseconds == 0) return false;
        Span<PollFd> poll = [new PollFd { fd = socket, events = POLLOUT }];
        while (true)
        {
            var result = ProcessCalls.Poll(poll, milliseconds);
            // Woken by an error or a hang-up too: the next attempt to send tells which.
            if (result != -(nint)Errno.EINTR) return Check.Result(result, $"wait for a connection") > 0;
        }
    }

    private static IOException Broken(Errno errno) => new($"send: {ErrnoText.Describe(errno)}", new ErrnoException(errno));

    private readonly ref struct Held
    {
        private readonly SafeHandle _handle;
        private readonly bool _taken;

        public Held(SafeHandle handle)
        {
            _handle = handle;
            handle.DangerousAddRef(ref _taken);
            Number = (int)handle.DangerousGetHandle();
        }

        public int Number { get; }

        public void Dispose()
        {
            if (_taken) _handle.DangerousRelease();
        }
    }
}
