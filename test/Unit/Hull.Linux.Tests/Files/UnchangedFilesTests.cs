using Hull.Linux.Files;
using Hull.Testing;
using Xunit;

namespace Hull.Linux.Tests.Files;

/// <summary>What is kept of small files, and when it is read anew.</summary>
public sealed class UnchangedFilesTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("uf");
    private readonly LaterClock _clock = new();
    private readonly UnchangedFiles<string> _files;
    private int _reads;

    public UnchangedFilesTests() => _files = new UnchangedFiles<string>(2, _clock);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_file_is_read_once_until_it_has_a_successor()
    {
        AtomicFile.Write(_directory["a"], "one"u8);
        Assert.Equal("one one", Read("a") + " " + Read("a"));
        Assert.Equal(1, _reads);

        AtomicFile.Write(_directory["a"], "two"u8);
        Assert.Equal("two", Read("a"));
        File.Delete(_directory["a"]);
        Assert.Null(Read("a"));
        Assert.Equal(3, _reads);
    }

    [Fact]
    public void A_file_written_a_moment_ago_is_read_each_time()
    {
        _clock.Ahead = TimeSpan.Zero;
        AtomicFile.Write(_directory["a"], "one"u8);
        Assert.Equal("one one", Read("a") + " " + Read("a"));
        Assert.Equal(2, _reads);
    }

    [Fact]
    public void More_files_than_the_bound_are_read_anew()
    {
        foreach (var name in (string[])["a", "b", "c"]) AtomicFile.Write(_directory[name], "x"u8);
        foreach (var name in (string[])["a", "b", "c", "c", "a"]) Read(name);
        Assert.Equal(4, _reads);
    }

    private string? Read(string name) => _files.Get(_directory[name], path =>
    {
        if (!File.Exists(path)) return Count<string?>(null);
        return Count(File.ReadAllText(path));
    });

    private T Count<T>(T value)
    {
        _reads++;
        return value;
    }

    private sealed class LaterClock : TimeProvider
    {
        public TimeSpan Ahead { get; set; } = TimeSpan.FromMinutes(1);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;
    }
}
