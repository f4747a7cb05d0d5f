using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Monitor;

/// <summary>What the commands of the runtime ask of the monitor process of a machine.</summary>
internal enum MonitorRequest : byte
{
    Start = 1,
    Signal = 2,

    /// <summary>With the three standard streams as descriptors. Answered by the pid, and by the exit code at the end.</summary>
    Exec = 3,
    Status = 4,
    Resize = 5,

    /// <summary>Answered by what the guest's kernel counts.</summary>
    Statistics = 6,
    Processes = 7,

    /// <summary>New limits: memory in bytes and processes, -1 for those that stay.</summary>
    Update = 8,

    /// <summary>Copies files, with descriptors for input, output and errors. Answered by the exit code at the end.</summary>
    Archive = 9,

    /// <summary>
    /// With a memory file as descriptor: saves the machine into it and into a directory. Answered by the id that its
    /// container has in the guest and the microseconds it stood still.
    /// </summary>
    Save = 10,

    /// <summary>Bytes that the guest is to do with, -1 for all, 0 for no change. Answered by what it has.</summary>
    Balloon = 11,

    /// <summary>
    /// Of a supervisor to a resident monitor, with the three standard streams: the runtime's root, the id and the bundle. Known to
    /// Hull.Shim, which shares no code with this.
    /// </summary>
    Create = 12,

    /// <summary>
    /// With a directory: makes a twin of the machine that stands still for as long as the connection is open. Answered as
    /// <see cref="Save"/>, by the path of the template's memory and by a <see cref="Templates.LiveTemplate"/>.
    /// </summary>
    Hold = 13,
}

internal enum MonitorReply : byte
{
    Done = 1,
    Failed = 2,
    Exited = 3,
}

/// <summary>One connection of the monitor's socket: messages with a boundary each (SOCK_SEQPACKET), and descriptors with them.</summary>
internal sealed class MonitorConnection(SafeFd socket) : IDisposable
{
    private const int MaximumMessage = 1 << 20;

    public const string SocketName = "monitor.sock";

    /// <summary>What answers a request that failed.</summary>
    public static WireWriter Failure(HullException failure) =>
        new WireWriter().U8((byte)MonitorReply.Failed).U32((uint)failure.Kind).Text(failure.FullMessage);

    public SafeFd Socket => socket;

    public static MonitorConnection Open(string directory)
    {
        try
        {
            using var parent = OpenDirectory(directory);
            return new MonitorConnection(SocketCalls.ConnectUnix(ShortPath(parent), Sockets.SOCK_SEQPACKET));
        }
        catch (HullException cause)
        {
            throw new HullException(ErrorKind.NotFound, $"no machine answers at {Path.Combine(directory, SocketName)}", cause);
        }
    }

    /// <summary>Listens in a machine's directory, for its owner alone.</summary>
    public static SafeFd Listen(string directory)
    {
        using var parent = OpenDirectory(directory);
        var listener = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_SEQPACKET);
        var mask = ProcessCalls.Umask(0x3F);
        Check.Result(SocketCalls.Bind(listener.Value, SocketCalls.UnixAddress(ShortPath(parent))), $"bind {SocketName} in {directory}");
        ProcessCalls.Umask(mask);
        Check.Result(SocketCalls.Listen(listener.Value, 128), $"listen on {SocketName} in {directory}");
        return listener;
    }

    public void Send(WireWriter message, params ReadOnlySpan<int> descriptors) =>
        Check.Result(SocketCalls.Send(socket.Value, message.Written.Span, descriptors), $"send to a machine's monitor");

    /// <summary>The next message; null when the other side is gone.</summary>
    public WireReader? Receive(List<SafeFd> descriptors)
    {
        var buffer = new byte[MaximumMessage];
        var count = SocketCalls.Receive(socket.Value, buffer, descriptors);
        return count <= 0 ? null : new WireReader(buffer.AsMemory(0, (int)count));
    }

    /// <summary>Makes a request and waits for its answer; a failure is thrown as it happened there.</summary>
    public WireReader Request(WireWriter message, params ReadOnlySpan<int> descriptors)
    {
        Send(message, descriptors);
        var answer = Receive([]) ?? throw new HullException(ErrorKind.Unavailable, "the machine is gone");
        if ((MonitorReply)answer.U8() != MonitorReply.Failed) return answer;
        throw new HullException((ErrorKind)answer.U32(), answer.Text());
    }

    public void Dispose() => socket.Dispose();

    private static SafeFd OpenDirectory(string path) =>
        Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {path}");

    /// <summary>A path that fits into an address, which has room for 107 bytes only (unix(7)), however long the directory's is.</summary>
    private static string ShortPath(SafeFd directory) => $"/proc/self/fd/{directory.Value}/{SocketName}";
}
