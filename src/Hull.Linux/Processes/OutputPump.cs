using System.Diagnostics;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Waiting;

namespace Hull.Linux.Processes;

/// <summary>Feeds a child's stdin and drains both its outputs at once, so that neither side can block the other.</summary>
internal sealed class OutputPump(SafeFd stdin, ReadOnlyMemory<byte> input, SafeFd stdout, SafeFd stderr, int capture) : IDisposable
{
    // A grandchild may keep the pipes open after the child has ended; what has come by then is the output.
    private const int DrainMilliseconds = 200;
    private const int TickMilliseconds = 100;
    private readonly MemoryStream _output = new(), _error = new();
    private ReadOnlyMemory<byte> _input = input;

    internal byte[] Output => _output.ToArray();

    internal byte[] Error => _error.ToArray();

    internal void Run(ChildProcess child, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        Check.Result(FileCalls.Fcntl(stdin.Value, Fcntl.F_SETFL, Fcntl.O_NONBLOCK), $"prepare the pipe to {child.Program}");
        if (_input.IsEmpty) stdin.Dispose();
        var start = Stopwatch.GetTimestamp();
        long? ended = null;
        Span<PollFd> poll = stackalloc PollFd[4];
        while (ended is null || !stdout.IsClosed || !stderr.IsClosed)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (timeout is { } limit && Stopwatch.GetElapsedTime(start) > limit)
                throw new HullException(ErrorKind.Timeout, $"{child.Program} did not end within {limit.TotalSeconds:0.###} s");
            if (ended is { } when && Stopwatch.GetElapsedTime(when).TotalMilliseconds > DrainMilliseconds) return;

            poll[0] = Entry(stdout, POLLIN);
            poll[1] = Entry(stderr, POLLIN);
            poll[2] = Entry(stdin, POLLOUT);
            poll[3] = ended is null ? Entry(child.Pidfd, POLLIN) : new PollFd { fd = -1 };
            var result = ProcessCalls.Poll(poll, TickMilliseconds);
            if (result == -(nint)Errno.EINTR) continue;
            Check.Result(result, $"wait for {child.Program}");
            if (poll[0].revents != 0) Drain(stdout, _output);
            if (poll[1].revents != 0) Drain(stderr, _error);
            if (poll[2].revents != 0) Feed();
            if (poll[3].revents != 0) ended = Stopwatch.GetTimestamp();
        }
    }

    public void Dispose()
    {
        stdin.Dispose();
        stdout.Dispose();
        stderr.Dispose();
    }

    private static PollFd Entry(SafeFd descriptor, short events) =>
        new() { fd = descriptor.IsClosed ? -1 : descriptor.Value, events = events };

    private void Drain(SafeFd from, MemoryStream to)
    {
        Span<byte> buffer = stackalloc byte[16384];
        var count = (int)Check.Result(FileCalls.Read(from.Value, buffer), $"read the output of a program");
        if (count == 0) from.Dispose();
        else to.Write(buffer[..(int)Math.Min(count, Math.Max(0, capture - to.Length))]);
    }

    private void Feed()
    {
        var result = FileCalls.Write(stdin.Value, _input.Span);
        if (result == -(nint)Errno.EAGAIN) return;
        // A child that closed its stdin has read what it wanted.
        _input = result < 0 ? default : _input[(int)result..];
        if (_input.IsEmpty) stdin.Dispose();
    }
}
