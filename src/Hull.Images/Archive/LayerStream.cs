using System.IO.Compression;
using Hull.Core;
using Hull.Images.Content;
using Hull.Linux.Compression;
using Hull.Oci.Image;

namespace Hull.Images.Archive;

/// <summary>Opens a layer's tar, however it is packed, within a budget.</summary>
public static class LayerStream
{
    private static ReadOnlySpan<byte> GzipMagic => [0x1F, 0x8B];

    private static ReadOnlySpan<byte> ZstdMagic => [0x28, 0xB5, 0x2F, 0xFD];

    /// <summary>
    /// The uncompressed tar of <paramref name="stored"/>. What the bytes start with decides how they are packed, since media
    /// types are often wrong. Disposing closes <paramref name="stored"/>.
    /// </summary>
    public static Stream Open(Stream stored, UnpackLimits limits)
    {
        var counted = new PrefixedStream(stored);
        var stream = Sniff(counted.Prefix) switch
        {
            LayerCompression.Gzip => new GZipStream(counted, CompressionMode.Decompress),
            LayerCompression.Zstd => new ZstdStream(counted),
            _ => (Stream)counted,
        };
        return new BudgetStream(stream, counted, limits);
    }

    /// <summary>How content that begins like this is packed.</summary>
    public static LayerCompression Sniff(ReadOnlySpan<byte> start)
    {
        if (start.StartsWith(GzipMagic)) return LayerCompression.Gzip;
        if (start.StartsWith(ZstdMagic)) return LayerCompression.Zstd;
        // A skippable frame: 0x184D2A50 to 0x184D2A5F, as zstd:chunked layers may begin.
        return start.Length >= 4 && (start[0] & 0xF0) == 0x50 && start[1..4].SequenceEqual<byte>([0x2A, 0x4D, 0x18])
            ? LayerCompression.Zstd
            : LayerCompression.None;
    }

    /// <summary>
    /// Looks at the first bytes of a stream and still hands them out; counts what passes. It reads in large pieces, because
    /// GZipStream asks for small ones.
    /// </summary>
    private sealed class PrefixedStream : ReadOnlyStream
    {
        private const int PrefixSize = 4;

        private readonly Stream _inner;
        private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10);
        private int _start;
        private int _end;

        public PrefixedStream(Stream inner)
        {
            _inner = inner;
            _end = inner.ReadAtLeast(_buffer, PrefixSize, throwOnEndOfStream: false);
        }

        public ReadOnlySpan<byte> Prefix => _buffer.AsSpan(0, Math.Min(_end, PrefixSize));

        public long Count { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            int count;
            if (_start == _end && buffer.Length >= _buffer.Length) count = _inner.Read(buffer);
            else
            {
                if (_start == _end) (_start, _end) = (0, _inner.Read(_buffer));
                count = Math.Min(buffer.Length, _end - _start);
                _buffer.AsSpan(_start, count).CopyTo(buffer);
                _start += count;
            }

            Count += count;
            return count;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) _inner.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Stops a stream that grows beyond measure, and turns the codec's complaints into one kind of error.</summary>
    private sealed class BudgetStream(Stream inner, PrefixedStream compressed, UnpackLimits limits) : ReadOnlyStream
    {
        private long _count;

        public override int Read(Span<byte> buffer)
        {
            int count;
            try
            {
                count = inner.Read(buffer);
            }
            catch (InvalidDataException error)
            {
                throw HullException.Corrupted("compressed layer is malformed", error);
            }

            _count += count;
            if (_count > limits.MaxLayerSize)
                throw new HullException(ErrorKind.ResourceExhausted, $"layer unpacks to more than {limits.MaxLayerSize} bytes: raise layers.maxSize in registries.json if it is meant to");
            if (_count > limits.RatioFreeSize && _count / limits.MaxRatio > compressed.Count)
                throw new HullException(ErrorKind.ResourceExhausted, $"layer unpacks to more than {limits.MaxRatio} times its size: raise layers.maxRatio in registries.json if it is meant to");
            return count;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class ZstdStream(Stream inner) : ReadOnlyStream
    {
        private readonly ZstdDecompressor _decompressor = new();
        private readonly byte[] _input = new byte[128 << 10];
        private int _start;
        private int _end;

        public override int Read(Span<byte> buffer)
        {
            while (buffer.Length > 0)
            {
                var (consumed, written) = _decompressor.Decompress(_input.AsSpan(_start, _end - _start), buffer);
                _start += consumed;
                if (written > 0) return written;
                if (_start < _end && consumed > 0) continue;
                _start = 0;
                _end = inner.Read(_input);
                if (_end > 0) continue;
                return _decompressor.IsAtEnd ? 0 : throw HullException.Corrupted("zstd stream ends in the middle of a frame");
            }

            return 0;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _decompressor.Dispose();
                inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}

/// <summary>Hashes what is read from a stream.</summary>
public sealed class HashingStream(Stream inner, ContentHash hash) : ReadOnlyStream
{
    public override int Read(Span<byte> buffer)
    {
        var count = inner.Read(buffer);
        hash.Append(buffer[..count]);
        return count;
    }
}
