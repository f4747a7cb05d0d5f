using Hull.Core;
using Hull.Linux.Compression;

namespace Hull.Linux.Tests.Compression;

public sealed class ZstdDecompressorTests
{
    /// <summary>A frame with one raw block (RFC 8878, 3.1.1).</summary>
    private static readonly byte[] Frame = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 5, 0x29, 0, 0, .. "hello"u8];

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 2)]
    [InlineData(100, 1)]
    [InlineData(100, 100)]
    public void FramesInARowAreReadToTheirEnd(int step, int room)
    {
        using var decompressor = new ZstdDecompressor();
        Assert.True(decompressor.IsAtEnd);
        byte[] input = [.. Frame, .. Frame];
        var text = new List<byte>();
        var output = new byte[room];
        for (var (start, idle) = (0, 0); idle < 3;)
        {
            var (consumed, written) = decompressor.Decompress(input.AsSpan(start, Math.Min(step, input.Length - start)), output);
            start += consumed;
            text.AddRange(output.AsSpan(0, written));
            idle = consumed + written == 0 ? idle + 1 : 0;
        }

        // Asking once more, with nothing to give, does not make the end another.
        Assert.True(decompressor.IsAtEnd);
        Assert.Equal("hellohello"u8.ToArray(), text);
    }

    [Fact]
    public void ACutFrameIsNotAtItsEnd()
    {
        using var decompressor = new ZstdDecompressor();
        decompressor.Decompress(Frame.AsSpan(0, 11), new byte[100]);
        decompressor.Decompress([], new byte[100]);
        Assert.False(decompressor.IsAtEnd);
    }

    [Fact]
    public void WhatIsNoFrameIsRefused()
    {
        using var decompressor = new ZstdDecompressor();
        Assert.Equal(ErrorKind.DataCorrupted, Assert.Throws<HullException>(() => decompressor.Decompress("no zstd at all"u8, new byte[100])).Kind);
    }
}
