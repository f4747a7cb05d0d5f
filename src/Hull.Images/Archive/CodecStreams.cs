using Hull.Core;
using Hull.Linux.Compression;

namespace Hull.Images.Archive;

/// <summary>Feeds a codec from a stream. Disposing closes <paramref name="inner"/>.</summary>
internal abstract class CodecStream(Stream inner, string name) : ReadOnlyStream
{
    private readonly byte[] _input = GC.AllocateUninitializedArray<byte>(128 << 10);
    private int _start;
    private int _end;
    private bool _isLast;

    /// <summary>Nothing is missing behind what the codec has taken.</summary>
    protected abstract bool IsAtEnd { get; }

    protected abstract (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output);

    public sealed override int Read(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var (consumed, written) = Decompress(_input.AsSpan(_start, _end - _start), _isLast, buffer);
            _start += consumed;
            if (written > 0) return written;
            if (_start < _end && consumed > 0) continue;
            if (_isLast) return IsAtEnd ? 0 : throw HullException.Corrupted($"{name} stream ends in the middle");
            _start = 0;
            _end = inner.Read(_input);
            _isLast = _end == 0;
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}

internal sealed class ZstdStream(Stream inner) : CodecStream(inner, "zstd")
{
    private readonly ZstdDecompressor _decompressor = new();

    protected override bool IsAtEnd => _decompressor.IsAtEnd;

    protected override (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output) =>
        _decompressor.Decompress(input, output);

    protected override void Dispose(bool disposing)
    {
        if (disposing) _decompressor.Dispose();
        base.Dispose(disposing);
    }
}

internal sealed class Bzip2Stream(Stream inner) : CodecStream(inner, "bzip2")
{
    private readonly Bzip2Decompressor _decompressor = new();

    protected override bool IsAtEnd => _decompressor.IsAtEnd;

    protected override (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output) =>
        _decompressor.Decompress(input, output);

    protected override void Dispose(bool disposing)
    {
        if (disposing) _decompressor.Dispose();
        base.Dispose(disposing);
    }
}

internal sealed class XzStream(Stream inner) : CodecStream(inner, "xz")
{
    private readonly XzDecompressor _decompressor = new();

    protected override bool IsAtEnd => _decompressor.IsAtEnd;

    protected override (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output) =>
        _decompressor.Decompress(input, isLast, output);

    protected override void Dispose(bool disposing)
    {
        if (disposing) _decompressor.Dispose();
        base.Dispose(disposing);
    }
}
