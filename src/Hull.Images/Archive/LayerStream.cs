using System.IO.Compression;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Content;
using Hull.Linux.Compression;
using Hull.Oci.Image;

namespace Hull.Images.Archive;

/// <summary>Opens a layer's tar, however it is packed, within a budget.</summary>
public static class LayerStream
{
    private static ReadOnlySpan<byte> GzipMagic => [0x1F, 0x8B];

    private static ReadOnlySpan<byte> ZstdMagic => [0x28, 0xB5, 0x2F, 0xFD];

    private static ReadOnlySpan<byte> XzMagic => [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0];

    /// <summary>The mark of a block, and the one of an end without blocks: "BZh" alone may be the name of a file in a tar.</summary>
    private static ReadOnlySpan<byte> Bzip2Block => [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];

    private static ReadOnlySpan<byte> Bzip2End => [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

    /// <summary>The bytes that <see cref="Sniff"/> has to see.</summary>
    public const int SniffSize = 10;

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
            LayerCompression.Zstd => new CodecStream(counted, "zstd", new ZstdDecompressor()),
            LayerCompression.Bzip2 => new CodecStream(counted, "bzip2", new Bzip2Decompressor()),
            LayerCompression.Xz => new CodecStream(counted, "xz", new XzDecompressor()),
            _ => (Stream)counted,
        };
        return new BudgetStream(stream, counted, limits);
    }

    /// <summary>How content that begins like this is packed.</summary>
    public static LayerCompression Sniff(ReadOnlySpan<byte> start)
    {
        if (start.StartsWith(GzipMagic)) return LayerCompression.Gzip;
        if (start.StartsWith(ZstdMagic)) return LayerCompression.Zstd;
        if (start.StartsWith(XzMagic)) return LayerCompression.Xz;
        if (start.StartsWith("BZh"u8) && start.Length >= SniffSize && (start[4..].StartsWith(Bzip2Block) || start[4..].StartsWith(Bzip2End)))
            return LayerCompression.Bzip2;
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
        private readonly Stream _inner;
        private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10);
        private int _start;
        private int _end;

        public PrefixedStream(Stream inner)
        {
            _inner = inner;
            _end = inner.ReadAtLeast(_buffer, SniffSize, throwOnEndOfStream: false);
        }

        public ReadOnlySpan<byte> Prefix => _buffer.AsSpan(0, Math.Min(_end, SniffSize));

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
