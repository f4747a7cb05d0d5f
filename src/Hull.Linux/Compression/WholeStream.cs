using System.IO.Compression;
using Hull.Core;

namespace Hull.Linux.Compression;

/// <summary>Decompresses streams that are in memory as a whole.</summary>
public static class WholeStream
{
    private const int Piece = 1 << 20;

    /// <summary>gzip (RFC 1952).</summary>
    public static byte[] Gunzip(byte[] input)
    {
        using var content = new GZipStream(new MemoryStream(input), CompressionMode.Decompress);
        using var output = new MemoryStream();
        content.CopyTo(output);
        return output.ToArray();
    }

    /// <param name="codec">Used up by this, and disposed of.</param>
    /// <param name="name">Of the content, for messages.</param>
    /// <param name="maximum">Bytes of content that are accepted.</param>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> also for content that is longer.</exception>
    public static byte[] Decompress(IDecompressor codec, ReadOnlySpan<byte> input, string name, int maximum)
    {
        using (codec)
        {
            using var output = new MemoryStream();
            var piece = GC.AllocateUninitializedArray<byte>(Piece);
            while (true)
            {
                var (consumed, written) = codec.Decompress(input, isLast: true, piece);
                output.Write(piece, 0, written);
                if (output.Length > maximum) throw HullException.Corrupted($"{name} unpacks to more than {maximum} bytes");
                input = input[consumed..];
                if (input.IsEmpty && written == 0 && codec.IsAtEnd) return output.ToArray();
                if (consumed == 0 && written == 0) throw HullException.Corrupted($"{name} ends in the middle");
            }
        }
    }
}
