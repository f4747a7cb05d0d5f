using System.Collections.Concurrent;

namespace Hull.Images.Archive;

/// <summary>
/// Reads a stream ahead on a thread of its own, a few buffers at most: decompression on one core while another hashes
/// and writes. An error of the inner stream appears where the reader gets to it.
/// </summary>
public sealed class ReadAheadStream : ReadOnlyStream
{
    private const int BufferSize = 256 << 10;
    private const int Buffers = 3;

    private readonly Stream _inner;
    private readonly BlockingCollection<(byte[]? Bytes, int Length, Exception? Error)> _filled = new(Buffers);
    private readonly BlockingCollection<byte[]> _free = new(Buffers);
    private byte[]? _current;
    private int _position;
    private int _length;
    private bool _ended;

    public ReadAheadStream(Stream inner)
    {
        _inner = inner;
        for (var i = 0; i < Buffers; i++) _free.Add(new byte[BufferSize]);
        new Thread(Fill) { IsBackground = true, Name = "read-ahead" }.Start();
    }

    public override int Read(Span<byte> buffer)
    {
        while (_position == _length)
        {
            if (_ended) return 0;
            if (_current is not null) _free.Add(_current);
            var (bytes, length, error) = _filled.Take();
            if (error is not null) throw error;
            (_current, _position, _length) = (bytes, 0, length);
            _ended = length == 0;
        }

        var count = Math.Min(buffer.Length, _length - _position);
        _current.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // No more buffers: the thread ends after the read it is in, and closes the inner stream then.
            _free.CompleteAdding();
            _filled.CompleteAdding();
        }

        base.Dispose(disposing);
    }

    private void Fill()
    {
        try
        {
            foreach (var buffer in _free.GetConsumingEnumerable())
            {
                var length = _inner.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
                if (!TryHandOver(buffer, length, null) || length == 0) return;
            }
        }
        catch (Exception error)
        {
            TryHandOver(null, 0, error);
        }
        finally
        {
            _inner.Dispose();
        }
    }

    /// <summary>False where the reader is gone and wants to know nothing any more.</summary>
    private bool TryHandOver(byte[]? bytes, int length, Exception? error)
    {
        try
        {
            _filled.Add((bytes, length, error));
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }
}
