using System.Buffers.Binary;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Terminals;

/// <summary>
/// Puts a terminal into raw mode (termios(3), cfmakeraw): every byte goes through as it is typed, none is echoed,
/// none means a signal. Disposing it restores what was before.
/// </summary>
public sealed unsafe class RawTerminal : IDisposable
{
    // struct termios of asm/termbits.h: four flag words, the line discipline, 19 control characters.
    private const int Size = 36;
    private const int InputFlags = 0;
    private const int OutputFlags = 4;
    private const int ControlFlags = 8;
    private const int LocalFlags = 12;
    private const int ControlCharacters = 17;
    private const int MinimumBytes = 6;
    private const int Timeout = 5;

    // IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON.
    private const uint InputOff = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400;
    private const uint OutputOff = 0x1;                                  // OPOST
    private const uint LocalOff = 0x8 | 0x40 | 0x2 | 0x1 | 0x8000;       // ECHO, ECHONL, ICANON, ISIG, IEXTEN
    private const uint CharacterSize = 0x30;                             // CSIZE
    private const uint Parity = 0x100;                                   // PARENB
    private const uint EightBits = 0x30;                                 // CS8

    private readonly int descriptor;
    private readonly byte[] before;
    private bool restored;

    private RawTerminal(int descriptor, byte[] before) => (this.descriptor, this.before) = (descriptor, before);

    /// <summary>Null where the descriptor is no terminal.</summary>
    public static RawTerminal? Enter(int descriptor)
    {
        var settings = new byte[Size];
        if (Control(descriptor, Ioctl.TCGETS, settings) < 0) return null;
        var terminal = new RawTerminal(descriptor, [.. settings]);
        Change(settings, InputFlags, InputOff, 0);
        Change(settings, OutputFlags, OutputOff, 0);
        Change(settings, LocalFlags, LocalOff, 0);
        Change(settings, ControlFlags, CharacterSize | Parity, EightBits);
        settings[ControlCharacters + MinimumBytes] = 1;
        settings[ControlCharacters + Timeout] = 0;
        Check.Result(Control(descriptor, Ioctl.TCSETS, settings), $"put the terminal into raw mode");
        return terminal;
    }

    public void Dispose()
    {
        if (restored) return;
        restored = true;
        Control(descriptor, Ioctl.TCSETS, before);
    }

    private static void Change(byte[] settings, int offset, uint off, uint on)
    {
        // Flag words are in the byte order of the machine, which is little-endian on every architecture .NET compiles to.
        var word = BinaryPrimitives.ReadUInt32LittleEndian(settings.AsSpan(offset));
        BinaryPrimitives.WriteUInt32LittleEndian(settings.AsSpan(offset), (word & ~off) | on);
    }

    private static nint Control(int descriptor, uint request, byte[] settings)
    {
        // SAFETY: TCGETS writes and TCSETS reads one struct termios, and the array has its size.
        fixed (byte* s = settings) return Kernel.Call(SyscallNumber.SYS_ioctl, descriptor, (nint)request, (nint)s);
    }
}
