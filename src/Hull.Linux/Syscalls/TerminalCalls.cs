using Hull.Linux.Abi;

namespace Hull.Linux.Syscalls;

/// <summary>Modes of terminals (termios(3)).</summary>
public static unsafe class TerminalCalls
{
    // Bits of the four flag words, as cfmakeraw(3) clears them.
    private const uint InputCleared = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400;
    private const uint LocalCleared = 0x1 | 0x2 | 0x8 | 0x40 | 0x8000;
    private const uint SizeMask = 0x30, EightBits = 0x30, ParityEnabled = 0x100;

    /// <summary>Whether the descriptor is a terminal.</summary>
    public static bool IsTerminal(SafeFd descriptor)
    {
        var termios = default(KernelTermios);
        return ProcessCalls.Ioctl(descriptor.Value, Ioctl.TCGETS, ref termios) >= 0;
    }

    /// <summary>Makes a terminal raw and answers its former modes; null where it is no terminal.</summary>
    public static KernelTermios? TryMakeRaw(SafeFd terminal)
    {
        var before = default(KernelTermios);
        if (ProcessCalls.Ioctl(terminal.Value, Ioctl.TCGETS, ref before) < 0) return null;
        var raw = before;
        raw.c_iflag &= ~InputCleared;
        raw.c_oflag &= ~Ioctl.OPOST;
        raw.c_lflag &= ~LocalCleared;
        raw.c_cflag = (raw.c_cflag & ~(SizeMask | ParityEnabled)) | EightBits;
        // VTIME 5, VMIN 6: a read returns with the first byte.
        raw.c_cc[5] = 0;
        raw.c_cc[6] = 1;
        Check.Result(ProcessCalls.Ioctl(terminal.Value, Ioctl.TCSETS, ref raw), $"make the terminal raw");
        return before;
    }

    public static void Restore(SafeFd terminal, KernelTermios modes) => _ = ProcessCalls.Ioctl(terminal.Value, Ioctl.TCSETS, ref modes);
}
