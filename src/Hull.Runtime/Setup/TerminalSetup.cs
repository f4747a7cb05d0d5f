using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Runtime.Setup;

/// <summary>
/// The pseudo-terminal of a process. It comes from the container's own devpts; the other side is got by an ioctl on the
/// master and never by a name, which the container could have replaced (CVE-2025-52565).
/// </summary>
internal static class TerminalSetup
{
    /// <summary>Message of the child that carries the master.</summary>
    internal const byte TerminalMaster = (byte)'t';

    /// <summary>Opens the pair below a root (or an entered one) and sends the master away.</summary>
    internal static void Open(SetupSlots slots, Argument root, ProcessSpec process)
    {
        var program = slots.Program;
        program.OpenAt2(slots.Terminal, root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS, "/dev/pts/ptmx for the terminal");
        program.ExpectFileSystem(slots.Terminal, Magic.DEVPTS_SUPER_MAGIC, "use as a terminal", "/dev/pts/ptmx, which is not of a devpts");
        program.Ioctl(slots.Terminal, Ioctl.TIOCSPTLCK, program.Struct(0), "unlock the terminal");
        program.Ioctl(slots.Terminal, Ioctl.TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC, "open the terminal's other side", slots.TerminalPeer);
        if (process.ConsoleSize is { } size)
        {
            program.Ioctl(slots.Terminal, Ioctl.TIOCSWINSZ,
                program.Struct(new WindowSize { ws_row = (ushort)size.Height, ws_col = (ushort)size.Width }), "set the terminal's size");
        }

        if (process.User is { Uid: not 0 } user) program.FchownAt(slots.TerminalPeer, "", user.Uid, uint.MaxValue, AT_EMPTY_PATH).Ignore();
        program.SendDescriptor(slots.Socket, TerminalMaster, slots.Terminal);
        program.Close(slots.Terminal);
    }

    /// <summary>Sends the master to the console socket, or answers it for the caller.</summary>
    internal static SafeFd? Deliver(SafeFd master, ProcessOptions options)
    {
        if (options.ConsoleSocket is not { } path) return master;
        using (master)
        using (var socket = SocketCalls.ConnectUnix(path))
        {
            Check.Result(SocketCalls.Send(socket.Value, "/dev/pts/ptmx"u8, [master.Value]), $"send the terminal to {path}");
        }

        return null;
    }

    /// <summary>Mounts the terminal at /dev/console.</summary>
    internal static void AddConsole(SetupContext context)
    {
        var program = context.Program;
        MountTargets.Ensure(context, "/dev/console", directory: false, strict: true);
        program.OpenTree(context.Mount, context.TerminalPeer, "", OPEN_TREE_CLONE | (uint)AT_EMPTY_PATH, "/dev/console");
        program.MoveMount(context.Mount, context.Target, "/dev/console");
        program.Close(context.Mount);
        program.Close(context.Target);
    }
}

/// <summary>Slots that the setup of a container and that of an exec both have.</summary>
internal readonly record struct SetupSlots(ChildProgram Program, Argument Socket, Slot Proc, Slot Terminal, Slot TerminalPeer);
