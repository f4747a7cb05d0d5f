using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.DBus;

/// <summary>
/// A connection to a D-Bus server: a message bus, or a service that takes connections of its own. Calls are answered one
/// after the other; signals that come meanwhile are kept for <see cref="WaitForSignal"/>. Not for more than one thread.
/// </summary>
internal sealed class DBusConnection : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly SafeFd _socket;
    private readonly string _address;
    private readonly Queue<DBusMessage> _signals = new();
    private uint _serial;

    private DBusConnection(SafeFd socket, string address) => (_socket, _address) = (socket, address);

    /// <summary>Connects to a unix socket and authenticates as the user this process has for the kernel (SASL EXTERNAL).</summary>
    internal static DBusConnection Open(string path)
    {
        var connection = new DBusConnection(SocketCalls.ConnectUnix(path), path);
        try
        {
            connection.Authenticate();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Calls a method and waits for its answer, a reply or an error.</summary>
    internal DBusMessage Call(DBusMessage call)
    {
        var serial = ++_serial;
        _socket.WriteAll((call with { Kind = DBusMessageKind.Call, Serial = serial }).Write(), _address);
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (true)
        {
            var message = Receive(deadline);
            if (message.Kind == DBusMessageKind.Signal) _signals.Enqueue(message);
            else if (message.Answers == serial) return message;
        }
    }

    /// <summary>The next signal the predicate takes; others are dropped.</summary>
    internal DBusMessage WaitForSignal(Func<DBusMessage, bool> isWanted)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (true)
        {
            var message = _signals.TryDequeue(out var kept) ? kept : Receive(deadline);
            if (message.Kind == DBusMessageKind.Signal && isWanted(message)) return message;
        }
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>
    /// Names no user: the server takes the one the kernel tells it, which is right inside a user namespace too, where our own
    /// number is another. All in one write, as systemd's own clients do it: its server forgets to look at a message that it
    /// reads together with a later BEGIN, until the next one comes.
    /// </summary>
    private void Authenticate()
    {
        _socket.WriteAll("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"u8, _address);
        var answer = ReadLine();
        if (answer.StartsWith("DATA", StringComparison.Ordinal)) answer = ReadLine();
        if (!answer.StartsWith("OK ", StringComparison.Ordinal))
            throw new HullException(ErrorKind.PermissionDenied, $"{_address} does not take this user: it answered '{answer}'");
    }

    /// <summary>One byte at a time: what follows the line is not ours to read yet.</summary>
    private string ReadLine()
    {
        const int MaxLine = 512;
        var line = new StringBuilder();
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (line.Length < MaxLine)
        {
            var next = (char)ReadExactly(1, deadline)[0];
            if (next == '\n') return line.ToString().TrimEnd('\r');
            line.Append(next);
        }

        throw HullException.Corrupted($"{_address} answered a line of more than {MaxLine} bytes");
    }

    private DBusMessage Receive(long deadline)
    {
        var start = ReadExactly(DBusMessage.FixedSize, deadline);
        byte[] whole = [.. start, .. ReadExactly(DBusMessage.SizeOf(start) - start.Length, deadline)];
        return DBusMessage.Parse(whole);
    }

    private byte[] ReadExactly(int count, long deadline)
    {
        var buffer = new byte[count];
        for (var done = 0; done < count;)
        {
            var left = deadline - Environment.TickCount64;
            if (left <= 0 || !ChildProcess.WaitReadable(_socket, (int)left))
                throw new HullException(ErrorKind.Timeout, $"{_address} did not answer within {Patience.TotalSeconds:0} s");
            var read = FileCalls.Read(_socket.Value, buffer.AsSpan(done));
            if (read == 0 || read == -(nint)Errno.ECONNRESET) throw new HullException(ErrorKind.Unavailable, $"{_address} closed the connection");
            done += (int)Check.Result(read, $"read from {_address}");
        }

        return buffer;
    }
}
