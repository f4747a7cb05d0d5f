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

/// <summary>Operations on an open terminal.</summary>
public static class TerminalSession
{
    private const uint IGNBRK = 1, BRKINT = 2, PARMRK = 8, ISTRIP = 0x20, INLCR = 0x40, IGNCR = 0x80, ICRNL = 0x100, IXON = 0x400;
    private const uint ISIG = 1, ICANON = 2, ECHO = 8, ECHONL = 0x40, IEXTEN = 0x8000;
    private const uint CSIZE = 0x30, PARENB = 0x100, CS8 = 0x30;

    /// <summary>Passes every byte through as it is, both ways (cfmakeraw(3)).</summary>
    public static void MakeRaw(SafeFd terminal)
    {
        var settings = default(KernelTermios);
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TCGETS, ref settings), $"read the settings of {terminal}");
        settings.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        settings.c_oflag &= ~Ioctl.OPOST;
        settings.c_lflag &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        settings.c_cflag = (settings.c_cflag & ~(CSIZE | PARENB)) | CS8;
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TCSETS, ref settings), $"set {terminal} to raw");
    }

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

    public static bool IsTerminal(SafeFd descriptor)
    {
        var settings = default(KernelTermios);
        return ProcessCalls.Ioctl(descriptor.Value, Ioctl.TCGETS, ref settings) >= 0;
    }
}
