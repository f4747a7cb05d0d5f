using System.Buffers.Binary;
using System.Text;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Shim.Logging;

/// <summary>
/// The journal's native protocol (systemd, "Native Journal Protocol"): one datagram per entry, each field as
/// <c>NAME\n</c>, a 64-bit length and the bytes, so that any byte can be part of a message.
/// </summary>
internal sealed class JournaldLog : LogSink
{
    private const string Socket = "/run/systemd/journal/socket";
    private readonly byte[] _fields;
    private SafeFd? _socket;

    public JournaldLog(LogMessage log)
    {
        var fields = new StringBuilder();
        for (var i = 0; i + 1 < log.Options.Length; i += 2)
        {
            // Fields of the journal are upper case; the engine's own options for this driver are not fields.
            var (name, value) = (log.Options[i], log.Options[i + 1]);
            if (name.All(c => c is (>= 'A' and <= 'Z') or '_' or (>= '0' and <= '9')))
                fields.Append(name).Append('=').Append(value.ReplaceLineEndings(" ")).Append('\n');
        }

        _fields = Encoding.UTF8.GetBytes(fields.ToString());
    }

    public override void Dispose() => _socket?.Dispose();

    protected override void Entry(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        var partial = bytes[^1] != (byte)'\n';
        var message = partial ? bytes : bytes[..^1];
        var buffer = new ArrayWriter(_fields.Length + message.Length + 96);
        buffer.Put(stream == LogStream.Output ? "PRIORITY=6\n"u8 : "PRIORITY=3\n"u8);
        if (partial) buffer.Put("CONTAINER_PARTIAL_MESSAGE=true\n"u8);
        buffer.Put(_fields);
        buffer.Put("MESSAGE\n"u8);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, message.Length);
        buffer.Put(length);
        buffer.Put(message);
        buffer.Put("\n"u8);
        Send(buffer.Bytes);
    }

    /// <summary>The journal may be restarted at any time; then the socket is opened anew, once per entry.</summary>
    private void Send(ReadOnlySpan<byte> datagram)
    {
        for (var attempt = 0; attempt < 2; attempt++)
        {
            _socket ??= TryConnect(Socket);
            if (_socket is null) return;
            if (SocketCalls.Send(_socket.Value, datagram) >= 0) return;
            _socket.Dispose();
            _socket = null;
        }
    }

    internal static SafeFd? TryConnect(string path)
    {
        var socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        if (SocketCalls.Connect(socket.Value, SocketCalls.UnixAddress(path)) >= 0) return socket;
        socket.Dispose();
        return null;
    }
}

/// <summary>A growing array.</summary>
internal sealed class ArrayWriter(int capacity)
{
    private byte[] _buffer = new byte[capacity];
    private int _length;

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    public void Put(ReadOnlySpan<byte> bytes)
    {
        if (_buffer.Length - _length < bytes.Length) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes.Length));
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
    }
}
