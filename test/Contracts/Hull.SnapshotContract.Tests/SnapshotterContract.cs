using System.Text;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Snapshots;
using Hull.Testing;

namespace Hull.SnapshotContract.Tests;

/// <summary>What every snapshotter must do, whatever it keeps layers as.</summary>
public abstract class SnapshotterContract : IDisposable
{
    private readonly TemporaryDirectory _directory = new("images-snap");
    private readonly List<string> _mounted = [];

    protected SnapshotterContract()
    {
        Require.Root();
        Store = Open(Root);
    }

    protected ISnapshotter Store { get; }

    protected string Root => _directory["store"];

    protected abstract ISnapshotter Open(string root);

    public void Dispose()
    {
        foreach (var target in _mounted) Command.Run("umount", "-l", target);
        (Store as ErofsSnapshotter)?.UnmountLayers();
        _directory.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_layer_is_there_once_written_and_only_under_its_own_digest()
    {
        var layer = new LayerBuilder().File("a", "1").Build();
        Assert.False(Store.HasLayer(layer.DiffId));
        await Write(layer);
        Assert.True(Store.HasLayer(layer.DiffId));
        Assert.Equal(layer.DiffId, Assert.Single(Store.Layers()).DiffId);

        var other = Digest.Sha256("other"u8);
        var error = await Assert.ThrowsAsync<HullException>(() => Write(layer with { DiffId = other }));
        Assert.Equal(ErrorKind.DataCorrupted, error.Kind);
        Assert.False(Store.HasLayer(other));
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_layer_asked_for_by_many_is_written_once()
    {
        var layer = new LayerBuilder().File("a", new string('x', 100_000)).Build();
        var opened = 0;
        var other = Open(Root);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => (i % 2 == 0 ? Store : other).WriteLayerAsync(layer.DiffId, _ =>
        {
            Interlocked.Increment(ref opened);
            return ValueTask.FromResult<Stream>(new MemoryStream(layer.Bytes));
        }, UnpackLimits.Default)));
        Assert.Equal(1, opened);
    }

    [Fact]
    public async Task Layers_shadow_and_delete_what_is_below_them()
    {
        var key = await Prepare(
            new LayerBuilder().Directory("d").File("d/kept", "1").File("d/gone", "1").File("changed", "old").Directory("o").File("o/below", "1")
                .Directory("removed/deep").File("removed/deep/f", "1").Directory("again").File("again/old", "1").File("file-to-dir", "x").Directory("dir-to-file").File("dir-to-file/f", "1").Build(),
            new LayerBuilder().Whiteout("d/gone").File("changed", "new").Directory("o").Opaque("o").File("o/above", "2").Whiteout("removed")
                .Whiteout("again").Directory("again").File("again/new", "2").Directory("file-to-dir").File("file-to-dir/f", "2").File("dir-to-file", "y").Whiteout("never-was").Build());
        var tree = Mount(key);
        Assert.Equal(["again", "again/new", "changed", "d", "d/kept", "dir-to-file", "file-to-dir", "file-to-dir/f", "o", "o/above"], Names(tree));
        Assert.Equal("new", File.ReadAllText(tree + "/changed"));
        Assert.Empty(Store.Verify());
    }

    [Fact]
    public async Task An_opaque_root_hides_every_layer_below()
    {
        var key = await Prepare(
            new LayerBuilder().File("below", "1").Build(),
            new LayerBuilder().File(".wh..wh..opq", "").File("middle", "1").Build(),
            new LayerBuilder().File("top", "1").Build());
        Assert.Equal(["middle", "top"], Names(Mount(key)));
    }

