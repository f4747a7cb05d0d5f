using System.Buffers.Binary;
using System.Net.Sockets;
using Hull.Core;
using Hull.Linux;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Shims;

/// <summary>A connection to a shim that carries the streams of one process.</summary>
public sealed class ShimAttachment : IAttachment
{
    private readonly Socket _socket;
    private readonly Task _exited;
    private readonly byte[] _header = new byte[Wire.OutputHeaderSize];
    private OutputStream _stream;
    private int _remaining;
    private bool _inputClosed;

    private ShimAttachment(Socket socket, bool terminal, Task exited)
    {
        (_socket, _exited) = (socket, exited);
        Terminal = terminal;
    }

    public bool Terminal { get; }

    /// <summary>
    /// Sends the request that opens a stream connection (attach or exec) and reads its answer. The end of output is
    /// answered to readers only after <paramref name="exited"/>, so that whoever saw it finds the exit code.
    /// </summary>
    public static async Task<(ShimAttachment Attachment, byte[] Answer)> OpenAsync(string runtimeDirectory, FrameWriter request,
        bool? terminal, Task exited, CancellationToken cancellationToken)
    {
        var descriptor = ShimConnection.TryOpen(runtimeDirectory)
            ?? throw new HullException(ErrorKind.Unavailable, "the instance's supervisor is gone");
        return await ExchangeAsync(ShimConnection.Adopt(descriptor), request.Finish(), terminal, exited, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The connection was given to the shim with the request: what it answers is there to be read.</summary>
    internal static async Task<ShimAttachment> ReceiveAsync(SafeFd descriptor, Task exited, CancellationToken cancellationToken) =>
        (await ExchangeAsync(ShimConnection.Adopt(descriptor), default, null, exited, cancellationToken).ConfigureAwait(false)).Attachment;

    private static async Task<(ShimAttachment Attachment, byte[] Answer)> ExchangeAsync(Socket socket, ReadOnlyMemory<byte> frame, bool? terminal,
        Task exited, CancellationToken cancellationToken)
    {
        try
        {
            while (!frame.IsEmpty) frame = frame[await socket.SendAsync(frame, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
            var answer = await ShimConnection.ReadFrameAsync(socket, cancellationToken).ConfigureAwait(false)
                ?? throw new HullException(ErrorKind.Unavailable, "the instance's supervisor is gone");
            ShimConnection.ThrowIfError(answer);
            var hasTerminal = terminal ?? ShimConnection.Read(answer, static (ref FrameReader reader) => reader.ReadBool());
            return (new ShimAttachment(socket, hasTerminal, exited), answer);
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new HullException(ErrorKind.Unavailable, "the instance's supervisor is gone", error);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            if (_remaining == 0)
            {
                if (!await ShimConnection.FillAsync(_socket, _header, cancellationToken).ConfigureAwait(false))
                    return await EndAsync(cancellationToken).ConfigureAwait(false);
                _stream = (OutputStream)_header[0];
                _remaining = BinaryPrimitives.ReadInt32BigEndian(_header.AsSpan(4));
            }

            var count = await _socket.ReceiveAsync(buffer[..Math.Min(buffer.Length, _remaining)], SocketFlags.None, cancellationToken)
                .ConfigureAwait(false);
            if (count == 0) return await EndAsync(cancellationToken).ConfigureAwait(false);
            _remaining -= count;
            return new OutputChunk(_stream, count);
        }
        catch (SocketException)
        {
            return await EndAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            while (!bytes.IsEmpty) bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
        }
        catch (SocketException error)
        {
            throw new HullException(ErrorKind.Conflict, "the process has ended and takes no more input", error);
        }
    }

    public ValueTask CloseInputAsync()
    {
        if (_inputClosed) return ValueTask.CompletedTask;
        _inputClosed = true;
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The other side was faster.
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<OutputChunk> EndAsync(CancellationToken cancellationToken)
    {
        await _exited.WaitAsync(cancellationToken).ConfigureAwait(false);
        return default;
    }
}
