using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Compression;

/// <summary>
/// Decompresses zstd (RFC 8878) with the system's libzstd, which is loaded when it is first needed. Several frames in a row
/// are one stream, and skippable frames, such as those with a table of contents, are skipped.
/// </summary>
public sealed unsafe partial class ZstdDecompressor : IDecompressor
{
    private const int WindowLogMax = 100;

    /// <summary>128 MiB: what the zstd program accepts without being told otherwise. A larger window is an attack on memory.</summary>
    private const int LargestWindow = 27;

    private nint _stream;

    public ZstdDecompressor()
    {
        try
        {
            _stream = CreateStream();
            if (_stream == 0) throw new HullException(ErrorKind.ResourceExhausted, "no memory for a zstd decompressor");
            Check(SetParameter(_stream, WindowLogMax, LargestWindow));
        }
        catch (DllNotFoundException error)
        {
            throw new HullException(ErrorKind.Unsupported, "zstd needs libzstd.so.1: install the package libzstd1", error);
        }
    }

    /// <summary>Whether the stream could end here: the last frame is complete.</summary>
    public bool IsAtEnd { get; private set; } = true;

    /// <summary>Decompresses as much as fits; answers what was taken of the input and written to the output.</summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/>.</exception>
    public (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, Span<byte> output)
    {
        ObjectDisposedException.ThrowIf(_stream == 0, this);
        // SAFETY: both buffers are pinned for the call and described with their lengths; the stream is alive.
        fixed (byte* source = input)
        fixed (byte* target = output)
        {
            var from = new Buffer { Start = source, Size = (nuint)input.Length };
            var to = new Buffer { Start = target, Size = (nuint)output.Length };
            var wanted = Check(DecompressStream(_stream, &to, &from));
            // Asked without input behind a complete frame, the library wants the head of another, which need not come.
            if (from.Position > 0 || to.Position > 0) IsAtEnd = wanted == 0;
            return ((int)from.Position, (int)to.Position);
        }
    }

    (int Consumed, int Written) IDecompressor.Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output) => Decompress(input, output);

    public void Dispose()
    {
        if (_stream != 0) _ = FreeStream(_stream);
        _stream = 0;
    }

    private static nuint Check(nuint result) => IsError(result) == 0
        ? result
        : throw HullException.Corrupted($"zstd stream is malformed: {Marshal.PtrToStringUTF8(ErrorName(result))?.ToLowerInvariant()}");

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_createDStream")]
    private static partial nint CreateStream();

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_freeDStream")]
    private static partial nuint FreeStream(nint stream);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_DCtx_setParameter")]
    private static partial nuint SetParameter(nint stream, int parameter, int value);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_decompressStream")]
    private static partial nuint DecompressStream(nint stream, Buffer* output, Buffer* input);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_isError")]
    private static partial uint IsError(nuint result);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_getErrorName")]
    private static partial nint ErrorName(nuint result);

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer.</summary>
    private struct Buffer
    {
        public void* Start;
        public nuint Size;
        public nuint Position;
    }
}
