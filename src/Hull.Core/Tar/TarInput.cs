
namespace Hull.Core.Tar;

/// <summary>The bytes of a tar with one large buffer, handed out without copying. Knows how many have passed.</summary>
internal sealed class TarInput(Stream stream)
{
    private const int BufferSize = 128 << 10;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
    private int _start;
    private int _end;

    /// <summary>Bytes taken so far.</summary>
    public long Position { get; private set; }

    /// <summary>The next 512 bytes; empty at the end of the stream.</summary>
    public ReadOnlySpan<byte> TakeBlock() => Take(TarFormat.BlockSize, mayEnd: true);

    /// <summary>Exactly <paramref name="count"/> bytes, at most a buffer's worth.</summary>
    public ReadOnlySpan<byte> Take(int count, bool mayEnd = false)
    {
        while (_end - _start < count)
        {
            if (Fill()) continue;
            return _end == _start && mayEnd ? default : throw Truncated();
        }

        var block = _buffer.AsSpan(_start, count);
        _start += count;
        Position += count;
        return block;
    }

    /// <summary>What is there already of the next <paramref name="most"/> bytes, at least one.</summary>
    public ReadOnlySpan<byte> TakeSome(long most)
    {
        if (_start == _end && !Fill()) throw Truncated();
        var count = (int)Math.Min(_end - _start, most);
        var piece = _buffer.AsSpan(_start, count);
        _start += count;
        Position += count;
        return piece;
    }

    public void Skip(long count)
    {
        while (count > 0) count -= TakeSome(count).Length;
    }

    /// <summary>Copies <paramref name="count"/> bytes, of any number, into memory.</summary>
    public byte[] TakeAll(int count)
    {
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var piece = TakeSome(count - done);
            piece.CopyTo(bytes.AsSpan(done));
            done += piece.Length;
        }

        return bytes;
    }

    /// <summary>Reads to the end of the stream.</summary>
    public void Drain()
    {
        do
        {
            Position += _end - _start;
            _start = _end = 0;
        }
        while (Fill());
    }

    private bool Fill()
    {
        if (_start == _end) _start = _end = 0;
        else if (_start > 0 && _end == _buffer.Length)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        var count = stream.Read(_buffer.AsSpan(_end));
        _end += count;
        return count > 0;
    }

    private HullException Truncated() => HullException.Corrupted($"tar ends in the middle of an entry, after {Position + _end - _start} bytes");
}
