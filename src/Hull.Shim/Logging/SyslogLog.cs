using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Shim.Logging;

/// <summary>
/// syslog by unix socket, UDP or TCP, in the old format of local daemons (RFC 3164) or that of RFC 5424. The engine has
/// already turned host names into addresses: a shim resolves nothing.
/// </summary>
internal sealed class SyslogLog : LogSink
{
    private readonly string _address;
    private readonly int _facility;
    private readonly bool _modern;
    private readonly string _tag;
    private readonly string _host;
    private readonly byte[] _time = new byte[TimeText.Length];
    private SafeFd? _socket;

    public SyslogLog(LogMessage log)
    {
        _address = log.Option("syslog-address") is { Length: > 0 } address ? address : "unix:///dev/log";
        _facility = int.TryParse(log.Option("facility"), CultureInfo.InvariantCulture, out var facility) ? facility : 3;
        _modern = log.Option("syslog-format") is "rfc5424" or "rfc5424micro";
        _tag = log.Option("tag") ?? "hull";
        _host = log.Option("hostname") ?? "-";
        _socket = TryOpen() ?? throw new HullException(ErrorKind.Unavailable, $"no syslog daemon answers at {_address}");
    }

    private bool Stream => _address.StartsWith("tcp:", StringComparison.Ordinal);

    public override void Dispose() => _socket?.Dispose();

    protected override void Begin() => TimeText.Format(ClockCalls.RealTime(), _time);

    protected override void Entry(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        if (bytes[^1] == (byte)'\n') bytes = bytes[..^1];
        var priority = _facility * 8 + (stream == LogStream.Output ? 6 : 3);
        var time = Encoding.ASCII.GetString(_time);
        var header = _modern
            ? $"<{priority}>1 {time[..26]}Z {_host} {_tag} - {_tag} - "
            : $"<{priority}>{OldTime(time)} {_host} {_tag}: ";
        var message = new ArrayWriter(header.Length + bytes.Length + 1);
        message.Put(Encoding.UTF8.GetBytes(header));
        message.Put(bytes);
        if (Stream) message.Put("\n"u8);
        Send(message.Bytes);
    }

    /// <summary><c>Nov  1 02:03:04</c>, RFC 3164 section 4.1.2.</summary>
    private static string OldTime(string time)
    {
        var month = "JanFebMarAprMayJunJulAugSepOctNovDec".AsSpan((int.Parse(time.AsSpan(5, 2), CultureInfo.InvariantCulture) - 1) * 3, 3);
        var day = time[8] == '0' ? " " + time[9] : time.Substring(8, 2);
        return $"{month} {day} {time.AsSpan(11, 8)}";
    }

    private void Send(ReadOnlySpan<byte> message)
    {
        for (var attempt = 0; attempt < 2; attempt++)
        {
            _socket ??= TryOpen();
            if (_socket is null) return;
            var rest = message;
            var sent = SocketCalls.Send(_socket.Value, rest);
            while (sent > 0 && Stream && sent < rest.Length)
            {
                rest = rest[(int)sent..];
                sent = SocketCalls.Send(_socket.Value, rest);
            }

            if (sent >= 0) return;
            _socket.Dispose();
            _socket = null;
        }
    }

    private SafeFd? TryOpen()
    {
        var separator = _address.IndexOf("://", StringComparison.Ordinal);
        if (separator < 0) throw HullException.Invalid($"syslog address '{_address}' must begin with unix://, udp:// or tcp://");
        var (scheme, rest) = (_address[..separator], _address[(separator + 3)..]);
        if (scheme is "unix" or "unixgram") return JournaldLog.TryConnect(rest);
        if (scheme is not ("udp" or "tcp") || !IPEndPoint.TryParse(rest.Contains(':') ? rest : rest + ":514", out var end))
            throw HullException.Invalid($"syslog address '{_address}' must be an address with a port after udp:// or tcp://");
        if (end.Port == 0) end.Port = 514;
        var six = end.Address.GetAddressBytes().Length == 16;
        var socket = SocketCalls.Create(six ? Sockets.AF_INET6 : Sockets.AF_INET, scheme == "tcp" ? Sockets.SOCK_STREAM : Sockets.SOCK_DGRAM);
        if (SocketCalls.Connect(socket.Value, SocketAddress(end, six)) >= 0) return socket;
        socket.Dispose();
        return null;
    }

    /// <summary>struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)).</summary>
    private static byte[] SocketAddress(IPEndPoint end, bool six)
    {
        var bytes = new byte[six ? 28 : 16];
        BitConverter.TryWriteBytes(bytes, (ushort)(six ? Sockets.AF_INET6 : Sockets.AF_INET));
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(2), (ushort)end.Port);
        end.Address.TryWriteBytes(bytes.AsSpan(six ? 8 : 4), out _);
        return bytes;
    }
}
