using System.Net.Http.Headers;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>Reads the bodies of answers within bounds of size and of silence.</summary>
internal static class BoundedBody
{
    /// <summary>The whole body, at most <paramref name="limit"/> bytes of it; more is an error.</summary>
    public static async Task<byte[]> ReadAllAsync(HttpResponseMessage response, int limit, TimeSpan idle, string what, CancellationToken cancellation)
    {
        if (response.Content.Headers.ContentLength > limit) throw TooLong(what, limit);
        await using var body = new IdleStream(await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false), idle, what);
        var bytes = new byte[(int)Math.Min(response.Content.Headers.ContentLength ?? 16 << 10, limit) + 1];
        var count = 0;
        while (true)
        {
            if (count == bytes.Length)
            {
                if (count > limit) throw TooLong(what, limit);
                Array.Resize(ref bytes, (int)Math.Min((long)bytes.Length * 2, limit + 1L));
            }

            var read = await body.ReadAsync(bytes.AsMemory(count), cancellation).ConfigureAwait(false);
            if (read == 0) return bytes[..count];
            count += read;
            if (count > limit) throw TooLong(what, limit);
        }
    }

    /// <summary>The media type without parameters, or null.</summary>
    public static string? MediaType(HttpContentHeaders headers) => headers.ContentType?.MediaType;

    private static HullException TooLong(string what, int limit) => HullException.Corrupted($"{what} is longer than the {limit} bytes allowed");
}

/// <summary>A stream that fails when nothing comes for too long: a registry must not hold a pull for ever by saying nothing.</summary>
internal sealed class IdleStream(Stream inner, TimeSpan idle, string what) : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    private CancellationTokenSource? _timer;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation = default)
    {
        // One timer for many reads: it is only made anew when it was linked to another caller's token or has fired.
        if (_timer is null || !_timer.TryReset())
        {
            _timer?.Dispose();
            _timer = new CancellationTokenSource();
        }

        _timer.CancelAfter(idle);
        using var link = cancellation.CanBeCanceled ? cancellation.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _timer) : default;
        try
        {
            return await inner.ReadAsync(buffer, _timer.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"{what}: no bytes came for {idle.TotalSeconds:0} s");
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _timer?.Dispose();
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
