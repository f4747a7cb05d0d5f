using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.Linux.Tests.Mounts;

public sealed class OneCallOverlayTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("one-call-overlay");

    [Fact]
    public void As_many_layers_as_an_image_can_have_are_one_tree_that_is_written_to_above_them()
    {
        Require.Root();
        const int layers = 127;
        var options = new List<(string, string?)> { ("source", "hull") };
        for (var layer = layers; layer > 0; layer--)
        {
            var path = Directory.CreateDirectory(_directory[new string('l', 100) + $",layer {layer}"]).FullName;
            File.WriteAllText(Path.Combine(path, "top"), $"{layer}");
            File.WriteAllText(Path.Combine(path, $"of {layer}"), "");
            options.Add((OneCallOverlay.LowerDirectory, path));
        }

        var (upper, work) = (_directory["upper, with a comma"], _directory["work"]);
        foreach (var path in (string[])[upper, work]) Directory.CreateDirectory(path);
        options.Add(("upperdir", upper));
        options.Add(("workdir", work));
        using var tree = OneCallOverlay.Create(options);
        using var root = RootDirectory.FromDescriptor(tree.Duplicate(), "an overlay");
        Assert.Equal("127"u8.ToArray(), root.ReadAllBytes("top"));
        Assert.Equal(layers, root.List().Count(entry => entry.Name.StartsWith("of ", StringComparison.Ordinal)));
        using (var file = root.OpenFile("new", Fcntl.O_WRONLY | Fcntl.O_CREAT, 0x1A4)) FileCalls.Write(file.Value, "written"u8);
        Assert.Equal("written", File.ReadAllText(Path.Combine(upper, "new")));
    }

    public void Dispose() => _directory.Dispose();
}
