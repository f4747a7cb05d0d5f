using Hull.Core;
using Hull.Linux.Compression;
using Hull.Testing;

namespace Hull.Linux.Tests.Compression;

/// <summary>xz and bzip2 by what their own programs wrote.</summary>
public sealed class ArchiveDecompressorTests
{
    private static byte[] Pack(string program, string text)
    {
        Require.Program(program);
        using var directory = new TemporaryDirectory("pack");
        Command.Shell($"cd {directory.Path} && printf %s {text} | {program} -c > packed").Ok();
        return File.ReadAllBytes(directory["packed"]);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 2)]
    [InlineData(1000, 100)]
    public void Bzip2StreamsInARowAreReadToTheirEnd(int step, int room)
    {
        using var decompressor = new Bzip2Decompressor();
        byte[] input = [.. Pack("bzip2", "hello"), .. Pack("bzip2", "world")];
        var text = Read(input, step, room, (bytes, _, output) => decompressor.Decompress(bytes, output));
        Assert.True(decompressor.IsAtEnd);
        Assert.Equal("helloworld"u8.ToArray(), text);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 2)]
    [InlineData(1000, 100)]
    public void XzStreamsInARowAreReadToTheirEnd(int step, int room)
    {
        using var decompressor = new XzDecompressor();
        byte[] input = [.. Pack("xz", "hello"), .. Pack("xz", "world")];
        var text = Read(input, step, room, (bytes, last, output) => decompressor.Decompress(bytes, last, output));
        Assert.True(decompressor.IsAtEnd);
        Assert.Equal("helloworld"u8.ToArray(), text);
    }

    [Fact]
    public void WhatIsCutIsNotAtItsEnd()
    {
        using var xz = new XzDecompressor();
        Read(Pack("xz", "hello")[..^9], 1000, 100, (bytes, last, output) => xz.Decompress(bytes, last, output));
        Assert.False(xz.IsAtEnd);
        using var bzip2 = new Bzip2Decompressor();
        Read(Pack("bzip2", "hello")[..^9], 1000, 100, (bytes, _, output) => bzip2.Decompress(bytes, output));
        Assert.False(bzip2.IsAtEnd);
    }

    [Fact]
    public void WhatIsNeitherIsRefused()
    {
        using var xz = new XzDecompressor();
        Assert.Equal(ErrorKind.DataCorrupted, Assert.Throws<HullException>(() => xz.Decompress("no xz, whatever it says"u8, true, new byte[100])).Kind);
        using var bzip2 = new Bzip2Decompressor();
        Assert.Equal(ErrorKind.DataCorrupted, Assert.Throws<HullException>(() => bzip2.Decompress("no bzip2, whatever it says"u8, new byte[100])).Kind);
    }

    [Fact]
    public void ADictionaryBeyondMeasureIsRefused()
    {
        Require.Program("xz");
        using var directory = new TemporaryDirectory("pack");
        Command.Shell($"cd {directory.Path} && head -c 1M /dev/zero | xz -c --lzma2=preset=0,dict=512MiB > packed").Ok();
        using var decompressor = new XzDecompressor();
        var error = Assert.Throws<HullException>(() => decompressor.Decompress(File.ReadAllBytes(directory["packed"]), true, new byte[100]));
        Assert.Equal(ErrorKind.ResourceExhausted, error.Kind);
        Assert.Contains("128 MiB", error.Message, StringComparison.Ordinal);
    }

    private delegate (int Consumed, int Written) Codec(ReadOnlySpan<byte> input, bool isLast, Span<byte> output);

    private static List<byte> Read(byte[] input, int step, int room, Codec codec)
    {
        var text = new List<byte>();
        var output = new byte[room];
        for (var (start, idle) = (0, 0); idle < 3;)
        {
            var end = Math.Min(input.Length, start + step);
            var (consumed, written) = codec(input.AsSpan(start, end - start), end == input.Length, output);
            start += consumed;
            text.AddRange(output.AsSpan(0, written));
            idle = consumed + written == 0 ? idle + 1 : 0;
        }

        return text;
    }
}
