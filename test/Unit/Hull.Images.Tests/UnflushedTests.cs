using Hull.Core;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Testing;

namespace Hull.Images.Tests;

/// <summary>What a crash of the machine may have left of a pull that did not wait for the disk.</summary>
public sealed class UnflushedTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("images-boot");
    private readonly TestImages _source = new();
    private readonly byte[] _tar = TestImages.Tar(("a", new string('x', 9000)));
    private readonly Digest _blob;
    private readonly Digest _layer;

    public UnflushedTests()
    {
        Require.Root();
        _source.Image("x:1", null, _tar);
        (_blob, _layer) = (Digest.Sha256(TestImages.Gzip(_tar)), Digest.Sha256(_tar));
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_torn_layer_is_made_again_from_its_blob()
    {
        await PullAsync(Open("first"));
        Damage(LayerPath);
        Assert.True(new FileInfo(LayerPath).Length == 0);
        Assert.NotEmpty(Open("first").Verify().Problems);
        var images = Open("second");
        Assert.Empty(images.Verify().Problems);
        Assert.True(images.Snapshotter.HasLayer(_layer));
        Assert.Empty(Marks);
    }

    [Fact]
    public async Task A_torn_blob_is_removed_with_its_layer_and_comes_back_with_the_next_pull()
    {
        await PullAsync(Open("first"));
        Damage(BlobPath);
        var images = Open("second");
        Assert.False(images.Content.Contains(_blob));
        Assert.False(images.Snapshotter.HasLayer(_layer));
        await PullAsync(images);
        Assert.Empty(images.Verify().Problems);
    }

    [Fact]
    public async Task A_torn_record_of_a_snapshot_is_none_and_is_made_again()
    {
        var images = Open("first");
        await PullAsync(images);
        Damage(Directory.GetFiles(_directory["store/snapshots/overlay/committed"]).Single());
        images = Open("second");
        Assert.Empty(images.Snapshotter.List());
        Assert.NotNull(await images.EnsureUnpackedAsync(images.Resolve("x:1")));
        Assert.Single(images.Snapshotter.List());
    }

    [Fact]
    public async Task What_was_flushed_is_not_doubted()
    {
        var first = Open("first");
        await PullAsync(first);
        Assert.Single(Marks);
        first.Flush();
        Assert.Empty(Marks);
        Damage(BlobPath);
        Assert.True(Open("second").Content.Contains(_blob));
    }

    [Fact]
    public async Task A_pull_that_is_not_over_keeps_its_mark()
    {
        var content = Open("first").Content;
        content.Unflushed.Mark([new UnflushedItem(_blob, _layer)]);
        var images = Open("first");
        images.Flush();
        Assert.Single(Marks);
        await PullAsync(images);
        images.Flush();
        Assert.Empty(Marks);
    }

    private string BlobPath => _directory["store/content/blobs/sha256/" + _blob.Hex];

    private string LayerPath => _directory[$"store/snapshots/overlay/layers/sha256-{_layer.Hex}.json"];

    private string[] Marks => Directory.GetFiles(_directory["store/content/unflushed"]);

    private Task PullAsync(ImageService images) => images.PullAsync(ImageReference.Parse("x:1"), _source);

    /// <summary>The store as a process of this boot of the machine opens it. Of directories, because those need no mount.</summary>
    private ImageService Open(string boot) => new(ContentStore.Open(_directory["store/content"], boot: boot), new OverlaySnapshotter(_directory["store/snapshots/overlay"]));

    /// <summary>What ext4 leaves of a file whose blocks were not allocated yet: its name.</summary>
    private static void Damage(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write);
        RandomAccess.SetLength(file, 0);
    }
}
