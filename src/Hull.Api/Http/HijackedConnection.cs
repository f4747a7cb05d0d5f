using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Hull.Api.Http;

/// <summary>
/// A connection after the hijack. Reading answers 0 once the client half-closed; writing goes on until
/// <see cref="DisposeAsync"/>, which sends what is buffered and then closes.
/// </summary>
public sealed class HijackedConnection : IAsyncDisposable
{
    private readonly Stream stream;
    private readonly Socket? socket;
    private readonly CancellationTokenSource ended = new();

    internal HijackedConnection(Stream stream, Socket? socket) => (this.stream, this.socket) = (stream, socket);

    /// <summary>Cancelled when the engine stops.</summary>
    public CancellationToken Ended => ended.Token;

    /// <summary>
    /// Whether a client on a unix socket has gone altogether, which reading cannot tell from a half-close. Over TCP it
    /// shows at the next write.
    /// </summary>
    public bool ClientHasLeft
    {
        get
        {
            if (socket is not { AddressFamily: AddressFamily.Unix }) return false;
            try
            {
                // Sends nothing; unix(7) answers EPIPE only once the other end is closed.
                socket.Send(ReadOnlySpan<byte>.Empty, SocketFlags.None);
                return false;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return true;
            }
        }
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        stream.ReadAsync(buffer, cancellationToken);

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => stream.DisposeAsync();

    internal void End() => ended.Cancel();

    internal async Task WriteHeadAsync(HttpResponse response, string status)
    {
        var head = new StringBuilder("HTTP/1.1 ").Append(status).Append("\r\n");
        foreach (var (name, value) in response.Headers) head.Append(name).Append(": ").Append(value.ToString()).Append("\r\n");
        head.Append("\r\n");
        await WriteAsync(Encoding.ASCII.GetBytes(head.ToString()), CancellationToken.None).ConfigureAwait(false);
    }
}

/// <summary>A transport's two pipes as one stream.</summary>
internal sealed class DuplexStream(IDuplexPipe pipe) : Stream
{
    private readonly Stream input = pipe.Input.AsStream(leaveOpen: true);
    private readonly Stream output = pipe.Output.AsStream(leaveOpen: true);

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        input.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        output.WriteAsync(buffer, cancellationToken);

    public override Task FlushAsync(CancellationToken cancellationToken) => output.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
