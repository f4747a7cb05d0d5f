using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Terminals;

/// <summary>A new pseudo terminal (pts(4)): what is written to one end is read at the other.</summary>
public sealed class PseudoTerminal : IDisposable
{
    private PseudoTerminal(SafeFd master, SafeFd slave) => (Master, Slave) = (master, slave);

    public SafeFd Master { get; }

    public SafeFd Slave { get; }

    /// <summary>The slave is opened through the master, so no name in a devpts has to be trusted.</summary>
    public static PseudoTerminal Create()
    {
        var master = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/ptmx", Fcntl.O_RDWR | Fcntl.O_NOCTTY), $"open /dev/ptmx");
        try
        {
            var unlocked = 0;
            Check.Result(ProcessCalls.Ioctl(master.Value, Ioctl.TIOCSPTLCK, ref unlocked), $"unlock a terminal");
            var slave = Check.Descriptor(
                ProcessCalls.Ioctl(master.Value, Ioctl.TIOCGPTPEER, Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_CLOEXEC), $"open a terminal");
            return new PseudoTerminal(master, slave);
        }
        catch
        {
            master.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Master.Dispose();
        Slave.Dispose();
    }
}

/// <summary>The session and the size of a terminal; its modes are <see cref="Syscalls.TerminalCalls"/>'.</summary>
public static class TerminalSession
{
    /// <summary>Makes it the terminal of the calling session leader, which then gets its signals.</summary>
    public static void MakeControlling(SafeFd terminal) =>
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TIOCSCTTY), $"make {terminal} the controlling terminal");

    /// <summary>Characters per line and lines.</summary>
    public static (int Columns, int Rows) GetSize(SafeFd terminal)
    {
        var size = default(WindowSize);
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TIOCGWINSZ, ref size), $"read the size of {terminal}");
        return (size.ws_col, size.ws_row);
    }

    public static void SetSize(SafeFd terminal, int columns, int rows)
    {
        var size = new WindowSize { ws_col = (ushort)columns, ws_row = (ushort)rows };
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TIOCSWINSZ, ref size), $"set the size of {terminal}");
    }
}
