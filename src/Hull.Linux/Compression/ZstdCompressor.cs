using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Compression;

/// <summary>Compresses whole buffers with zstd (RFC 8878) by the system's libzstd: one frame that states its content's size.</summary>
public static unsafe partial class ZstdCompressor
{
    /// <summary>libzstd's own default: faster levels give larger chunks, slower ones little.</summary>
    private const int Level = 3;

    public static byte[] Compress(ReadOnlySpan<byte> content)
    {
        try
        {
            var buffer = new byte[checked((int)Bound((nuint)content.Length))];
            // SAFETY: both buffers are pinned for the call and described with their lengths.
            fixed (byte* source = content)
            fixed (byte* target = buffer)
            {
                var size = CompressWhole(target, (nuint)buffer.Length, source, (nuint)content.Length, Level);
                if (IsError(size) != 0) throw HullException.Internal($"zstd could not compress {content.Length} bytes");
                return buffer.AsSpan(0, (int)size).ToArray();
            }
        }
        catch (DllNotFoundException error)
        {
            throw new HullException(ErrorKind.Unsupported, "zstd needs libzstd.so.1: install the package libzstd1", error);
        }
    }

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_compressBound")]
    private static partial nuint Bound(nuint size);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_compress")]
    private static partial nuint CompressWhole(byte* target, nuint capacity, byte* source, nuint size, int level);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_isError")]
    private static partial uint IsError(nuint result);
}
