using System.Buffers.Binary;
using System.Net.Sockets;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Shims;

/// <summary>What a shim tells when a process of its instance has ended.</summary>
public readonly record struct ProcessExit(string ExecId, ExitStatus Status);

/// <summary>
/// The engine's end of a control connection: requests with their answers, and the events in between. A connection that
/// breaks fails everything that waits on it with <see cref="ErrorKind.Unavailable"/>.
/// </summary>
public sealed class ShimConnection : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly Dictionary<uint, TaskCompletionSource<byte[]>> _pending = [];
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Action<ProcessExit> _onExit;
    private readonly Action _onOutOfMemory;
    private uint _tag;
    private bool _closed;

    public ShimConnection(SafeFd socket, Action<ProcessExit> onExit, Action onOutOfMemory)
    {
        _socket = Adopt(socket);
        (_onExit, _onOutOfMemory) = (onExit, onOutOfMemory);
        Closed = ReadLoopAsync();
    }

    /// <summary>Completes when the shim is gone or closed the connection.</summary>
    public Task Closed { get; }

    /// <summary>Connects to the shim of a runtime directory; null when none listens there.</summary>
    public static SafeFd? TryOpen(string runtimeDirectory)
    {
        try
        {
            // By descriptor, so that the length of the path does not matter (unix(7) allows 107 bytes).
            using var directory = Check.Descriptor(
                FileCalls.OpenAt(Fcntl.AT_FDCWD, runtimeDirectory, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {runtimeDirectory}");
            return SocketCalls.ConnectUnix($"/proc/self/fd/{directory.Value}/{Wire.SocketName}");
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ECONNREFUSED or Errno.ENOTDIR)
        {
            return null;
        }
    }

    /// <summary>Says hello: from now on events come.</summary>
    public async Task HelloAsync(CancellationToken cancellationToken)
    {
        var answer = await RequestAsync(FrameKind.Hello, frame => frame.Write(Wire.Version), cancellationToken).ConfigureAwait(false);
        var version = Read(answer, static (ref FrameReader reader) => reader.ReadInt32());
        if (version > Wire.Version) throw HullException.Unsupported($"the shim speaks protocol {version}, this engine {Wire.Version}: upgrade the engine");
    }

    /// <summary>Sends a request and waits for its answer; throws the shim's error.</summary>
    public async Task<byte[]> RequestAsync(FrameKind kind, Action<FrameWriter>? fields, CancellationToken cancellationToken, SafeFd? descriptor = null)
    {
        var answer = await SendRequestAsync(kind, fields, cancellationToken, descriptor).ConfigureAwait(false);
        return await answer.ConfigureAwait(false);
    }

    /// <summary>Sends a request. The answer comes with the task that this one ends with: other requests may be sent before it.</summary>
    public async Task<Task<byte[]>> SendRequestAsync(FrameKind kind, Action<FrameWriter>? fields, CancellationToken cancellationToken, SafeFd? descriptor = null)
    {
        var answer = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        uint tag;
        lock (_pending)
        {
            if (_closed) throw Gone();
            tag = ++_tag;
            _pending.Add(tag, answer);
        }

        try
        {
            var frame = new FrameWriter(kind, tag);
            fields?.Invoke(frame);
            await SendAsync(frame.Finish(), descriptor, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            lock (_pending) _pending.Remove(tag);
            throw;
        }

        return ReceiveAsync(tag, answer.Task, cancellationToken);
    }

    /// <summary>Sends what is answered on the connection that goes with it.</summary>
    internal Task PostAsync(FrameWriter frame, SafeFd connection, CancellationToken cancellationToken) =>
        SendAsync(frame.Finish(), connection, cancellationToken);

    private async Task<byte[]> ReceiveAsync(uint tag, Task<byte[]> answer, CancellationToken cancellationToken)
    {
        try
        {
            var bytes = await answer.WaitAsync(cancellationToken).ConfigureAwait(false);
            ThrowIfError(bytes);
            return bytes;
        }
        finally
        {
            lock (_pending) _pending.Remove(tag);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await Closed.ConfigureAwait(false);
    }

    internal static Socket Adopt(SafeFd socket) => new(new SafeSocketHandle(socket.Release(), ownsHandle: true));

    internal delegate T FrameParser<out T>(ref FrameReader reader);

    internal static T Read<T>(byte[] frame, FrameParser<T> parse)
    {
        var reader = new FrameReader(frame);
        return parse(ref reader);
    }

    internal static void ThrowIfError(byte[] frame)
    {
        var reader = new FrameReader(frame);
        if (reader.Kind == FrameKind.Error) throw new HullException((ErrorKind)reader.ReadInt32(), reader.ReadText());
    }

    /// <summary>Reads one frame; null at the end of the connection.</summary>
    internal static async Task<byte[]?> ReadFrameAsync(Socket socket, CancellationToken cancellationToken)
    {
        var header = new byte[4];
        if (!await FillAsync(socket, header, cancellationToken).ConfigureAwait(false)) return null;
        var length = BinaryPrimitives.ReadInt32LittleEndian(header);
        if (length is < 5 or > Wire.MaxFrame) throw HullException.Corrupted("a shim sent a malformed message");
        var frame = new byte[length];
        return await FillAsync(socket, frame, cancellationToken).ConfigureAwait(false) ? frame : null;
    }

    internal static async Task<bool> FillAsync(Socket socket, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var count = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false);
            if (count == 0) return false;
            buffer = buffer[count..];
        }

        return true;
    }

    private static HullException Gone() => new(ErrorKind.Unavailable, "the instance's supervisor is gone");

    private async Task SendAsync(ReadOnlyMemory<byte> frame, SafeFd? descriptor, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (descriptor is not null)
            {
                // The first bytes carry the descriptor; a fresh socket always has room for them.
                var sent = SocketCalls.Send((int)_socket.Handle, frame.Span, [descriptor.Value]);
                frame = frame[(int)Check.Result(sent, $"send to the supervisor")..];
            }

            while (!frame.IsEmpty) frame = frame[await _socket.SendAsync(frame, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Disposed of by whoever found the shim's end first.
            throw Gone();
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task ReadLoopAsync()
    {
        try
        {
            while (await ReadFrameAsync(_socket, CancellationToken.None).ConfigureAwait(false) is { } frame) Take(frame);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException or HullException)
        {
            // The same as an orderly end: whoever waits is told below.
        }

        TaskCompletionSource<byte[]>[] waiting;
        lock (_pending)
        {
            _closed = true;
            waiting = [.. _pending.Values];
        }

        foreach (var wait in waiting) wait.TrySetException(Gone());
    }

    private void Take(byte[] frame)
    {
        var reader = new FrameReader(frame);
        if (reader.Kind == FrameKind.Exited)
        {
            var execId = reader.ReadText();
            var code = reader.ReadInt32();
            var at = UnixTime.ToTime(reader.ReadInt64());
            _onExit(new ProcessExit(execId, new ExitStatus(code, at, reader.ReadBool())));
            return;
        }

        if (reader.Kind == FrameKind.OutOfMemory)
        {
            _onOutOfMemory();
            return;
        }

        TaskCompletionSource<byte[]>? waiting;
        lock (_pending) _pending.TryGetValue(reader.Tag, out waiting);
        waiting?.TrySetResult(frame);
    }
}

/// <summary>Nanoseconds since 1970, the shim's time.</summary>
public static class UnixTime
{
    public static DateTimeOffset ToTime(long nanoseconds) => DateTimeOffset.UnixEpoch.AddTicks(nanoseconds / 100);

    public static long FromTime(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * 100;
}
