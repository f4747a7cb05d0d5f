using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;
using static Hull.Linux.Abi.Waiting;

namespace Hull.RuntimeCli.Commands;

/// <summary>Joins the caller's terminal with the container's: the one is set raw, bytes go both ways, the size follows.</summary>
internal sealed class TerminalRelay : IDisposable
{
    private readonly SafeFd _master;
    private readonly SafeFd _stdin = SafeFd.Borrow(0);
    private readonly SafeFd _stdout = SafeFd.Borrow(1);
    private readonly RawTerminal? _raw;

    private TerminalRelay(SafeFd master)
    {
        _master = master;
        _raw = RawTerminal.Enter(0);
        CopySize();
    }

    internal static TerminalRelay Start(SafeFd master) => new(master);

    internal void CopySize()
    {
        var size = default(WindowSize);
        if (ProcessCalls.Ioctl(_stdin.Value, Ioctl.TIOCGWINSZ, ref size) >= 0 && size.ws_col > 0) _ = ProcessCalls.Ioctl(_master.Value, Ioctl.TIOCSWINSZ, ref size);
    }

    /// <summary>Relays until the process has ended and all it wrote was read.</summary>
    internal void Run(SafeFd pidfd)
    {
        Span<byte> buffer = stackalloc byte[8192];
        Span<PollFd> poll = stackalloc PollFd[3];
        var inputOpen = true;
        var ended = false;
        while (true)
        {
            poll[0] = new PollFd { fd = _master.Value, events = POLLIN };
            poll[1] = new PollFd { fd = inputOpen ? 0 : -1, events = POLLIN };
            poll[2] = new PollFd { fd = ended ? -1 : pidfd.Value, events = POLLIN };
            var count = ProcessCalls.Poll(poll, ended ? 0 : -1);
            if (count == -(nint)Errno.EINTR) continue;
            if (count == 0 && ended) return;
            if (poll[2].revents != 0) ended = true;
            if (poll[0].revents != 0)
            {
                // EIO: the last process closed the other side.
                var read = FileCalls.Read(_master.Value, buffer);
                if (read <= 0) return;
                _stdout.WriteAll(buffer[..(int)read], "the terminal");
            }

            if (poll[1].revents != 0) inputOpen = Forward(buffer);
        }
    }

    public void Dispose() => _raw?.Dispose();

    private bool Forward(Span<byte> buffer)
    {
        var read = FileCalls.Read(_stdin.Value, buffer);
        if (read > 0)
        {
            _master.WriteAll(buffer[..(int)read], "the container's terminal");
            return true;
        }

        // The end of input, said as a terminal says it.
        _ = FileCalls.Write(_master.Value, [4]);
        return false;
    }
}
