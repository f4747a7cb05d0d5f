using System.Buffers.Binary;
using Hull.Linux.Compression;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Takes the uncompressed ELF kernel out of a bzImage (Linux, Documentation/x86/boot.rst). QEMU starts it through
/// its PVH entry, which spares the guest decompressing itself: more than a second in emulation.
/// </summary>
public static class KernelImage
{
    private const int MaximumKernel = 256 * 1024 * 1024;

    /// <summary>
    /// The ELF kernel, or null where the payload's compression is not one that is understood here; the bzImage
    /// itself boots then, only later.
    /// </summary>
    public static byte[]? ExtractElf(ReadOnlySpan<byte> image)
    {
        if (image.StartsWith("\u007fELF"u8)) return image.ToArray();
        if (image.Length < 0x260 || !image[0x202..].StartsWith("HdrS"u8))
            throw HullException.Invalid("the kernel is neither an ELF file nor a bzImage");
        var setupSectors = image[0x1F1] == 0 ? 4 : image[0x1F1];
        var offset = ((long)setupSectors + 1) * 512 + BinaryPrimitives.ReadUInt32LittleEndian(image[0x248..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(image[0x24C..]);
        if (offset + length > image.Length) throw HullException.Corrupted("the bzImage is shorter than its header says");
        var payload = image.Slice((int)offset, (int)length);
        var kernel = Decompress(payload);
        return kernel is not null && kernel.AsSpan().StartsWith("\u007fELF"u8) ? kernel : null;
    }

    private static byte[]? Decompress(ReadOnlySpan<byte> payload)
    {
        if (payload.StartsWith(Lz4Legacy.Magic)) return Lz4Legacy.Decompress(payload, MaximumKernel);
        if (payload.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B])) return WholeStream.Gunzip(payload.ToArray());
        // The kernel's build appends the uncompressed size to what has none of its own (scripts/Makefile.lib, size_append).
        if (payload.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD]))
            return WholeStream.Decompress(new ZstdDecompressor(), payload[..^sizeof(uint)], "the kernel", MaximumKernel);
        return payload.StartsWith("\u007fELF"u8) ? payload.ToArray() : null;
    }
}

/// <summary>
/// The LZ4 legacy frame, which Linux uses for its own image: a magic number and blocks of up to 8 MiB, each with
/// its compressed length before it (lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md).
/// </summary>
public static class Lz4Legacy
{
    private const int BlockSize = 8 * 1024 * 1024;

    public static ReadOnlySpan<byte> Magic => [0x02, 0x21, 0x4C, 0x18];

    public static byte[] Decompress(ReadOnlySpan<byte> frame, int maximum)
    {
        using var output = new MemoryStream();
        var block = new byte[BlockSize];
        var position = Magic.Length;
        while (position + 4 <= frame.Length)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(frame[position..]);
            position += 4;
            // The kernel's build appends the uncompressed size, which reads as a block that is not there.
            if (length == 0 || length > (uint)(frame.Length - position)) break;
            output.Write(block, 0, DecompressBlock(frame.Slice(position, (int)length), block));
            if (output.Length > maximum) throw HullException.Corrupted("the LZ4 stream unpacks to more than a kernel");
            position += (int)length;
        }

        return output.ToArray();
    }

    private static int DecompressBlock(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int source = 0, target = 0;
        while (true)
        {
            var token = Byte(input, source++);
            var literals = token >> 4;
            if (literals == 15) literals += ExtraLength(input, ref source);
            if (literals > input.Length - source || literals > output.Length - target) throw Broken();
            input.Slice(source, literals).CopyTo(output[target..]);
            source += literals;
            target += literals;
            if (source == input.Length) return target;

            var distance = Byte(input, source) | (Byte(input, source + 1) << 8);
            source += 2;
            var match = token & 15;
            if (match == 15) match += ExtraLength(input, ref source);
            match += 4;
            if (distance == 0 || distance > target || match > output.Length - target) throw Broken();
            // The match may overlap what it writes; that is how runs are coded.
            for (var end = target + match; target < end; target++) output[target] = output[target - distance];
        }
    }

    private static int ExtraLength(ReadOnlySpan<byte> input, ref int source)
    {
        var total = 0;
        byte more;
        do
        {
            more = Byte(input, source++);
            total += more;
            if (total > BlockSize) throw Broken();
        }
        while (more == 255);

        return total;
    }

    private static byte Byte(ReadOnlySpan<byte> input, int index) => index < input.Length ? input[index] : throw Broken();

    private static HullException Broken() => HullException.Corrupted("the LZ4 stream is broken");
}
