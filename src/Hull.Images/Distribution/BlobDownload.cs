using System.Net;
using System.Net.Http.Headers;
using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Distribution;

/// <summary>
/// The bytes of a blob from some offset to its end, over as many connections as it takes: where one breaks, the next
/// asks for the rest (RFC 9110, 14.2). It gives exactly as many bytes as the descriptor says, or fails.
/// </summary>
internal sealed class BlobDownload(RegistryClient client, RegistryRequest request, Descriptor descriptor, long offset) : Stream
{
    /// <summary>Progress renews the attempts, but a registry that gives a byte per connection is no registry.</summary>
    private const int MaximumReconnects = 1000;

    private Stream? _body;
    private HttpResponseMessage? _response;
    private long _position = offset;
    private int _failures;
    private int _reconnects;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => descriptor.Size;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    private string What => $"blob {descriptor.Digest.Short}";

    /// <summary>Opens the connection for the rest of the blob.</summary>
    public async Task ConnectAsync(CancellationToken cancellation)
    {
        if (_position == descriptor.Size) return;
        var ranged = _position > 0 ? request with { Range = new RangeHeaderValue(_position, null) } : request;
        _response = await client.ExpectAsync(ranged, What, cancellation, HttpStatusCode.OK, HttpStatusCode.PartialContent).ConfigureAwait(false);
        var start = _response.StatusCode == HttpStatusCode.PartialContent ? _response.Content.Headers.ContentRange?.From ?? -1 : 0;
        if (start > _position || start < 0) throw Fail(HullException.Corrupted($"{What}: registry {client.Endpoint.Domain} answers with another range than was asked for"));
        if (_response.Content.Headers.ContentLength is { } length && start + length != descriptor.Size)
            throw Fail(HullException.Corrupted($"{What}: registry {client.Endpoint.Domain} has {start + length} bytes of it, its descriptor says {descriptor.Size}"));
        _body = new IdleStream(await _response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false), client.Options.IdleTimeout, What);
        // A registry that does not know ranges sends everything again.
        await SkipAsync(_position - start, cancellation).ConfigureAwait(false);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation = default)
    {
        while (true)
        {
            try
            {
                if (_body is null && _position < descriptor.Size) await ConnectAsync(cancellation).ConfigureAwait(false);
                return await ReadBodyAsync(buffer, cancellation).ConfigureAwait(false);
            }
            catch (Exception error) when (RegistryClient.IsConnectionFailure(error, cancellation))
            {
                Disconnect();
                _failures++;
                if (_failures >= client.Options.Attempts || ++_reconnects >= MaximumReconnects)
                    throw new HullException(ErrorKind.Unavailable, $"{What}: the connection to registry {client.Endpoint.Domain} broke {_failures} times", error);
                await Task.Delay(client.Backoff(_failures), cancellation).ConfigureAwait(false);
            }
        }
    }

    public override int Read(byte[] buffer, int start, int count) => ReadAsync(buffer.AsMemory(start, count)).AsTask().GetAwaiter().GetResult();

    public override Task<int> ReadAsync(byte[] buffer, int start, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(start, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override long Seek(long target, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int start, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) Disconnect();
        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadBodyAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_position >= descriptor.Size)
        {
            await CheckEndAsync(cancellation).ConfigureAwait(false);
            return 0;
        }

        if (buffer.Length == 0) return 0;
        var left = descriptor.Size - _position;
        var count = await _body!.ReadAsync(buffer.Length > left ? buffer[..(int)left] : buffer, cancellation).ConfigureAwait(false);
        if (count == 0) throw new IOException($"{What}: the connection ended after {_position} of {descriptor.Size} bytes");
        _position += count;
        // Progress makes good for earlier failures: a long download over a bad line may break often.
        _failures = 0;
        return count;
    }

    /// <summary>A body without a length may go on for ever: one byte more than announced is one too many.</summary>
    private async Task CheckEndAsync(CancellationToken cancellation)
    {
        if (_body is null) return;
        if (await _body.ReadAsync(new byte[1], cancellation).ConfigureAwait(false) > 0)
            throw Fail(HullException.Corrupted($"{What} goes on after the {descriptor.Size} bytes its descriptor says"));
        Disconnect();
    }

    private async Task SkipAsync(long count, CancellationToken cancellation)
    {
        var buffer = new byte[64 << 10];
        while (count > 0)
        {
            var read = await _body!.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, count)), cancellation).ConfigureAwait(false);
            if (read == 0) throw new IOException($"{What}: the connection ended early");
            count -= read;
        }
    }

    private HullException Fail(HullException error)
    {
        Disconnect();
        return error;
    }

    private void Disconnect()
    {
        _body?.Dispose();
        _response?.Dispose();
        (_body, _response) = (null, null);
    }
}
