using System.Text;
using Hull.Core.Tar;
using Hull.Images.Bootstrap;

namespace Hull.Images.Tests;

public sealed class LayerDifferenceTests
{
    private static readonly byte[] s_capability = [1, 0, 0, 2, 0, 0x20, 0xA0, 0x80];

    [Fact]
    public void A_layer_has_what_changed_with_the_directories_above_and_marks_what_is_gone()
    {
        var lower = Tar(Directory("./"), Directory("./etc/"), File("./etc/same", "1"), File("./etc/changed", "1"), Directory("./gone/"), File("./gone/inner", "1"));
        var upper = Tar(Directory("./"), Directory("./etc/"), File("./etc/same", "1"), File("./etc/changed", "2"), File("./new", "3"));
        Assert.Equal(["./etc/ ", "./etc/changed 2", "./new 3", ".wh.gone "], Entries(Difference(lower, upper)));
    }

    [Fact]
    public void A_change_of_a_file_brings_its_links_and_attributes_count()
    {
        var program = File("bin", "same");
        var lower = Tar(program, Link("also", "bin"));
        program.Xattrs.Add(new Xattr("security.capability", s_capability));
        var layer = Difference(lower, Tar(program, Link("also", "bin")));
        Assert.Equal(["bin same", "also "], Entries(layer));
        var reader = new TarReader(layer);
        Assert.True(reader.Next());
        Assert.Equal(s_capability, Assert.Single(reader.Entry.Xattrs).Value);
    }

    /// <summary>Extended headers are named after the writing process where nobody takes care: every build had its own digest.</summary>
    [Fact]
    public void Extended_headers_do_not_name_the_process()
    {
        var layer = Encoding.Latin1.GetString(Difference(Tar(), Tar(File(new string('x', 150), "1"))).ToArray());
        Assert.Contains("PaxHeaders/0\0", layer);
        Assert.DoesNotContain("PaxHeaders.", layer);
    }

    private static MemoryStream Difference(MemoryStream lower, MemoryStream upper)
    {
        var output = new MemoryStream();
        LayerDifference.Write(lower, upper, output);
        output.Position = 0;
        return output;
    }

    private static List<string> Entries(MemoryStream tar)
    {
        var entries = new List<string>();
        var reader = new TarReader(tar);
        while (reader.Next()) entries.Add(Encoding.UTF8.GetString(reader.Entry.Path) + " " + Encoding.UTF8.GetString(reader.ReadAll(100)));
        Assert.True(reader.HasEndMark);
        tar.Position = 0;
        return entries;
    }

    private static MemoryStream Tar(params TestEntry[] entries)
    {
        var output = new MemoryStream();
        var writer = new TarWriter(output);
        foreach (var test in entries)
        {
            var entry = new TarEntry { Kind = test.Kind, Path = Encoding.UTF8.GetBytes(test.Path), LinkTarget = Encoding.UTF8.GetBytes(test.Target), Mode = 0x1ED };
            entry.Xattrs.AddRange(test.Xattrs);
            if (test.Kind == TarEntryKind.File) writer.Write(entry, Encoding.UTF8.GetBytes(test.Content));
            else writer.Begin(entry);
        }

        writer.Finish();
        output.Position = 0;
        return output;
    }

    private static TestEntry Directory(string path) => new(TarEntryKind.Directory, path, "", "");

    private static TestEntry File(string path, string content) => new(TarEntryKind.File, path, "", content);

    private static TestEntry Link(string path, string target) => new(TarEntryKind.HardLink, path, target, "");

    private sealed record TestEntry(TarEntryKind Kind, string Path, string Target, string Content)
    {
        public List<Xattr> Xattrs { get; } = [];
    }
}