    [Fact]
    public async Task Metadata_comes_out_as_it_went_in()
    {
        var key = await Prepare(new LayerBuilder()
            .Directory(".", 0x1C9).Directory("sticky", 0x3FF)
            .File("suid", "1", 0x9ED, 1000, new Xattr("user.mine", "value"u8.ToArray()), new Xattr("security.capability", Convert.FromHexString("0100000200200000000000000000000000000000")))
            .HardLink("linked", "suid").Link("link", "../outside").HardLink("link2", "link").Device("null", 1, 3).Fifo("fifo").Build());
        var tree = Mount(key);
        Assert.Equal("4755 1000:1000 2 regular file 1000000000", Stat(tree + "/suid"));
        Assert.Equal(Command.Run("stat", "-c", "%i", tree + "/suid").Ok().Trimmed, Command.Run("stat", "-c", "%i", tree + "/linked").Ok().Trimmed);
        Assert.Equal("1777 0:0 2 directory 1000000000", Stat(tree + "/sticky"));
        Assert.Equal("777 0:0 2 symbolic link 1000000000", Stat(tree + "/link2"));
        Assert.Equal("../outside", new FileInfo(tree + "/link").LinkTarget);
        Assert.Equal("1:3", Command.Run("stat", "-c", "%t:%T", tree + "/null").Ok().Trimmed);
        Assert.StartsWith("711", Stat(tree), StringComparison.Ordinal);
        Assert.Contains("user.mine=\"value\"", Command.Run("getfattr", "-d", tree + "/suid").Ok().Output, StringComparison.Ordinal);
        Assert.Contains("cap_net_raw", Command.Run("getcap", tree + "/suid").Ok().Output, StringComparison.Ordinal);
        Assert.Contains(".123456789", Command.Run("stat", "-c", "%y", tree + "/suid").Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_a_layer_only_implies_keeps_what_a_lower_one_says()
    {
        var key = await Prepare(
            new LayerBuilder().Directory("tmp", 0x3FF).Directory("tmp/a", 0x1C0).Build(),
            new LayerBuilder().File("tmp/a/f", "1").Build());
        var tree = Mount(key);
        Assert.Equal("1777", Command.Run("stat", "-c", "%a", tree + "/tmp").Ok().Trimmed);
        Assert.Equal("700", Command.Run("stat", "-c", "%a", tree + "/tmp/a").Ok().Trimmed);
    }

    [Fact]
    public async Task The_last_of_several_entries_of_one_name_counts()
    {
        var key = await Prepare(new LayerBuilder()
            .File("f", "first").File("f", "second").Directory("d").File("d/inside", "1").File("d", "now a file")
            .File("x", "1").Directory("x").File("x/y", "2").Directory("m", 0x1C0).Directory("m", 0x1ED).HardLink("h", "f").File("f", "third").Build());
        var tree = Mount(key);
        Assert.Equal("third", File.ReadAllText(tree + "/f"));
        Assert.Equal("second", File.ReadAllText(tree + "/h"));
        Assert.Equal("now a file", File.ReadAllText(tree + "/d"));
        Assert.Equal("755", Command.Run("stat", "-c", "%a", tree + "/m").Ok().Trimmed);
        Assert.Equal("1", Command.Run("stat", "-c", "%h", tree + "/h").Ok().Trimmed);
    }

    [Fact]
    public async Task Changes_are_told_as_docker_tells_them_and_make_a_layer()
    {
        var bottom = new LayerBuilder().Directory("d").File("d/a", "1").File("d/b", "1").Directory("gone").File("gone/f", "1").Directory("e").File("e/f", "1").File("keep", "1").Build();
        var key = await Prepare(bottom);
        var tree = Mount(key);
        File.WriteAllText(tree + "/d/a", "changed");
        File.Delete(tree + "/d/b");
        Directory.Delete(tree + "/gone", true);
        Directory.Delete(tree + "/e", true);
        Directory.CreateDirectory(tree + "/e");
        File.WriteAllText(tree + "/e/new", "1");
        Command.Run("ln", tree + "/e/new", tree + "/e/new-link").Ok();
        Command.Run("mkfifo", tree + "/fifo").Ok();
        Unmount(tree);

        Assert.Equal(
            ["C /d", "C /d/a", "D /d/b", "C /e", "D /e/f", "A /e/new", "A /e/new-link", "A /fifo", "D /gone"],
            (await Store.ChangesAsync(key)).Select(change => $"{"CAD"[(int)change.Kind]} {change.Path}"));

        var diff = new MemoryStream();
        await Store.DiffAsync(key, diff);
        var again = new MemoryStream();
        await Store.DiffAsync(key, again);
        Assert.Equal(diff.ToArray(), again.ToArray());

        var layer = new Layer(diff.ToArray(), Digest.Sha256(diff.ToArray()));
        var copy = Mount(await Prepare(bottom, layer));
        Assert.Equal(["d", "d/a", "e", "e/new", "e/new-link", "fifo", "keep"], Names(copy));
        Assert.Equal("changed", File.ReadAllText(copy + "/d/a"));
        Assert.Equal("2", Command.Run("stat", "-c", "%h", copy + "/e/new").Ok().Trimmed);
    }

    [Fact]
    public async Task Snapshots_do_not_see_each_other()
    {
        var layer = new LayerBuilder().File("f", "1").Build();
        var (one, two) = (Mount(await Prepare(layer)), Mount(await Prepare(layer)));
        File.WriteAllText(one + "/f", "mine");
        Assert.Equal("1", File.ReadAllText(two + "/f"));
    }

    [Fact]
    public async Task A_view_cannot_be_written()
    {
        await Prepare(new LayerBuilder().File("f", "1").Build());
        var chain = ChainId.Parse(Store.List().First(snapshot => snapshot.Kind == SnapshotKind.Committed).Key);
        Store.View("view", chain);
        var tree = Mount("view");
        Assert.Equal("1", File.ReadAllText(tree + "/f"));
        Assert.NotEqual(0, Command.Run("touch", tree + "/new").ExitCode);
        Assert.Null(Store.WritableDirectory("view"));
    }

    [Fact]
    public void A_snapshot_on_nothing_is_empty_and_writable()
    {
        Store.Prepare("empty", null, new PrepareOptions(5, 6));
        var tree = Mount("empty");
        Assert.Equal("5:6", Command.Run("stat", "-c", "%u:%g", tree).Ok().Trimmed);
        File.WriteAllText(tree + "/f", "1");
        Assert.True(Store.Usage("empty").Inodes >= 2);
    }

    [Fact]
    public async Task What_is_stood_upon_cannot_be_removed()
    {
        var layer = new LayerBuilder().File("f", "1").Build();
        var key = await Prepare(layer);
        var chain = new ChainId(layer.DiffId).ToString();
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => Store.Remove(chain)).Kind);
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => Store.RemoveLayer(layer.DiffId)).Kind);
        Store.Remove(key);
        Store.Remove(chain);
        Store.RemoveLayer(layer.DiffId);
        Assert.Empty(Store.List());
        Assert.Empty(Store.Layers());
        AssertNothingLeft();
    }

    [Fact]
    public async Task Removal_succeeds_while_the_snapshot_is_mounted_and_in_use()
    {
        var key = await Prepare(new LayerBuilder().File("f", "1").Build());
        var tree = Mount(key);
        using var open = new FileStream(tree + "/f", FileMode.Open, FileAccess.Read);
        Store.Remove(key);
        Assert.Null(Store.Find(key));
        Assert.Empty(Directory.GetFileSystemEntries(tree));
        Store.Remove(key);
        AssertNothingLeft();
    }

    [Fact]
    public async Task Keys_and_chains_name_one_thing()
    {
        var layer = new LayerBuilder().File("f", "1").Build();
        var key = await Prepare(layer);
        Assert.Equal(ErrorKind.AlreadyExists, Assert.Throws<HullException>(() => Store.Prepare(key, new ChainId(layer.DiffId))).Kind);
        var unknown = new ChainId(Digest.Sha256("unknown"u8));
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<HullException>(() => Store.Prepare("k", unknown)).Kind);
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => Store.Commit(unknown, null, layer.DiffId)).Kind);
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => Store.Prepare("../x", null)).Kind);
        Assert.Equal(SnapshotKind.Active, Store.Find(key)!.Kind);
        Assert.Null(Store.Find("k"));
    }

    [Fact]
    public async Task Another_process_sees_the_same()
    {
        var key = await Prepare(new LayerBuilder().File("f", "1").Build());
        var other = Open(Root);
        Assert.Equal(Store.List(), other.List());
        var tree = Mount(key);
        other.Mount(key, tree);
        Assert.Equal("1", File.ReadAllText(tree + "/f"));
        (other as ErofsSnapshotter)?.UnmountLayers();
    }

    [Fact]
    public async Task A_hundred_and_fifty_layers_stack()
    {
        var layers = Enumerable.Range(0, 150).Select(i => new LayerBuilder().File($"f{i}", $"{i}").File("same", $"{i}").Build()).ToArray();
        var tree = Mount(await Prepare(layers));
        Assert.Equal("149", File.ReadAllText(tree + "/same"));
        Assert.Equal(151, Directory.GetFiles(tree).Length);
    }

    [Fact]
    public async Task The_whole_tree_can_be_read_without_a_mount()
    {
        var key = await Prepare(new LayerBuilder().File("below", "1").File("gone", "1").Build(), new LayerBuilder().Whiteout("gone").Build());
        File.WriteAllText(Store.WritableDirectory(key) + "/mine", "2");
        using var tree = Store.OpenTree(key);
        Assert.Equal(["below", "mine"], tree.List().Select(entry => entry.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Layer_files_are_images_or_refused_with_a_reason()
    {
        var key = await Prepare(new LayerBuilder().File("a", "1").Build(), new LayerBuilder().File("b", "1").Build());
        if (Store.Capabilities.WhyNoLayerFiles is { } reason)
        {
            Assert.Equal(reason, Assert.Throws<HullException>(() => Store.LayerFiles(key)).Message);
            return;
        }

        var files = Store.LayerFiles(key);
        Assert.Equal(2, files.Count);
        foreach (var file in files) Command.Run("fsck.erofs", file.Path).Ok();
        Assert.Contains("a", Command.Run("dump.erofs", "--ls", "--path=/", files[0].Path).Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stored_layer_is_compared_with_its_tar()
    {
        var layer = new LayerBuilder().File("a", "1").Directory("d").Link("l", "a").Build();
        await Write(layer);
        Assert.Null(Store.CompareLayer(layer.DiffId, new MemoryStream(layer.Bytes), UnpackLimits.Default));
        AssertNothingLeft();
    }

    public static TheoryData<string> HostileNames { get; } =
        ["../escape", "a/../../escape", "..", "a/..", "nul\0name", new string('n', 300), string.Join('/', Enumerable.Repeat("d", 2000))];

    [Theory]
    [MemberData(nameof(HostileNames))]
    public async Task A_hostile_name_is_refused(string name) => await Refuse(Raw(builder => builder.File(name.Replace("\0", "\u0001", StringComparison.Ordinal), "evil"), name));

    [Fact]
    public async Task An_absolute_name_stays_inside()
    {
        var tree = Mount(await Prepare(new LayerBuilder().File("/etc/absolute-hull-test", "1").Build()));
        Assert.Equal("1", File.ReadAllText(tree + "/etc/absolute-hull-test"));
        Assert.False(File.Exists("/etc/absolute-hull-test"));
    }

    [Fact]
    public async Task A_path_through_a_link_stays_inside()
    {
        var tree = Mount(await Prepare(new LayerBuilder().Link("abs", "/tmp").Directory("usr/lib").Link("lib", "usr/lib")
            .File("abs/images-hull-escape", "1").File("lib/so", "2").Build()));
        Assert.False(File.Exists("/tmp/images-hull-escape"));
        Assert.Equal("1", File.ReadAllText(tree + "/tmp/images-hull-escape"));
        Assert.Equal("2", File.ReadAllText(tree + "/usr/lib/so"));
    }

    [Fact]
    public async Task A_path_through_a_link_out_of_the_layer_is_refused() =>
        await Refuse(new LayerBuilder().Link("up", "../../../../..").File("up/tmp/images-hull-escape", "1").Build());

    [Fact]
    public async Task A_circle_of_links_is_refused() =>
        await Refuse(new LayerBuilder().Link("a", "b").Link("b", "a").File("a/f", "1").Build());

    [Fact]
    public async Task A_path_through_a_file_is_refused() =>
        await Refuse(new LayerBuilder().File("a", "1").File("a/f", "1").Build());

    [Fact]
    public async Task Hard_links_reach_only_this_layer()
    {
        await Refuse(new LayerBuilder().HardLink("a", "/etc/passwd").Build());
        await Refuse(new LayerBuilder().HardLink("a", "../../../../etc/passwd").Build());
        await Refuse(new LayerBuilder().Link("etc", "/etc").HardLink("a", "etc/passwd").Build());
        await Refuse(new LayerBuilder().Directory("d").HardLink("a", "d").Build());
        await Refuse(new LayerBuilder().HardLink("a", "a").Build());
    }

    [Fact]
    public async Task Overlay_bookkeeping_in_a_layer_is_not_taken_over()
    {
        await Refuse(new LayerBuilder().Device("hidden", 0, 0).Build());
        await Refuse(new LayerBuilder().File(".wh.", "").Build());
        await Refuse(new LayerBuilder().File(".wh...", "").Build());
        await Refuse(new LayerBuilder().File(".wh.d/f", "").Build());
        var key = await Prepare(
            new LayerBuilder().Directory("d").File("d/below", "1").Build(),
            new LayerBuilder().Directory("d", 0x1ED, new Xattr("trusted.overlay.opaque", "y"u8.ToArray()), new Xattr("trusted.overlay.redirect", "/etc"u8.ToArray())).Build());
        Assert.Equal(["d", "d/below"], Names(Mount(key)));
    }

    [Fact]
    public async Task A_layer_beyond_its_limits_is_refused()
    {
        var layer = new LayerBuilder().File("a", new string('x', 100_000)).File("b", "").Build();
        foreach (var limits in (UnpackLimits[])[new() { MaxFileSize = 50_000 }, new() { MaxEntries = 1 }])
        {
            var error = await Assert.ThrowsAsync<HullException>(() => Write(layer, limits));
            Assert.Equal(ErrorKind.ResourceExhausted, error.Kind);
        }

        AssertNothingLeft();
    }

    protected async Task<string> Prepare(params object[] layers)
    {
        ChainId? chain = null;
        foreach (var layer in layers.Cast<Layer>())
        {
            await Write(layer);
            var next = ChainId.Of(chain, layer.DiffId);
            Store.Commit(next, chain, layer.DiffId);
            chain = next;
        }

        var key = "k" + Guid.NewGuid().ToString("N");
        Store.Prepare(key, chain);
        return key;
    }

    private protected Task<LayerInfo> Write(Layer layer, UnpackLimits? limits = null) =>
        Store.WriteLayerAsync(layer.DiffId, _ => ValueTask.FromResult<Stream>(new MemoryStream(layer.Bytes)), limits ?? UnpackLimits.Default);

    private protected async Task Refuse(Layer layer)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => Write(layer));
        Assert.Contains(error.Kind, (ErrorKind[])[ErrorKind.DataCorrupted, ErrorKind.ResourceExhausted]);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Empty(Store.Layers());
        AssertNothingLeft();
    }

    private static Layer Raw(Action<LayerBuilder> build, string name)
    {
        var builder = new LayerBuilder();
        build(builder);
        var layer = builder.Build();
        if (!name.Contains('\0', StringComparison.Ordinal)) return layer;
        // A NUL can come in by a PAX record only: put one where the marker is.
        var entry = Encoding.UTF8.GetBytes("20 path=nul\u0001name+x\n".Replace("\u0001", "\0", StringComparison.Ordinal));
        var tar = new MemoryStream();
        tar.Write(PaxHeader(entry.Length));
        tar.Write(entry);
        tar.Write(new byte[-entry.Length & 511]);
        tar.Write(layer.Bytes);
        return new Layer(tar.ToArray(), Digest.Sha256(tar.ToArray()));
    }

    private static byte[] PaxHeader(int size)
    {
        var header = new byte[512];
        Encoding.ASCII.GetBytes("pax").CopyTo(header, 0);
        Encoding.ASCII.GetBytes("0000644\00000000\00000000\0" + Convert.ToString(size, 8).PadLeft(11, '0') + "\000000000000\0        x").CopyTo(header, 100);
        Encoding.ASCII.GetBytes("ustar\000").CopyTo(header, 257);
        Encoding.ASCII.GetBytes(Convert.ToString(header.Sum(b => b), 8).PadLeft(6, '0') + "\0 ").CopyTo(header, 148);
        return header;
    }

    protected string Mount(string key)
    {
        var target = _directory["m-" + key];
        Directory.CreateDirectory(target);
        Store.Mount(key, target);
        _mounted.Add(target);
        return target;
    }

    private void Unmount(string target)
    {
        Command.Run("umount", target).Ok();
        _mounted.Remove(target);
    }

    private void AssertNothingLeft()
    {
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Root, "ingest")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Root, "trash")));
    }

    private static string[] Names(string tree) =>
        [.. Directory.GetFileSystemEntries(tree, "*", SearchOption.AllDirectories).Select(path => path[(tree.Length + 1)..]).Order(StringComparer.Ordinal)];

    private static string Stat(string path) => Command.Run("stat", "-c", "%a %u:%g %h %F %Y", path).Ok().Trimmed;
}

public sealed class ErofsSnapshotterTests : SnapshotterContract
{
    protected override ISnapshotter Open(string root) => new ErofsSnapshotter(root);
}

public sealed class OverlaySnapshotterTests : SnapshotterContract
{
    protected override ISnapshotter Open(string root) => new OverlaySnapshotter(root);
}

public sealed class CopySnapshotterTests : SnapshotterContract
{
    protected override ISnapshotter Open(string root) => new CopySnapshotter(root);
}
