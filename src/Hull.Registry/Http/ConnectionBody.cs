using System.Globalization;
using System.Text;

namespace Hull.Registry.Http;

/// <summary>Bytes of a connection of which some were read already, together with the head.</summary>
internal sealed class ConnectionReader(Stream stream, Action touched)
{
    private readonly byte[] _buffer = new byte[HeadParser.MaximumHead];
    private int _start;
    private int _end;

    /// <summary>What has been read and not been taken.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    public bool IsFull => _start == 0 && _end == _buffer.Length;

    public void Take(int count)
    {
        _start += count;
        if (_start == _end) (_start, _end) = (0, 0);
    }

    /// <summary>Reads more into the buffer; false at the end of the connection.</summary>
    public async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            Buffer.BlockCopy(_buffer, _start, _buffer, 0, _end - _start);
            (_start, _end) = (0, _end - _start);
        }

        var count = await stream.ReadAsync(_buffer.AsMemory(_end), cancellation).ConfigureAwait(false);
        touched();
        _end += count;
        return count > 0;
    }

    /// <summary>Reads into the caller's buffer: first what is left over, then straight from the connection.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> target, CancellationToken cancellation)
    {
        if (_end > _start)
        {
            var count = Math.Min(_end - _start, target.Length);
            _buffer.AsMemory(_start, count).CopyTo(target);
            Take(count);
            return count;
        }

        var read = await stream.ReadAsync(target, cancellation).ConfigureAwait(false);
        touched();
        return read;
    }
}

/// <summary>A body whose length was announced.</summary>
internal sealed class LengthBody(ConnectionReader reader, long length, Func<CancellationToken, ValueTask> begin) : RequestBody
{
    private long _left = length;
    private bool _begun;

    public override long? Length { get; } = length;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_left == 0) return 0;
        if (!_begun)
        {
            _begun = true;
            await begin(cancellation).ConfigureAwait(false);
        }

        var count = await reader.ReadAsync(buffer.Length > _left ? buffer[..(int)_left] : buffer, cancellation).ConfigureAwait(false);
        if (count == 0) throw new IOException("the client went away inside its request");
        _left -= count;
        return count;
    }
}

/// <summary>A body in chunks (RFC 9112, 7.1).</summary>
internal sealed class ChunkedBody(ConnectionReader reader, Func<CancellationToken, ValueTask> begin) : RequestBody
{
    private const int MaximumLine = 4096;

    private long _left;
    private bool _begun;
    private bool _ended;

    public override long? Length => null;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_ended) return 0;
        if (_left == 0) await NextChunkAsync(cancellation).ConfigureAwait(false);
        if (_ended) return 0;
        var count = await reader.ReadAsync(buffer.Length > _left ? buffer[..(int)_left] : buffer, cancellation).ConfigureAwait(false);
        if (count == 0) throw new IOException("the client went away inside its request");
        _left -= count;
        if (_left == 0 && (await LineAsync(cancellation).ConfigureAwait(false)).Length > 0) throw new BadRequestException(400, "a chunk is longer than it said");
        return count;
    }

    private async ValueTask NextChunkAsync(CancellationToken cancellation)
    {
        if (!_begun)
        {
            _begun = true;
            await begin(cancellation).ConfigureAwait(false);
        }

        var line = await LineAsync(cancellation).ConfigureAwait(false);
        var size = line.AsSpan(0, line.IndexOf(';') is var semicolon and >= 0 ? semicolon : line.Length).Trim();
        if (size.Length is 0 or > 15 || !long.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _left))
            throw new BadRequestException(400, "the size of a chunk cannot be read");
        if (_left > 0) return;
        _ended = true;
        for (var trailers = 0; (await LineAsync(cancellation).ConfigureAwait(false)).Length > 0;)
        {
            if (++trailers > 32) throw new BadRequestException(431, "too many trailer fields");
        }
    }

    private async ValueTask<string> LineAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var end = reader.Buffered.IndexOf("\r\n"u8);
            if (end >= 0)
            {
                var line = Encoding.ASCII.GetString(reader.Buffered[..end]);
                reader.Take(end + 2);
                return line;
            }

            if (reader.Buffered.Length > MaximumLine) throw new BadRequestException(400, "a line of a chunked body is too long");
            if (!await reader.FillAsync(cancellation).ConfigureAwait(false)) throw new IOException("the client went away inside its request");
        }
    }
}
