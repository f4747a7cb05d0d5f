using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Shim.Runtimes;

/// <summary>The socket on which an OCI runtime hands over the master side of the terminal it made (runc's --console-socket).</summary>
internal sealed class ConsoleListener : IDisposable
{
    private readonly SafeFd _socket;

    public ConsoleListener(string path)
    {
        Path = path;
        _ = FileCalls.UnlinkAt(Fcntl.AT_FDCWD, path);
        _socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_STREAM | Sockets.SOCK_NONBLOCK);
        Check.Result(SocketCalls.Bind(_socket.Value, SocketCalls.UnixAddress(path)), $"bind {path}");
        Check.Result(SocketCalls.Listen(_socket.Value, 1), $"listen on {path}");
    }

    public string Path { get; }

    /// <summary>The terminal. The runtime has ended by now, so the message is there or never comes.</summary>
    public SafeFd Receive()
    {
        using var connection = Check.Descriptor(SocketCalls.Accept(_socket.Value), $"accept the runtime's terminal");
        var descriptors = new List<SafeFd>();
        Check.Result(SocketCalls.Receive(connection.Value, new byte[4096], descriptors, Sockets.MSG_DONTWAIT), $"receive the runtime's terminal");
        if (descriptors.Count == 0) throw HullException.Internal("the runtime sent no terminal");
        for (var i = 1; i < descriptors.Count; i++) descriptors[i].Dispose();
        return descriptors[0];
    }

    public void Dispose()
    {
        _socket.Dispose();
        _ = FileCalls.UnlinkAt(Fcntl.AT_FDCWD, Path);
    }
}
