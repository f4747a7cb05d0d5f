namespace Hull.Linux.Compression;

/// <summary>A library's decoder of one compressed stream, fed piece by piece.</summary>
public interface IDecompressor : IDisposable
{
    /// <summary>Whether the content is complete with what was taken so far.</summary>
    bool IsAtEnd { get; }

    /// <summary>Decompresses as much as fits; answers what was taken of the input and written to the output.</summary>
    /// <param name="isLast">The input is all that is left.</param>
    (int Consumed, int Written) Decompress(ReadOnlySpan<byte> input, bool isLast, Span<byte> output);
}
