using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Compression;

/// <summary>
/// Decompresses xz (The .xz File Format 1.1) with the system's liblzma, which is loaded when it is first needed. Several
/// streams in a row, with padding between them, are one.
/// </summary>
public sealed unsafe partial class XzDecompressor : IDecompressor
{
    /// <summary>128 MiB: the highest preset's dictionary is half of it. A larger one is an attack on memory.</summary>
    private const ulong LargestMemory = 128 << 20;

    private const uint Concatenated = 8;

    private Coder* _stream;

    public XzDecompressor()
    {
        // SAFETY: lzma.h: a stream of zeros is LZMA_STREAM_INIT. It does not move, and is freed after lzma_end.
        _stream = (Coder*)NativeMemory.AllocZeroed((nuint)sizeof(Coder));
        try
        {
            if (OpenDecoder(_stream, LargestMemory, Concatenated) != Result.Ok)
                throw new HullException(ErrorKind.ResourceExhausted, "no memory for an xz decompressor");
        }
        catch (Exception error)
        {
            NativeMemory.Free(_stream);
            _stream = null;
            if (error is DllNotFoundException) throw new HullException(ErrorKind.Unsupported, "xz needs liblzma.so.5: install the package liblzma5", error);
            throw;
        }
    }

    /// <summary>Whether the content is complete. Only after the input's end was told, because another stream may follow.</summary>
    public bool IsAtEnd { get; private set; }

    /// <summary>
    /// Decompresses as much as fits; answers what was taken of the input and written to the output. An input that is last
    /// is everything that is left: what it leaves in the middle of a stream shows as no progress.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/>; <see cref="ErrorKind.ResourceExhausted"/>
    /// for a dictionary beyond measure.</exception>
    public (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output)
    {
        ObjectDisposedException.ThrowIf(_stream is null, this);
        if (IsAtEnd) return (0, 0);
        // SAFETY: both buffers are pinned for the call and described with their lengths; the stream is alive.
        fixed (byte* source = input)
        fixed (byte* target = output)
        {
            _stream->Input = source;
            _stream->InputSize = (nuint)input.Length;
            _stream->Output = target;
            _stream->OutputSize = (nuint)output.Length;
            Check(Code(_stream, isLast ? Action.Finish : Action.Run));
            return (input.Length - (int)_stream->InputSize, output.Length - (int)_stream->OutputSize);
        }
    }

    public void Dispose()
    {
        if (_stream is null) return;
        // SAFETY: the stream was opened by the constructor and is closed once.
        End(_stream);
        NativeMemory.Free(_stream);
        _stream = null;
    }

    private void Check(Result result)
    {
        switch (result)
        {
            case Result.Ok or Result.NoProgress:
                return;
            case Result.StreamEnd:
                IsAtEnd = true;
                return;
            case Result.NoMemory:
                throw new HullException(ErrorKind.ResourceExhausted, "no memory to decompress xz");
            case Result.MemoryLimit:
                throw new HullException(ErrorKind.ResourceExhausted, $"xz stream needs more than {LargestMemory >> 20} MiB of memory: compress it with a smaller dictionary");
            default:
                throw HullException.Corrupted($"xz stream is malformed: liblzma's code is {(int)result}");
        }
    }

    [LibraryImport("liblzma.so.5", EntryPoint = "lzma_stream_decoder")]
    private static partial Result OpenDecoder(Coder* stream, ulong memoryLimit, uint flags);

    [LibraryImport("liblzma.so.5", EntryPoint = "lzma_code")]
    private static partial Result Code(Coder* stream, Action action);

    [LibraryImport("liblzma.so.5", EntryPoint = "lzma_end")]
    private static partial void End(Coder* stream);

    private enum Action
    {
        Run = 0,
        Finish = 3,
    }

    /// <summary>lzma_ret.</summary>
    private enum Result
    {
        Ok = 0,
        StreamEnd = 1,
        NoMemory = 5,
        MemoryLimit = 6,
        NoProgress = 10,
    }

    /// <summary>lzma_stream.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 136)]
    private struct Coder
    {
        public byte* Input;
        public nuint InputSize;
        public ulong TotalInput;
        public byte* Output;
        public nuint OutputSize;
    }
}
