using System.Text;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Logs;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.Engine.Tests;

public sealed class LogFormatTests
{
    private static byte[] Line(string text, string stream = "stdout") =>
        Encoding.UTF8.GetBytes($"{{\"log\":\"{text}\\n\",\"stream\":\"{stream}\",\"time\":\"2026-01-02T03:04:05.123456700Z\"}}\n");

    [Fact]
    public void An_entry_gives_back_text_stream_and_time()
    {
        var line = Line("a \\u003cb\\u003e \\\"c\\\"", "stderr");
        Assert.Equal(line.Length, new JsonFileFormat().TryParse(line, out var entry));
        Assert.Equal("a <b> \"c\"\n", Encoding.UTF8.GetString(entry!.Value.Bytes.Span));
        Assert.Equal(OutputStream.Error, entry.Value.Stream);
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(1234567), entry.Value.At);
    }

    [Fact]
    public void Half_an_entry_waits_and_a_damaged_one_is_passed_over()
    {
        var format = new JsonFileFormat();
        Assert.Equal(0, format.TryParse(Line("x").AsSpan(0, 20), out _));
        var damaged = "{\"log\":\"cut\n"u8;
        Assert.Equal(damaged.Length, format.TryParse(damaged, out var entry));
        Assert.Null(entry);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 3)]
    [InlineData(5, 5)]
    [InlineData(900, 5)]
    public void The_tail_is_found_from_the_end(int wanted, int found)
    {
        using var directory = new TemporaryDirectory();
        var lines = Enumerable.Range(0, 5).Select(i => Line(new string((char)('a' + i), 30_000))).ToArray();
        File.WriteAllBytes(directory["log"], lines.SelectMany(line => line).ToArray());
        using var file = new SafeFd((int)FileCalls.OpenAt(Fcntl.AT_FDCWD, directory["log"], Fcntl.O_RDONLY));
        var length = lines.Sum(line => (long)line.Length);
        var (offset, count) = new JsonFileFormat().FindTail(file, length, wanted);
        Assert.Equal((lines[..^found].Sum(line => (long)line.Length), (long)found), (offset, count));
    }

    [Fact]
    public async Task Tail_counts_over_rotated_files()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllBytes(directory["log.2"], [.. Line("1"), .. Line("2")]);
        File.WriteAllBytes(directory["log.1"], [.. Line("3"), .. Line("4", "stderr")]);
        File.WriteAllBytes(directory["log"], Line("5"));
        Assert.Equal("2345", await ReadAsync(directory["log"], new LogQuery { Tail = 4 }));
        Assert.Equal("12345", await ReadAsync(directory["log"], new LogQuery()));
        Assert.Equal("35", await ReadAsync(directory["log"], new LogQuery { Tail = 2, Streams = StreamSelection.Output }));
        Assert.Equal("", await ReadAsync(directory["missing"], new LogQuery()));
    }

    private static async Task<string> ReadAsync(string path, LogQuery query)
    {
        var text = new StringBuilder();
        await foreach (var entry in LogReader.ReadAsync(path, new JsonFileFormat(), query, () => false, TimeProvider.System, default))
            text.Append(Encoding.UTF8.GetString(entry.Bytes.Span).TrimEnd('\n'));
        return text.ToString();
    }
}
