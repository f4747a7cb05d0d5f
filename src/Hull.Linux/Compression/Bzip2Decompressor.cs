using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Compression;

/// <summary>
/// Decompresses bzip2 with the system's libbz2, which is loaded when it is first needed. Several streams in a row are one.
/// Its memory is bounded by the format: 900 kB blocks, below 4 MB.
/// </summary>
public sealed unsafe partial class Bzip2Decompressor : IDecompressor
{
    private Coder* _stream;

    public Bzip2Decompressor()
    {
        // SAFETY: bzlib.h: zeros ask for the library's own allocator. The stream does not move, because the library compares
        // its address, and is freed after BZ2_bzDecompressEnd.
        _stream = (Coder*)NativeMemory.AllocZeroed((nuint)sizeof(Coder));
        try
        {
            Open();
        }
        catch (Exception error)
        {
            NativeMemory.Free(_stream);
            _stream = null;
            if (error is DllNotFoundException) throw new HullException(ErrorKind.Unsupported, "bzip2 needs libbz2.so.1.0: install the package libbz2-1.0", error);
            throw;
        }
    }

    /// <summary>Whether the input could end here: the last stream is complete.</summary>
    public bool IsAtEnd { get; private set; } = true;

    /// <summary>Decompresses as much as fits; answers what was taken of the input and written to the output.</summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/>.</exception>
    public (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, Span<byte> output)
    {
        ObjectDisposedException.ThrowIf(_stream is null, this);
        if (IsAtEnd && input.IsEmpty) return (0, 0);
        // SAFETY: both buffers are pinned for the call and described with their lengths; the stream is alive.
        fixed (byte* source = input)
        fixed (byte* target = output)
        {
            _stream->Input = source;
            _stream->InputSize = (uint)input.Length;
            _stream->Output = target;
            _stream->OutputSize = (uint)output.Length;
            var result = Code(_stream);
            IsAtEnd = result == StreamEnd;
            var (consumed, written) = (input.Length - (int)_stream->InputSize, output.Length - (int)_stream->OutputSize);
            if (IsAtEnd) Reopen();
            else if (result == NoMemory) throw new HullException(ErrorKind.ResourceExhausted, "no memory to decompress bzip2");
            else if (result < 0) throw HullException.Corrupted($"bzip2 stream is malformed: libbz2's code is {result}");
            return (consumed, written);
        }
    }

    (int Consumed, int Written) IDecompressor.Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output) => Decompress(input, output);

    public void Dispose()
    {
        if (_stream is null) return;
        // SAFETY: the stream was opened and is closed once.
        _ = End(_stream);
        NativeMemory.Free(_stream);
        _stream = null;
    }

    private void Open()
    {
        if (OpenDecoder(_stream, 0, 0) != 0) throw new HullException(ErrorKind.ResourceExhausted, "no memory for a bzip2 decompressor");
    }

    private void Reopen()
    {
        // SAFETY: a stream that was ended may be opened again; whatever happens, Dispose may end it, which has no effect then.
        _ = End(_stream);
        NativeMemory.Clear(_stream, (nuint)sizeof(Coder));
        Open();
    }

    private const int StreamEnd = 4;
    private const int NoMemory = -3;

    [LibraryImport("libbz2.so.1.0", EntryPoint = "BZ2_bzDecompressInit")]
    private static partial int OpenDecoder(Coder* stream, int verbosity, int small);

    [LibraryImport("libbz2.so.1.0", EntryPoint = "BZ2_bzDecompress")]
    private static partial int Code(Coder* stream);

    [LibraryImport("libbz2.so.1.0", EntryPoint = "BZ2_bzDecompressEnd")]
    private static partial int End(Coder* stream);

    /// <summary>bz_stream.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 80)]
    private struct Coder
    {
        public byte* Input;
        public uint InputSize;
        public uint TotalInputLow;
        public uint TotalInputHigh;
        public byte* Output;
        public uint OutputSize;
    }
}
