using Hull.Core;
using Hull.Linux.Compression;

namespace Hull.Images.Archive;

/// <summary>Feeds a codec from a stream. Disposing closes <paramref name="inner"/> and frees the codec.</summary>
/// <param name="name">Of the format, for messages.</param>
internal sealed class CodecStream(Stream inner, string name, IDecompressor codec) : ReadOnlyStream
{
    private readonly byte[] _input = GC.AllocateUninitializedArray<byte>(128 << 10);
    private int _start;
    private int _end;
    private bool _isLast;

    public override int Read(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var (consumed, written) = codec.Decompress(_input.AsSpan(_start, _end - _start), _isLast, buffer);
            _start += consumed;
            if (written > 0) return written;
            if (_start < _end && consumed > 0) continue;
            if (_isLast) return codec.IsAtEnd ? 0 : throw HullException.Corrupted($"{name} stream ends in the middle");
            _start = 0;
            _end = inner.Read(_input);
            _isLast = _end == 0;
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            codec.Dispose();
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
