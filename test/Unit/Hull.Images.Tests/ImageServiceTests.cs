using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Oci.Image;
using Hull.Testing;

namespace Hull.Images.Tests;

public sealed class ImageServiceTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("images-svc");
    private readonly TestImages _source = new();
    private readonly ImageService _images;

    public ImageServiceTests()
    {
        Require.Root();
        _images = ImageService.Open(_directory["store"]);
    }

    public void Dispose()
    {
        (_images.Snapshotter as ErofsSnapshotter)?.UnmountLayers();
        _directory.Dispose();
    }

    [Fact]
    public async Task A_pulled_image_is_found_by_every_name_it_has()
    {
        var target = _source.Image("x:1", null, TestImages.Tar(("a", "1")), TestImages.Tar(("b", "2")));
        var image = await Pull("x:1");
        Assert.Equal(target.Digest, image.Target.Digest);
        Assert.NotNull(_images.Snapshotter.Find(image.Chain.ToString()!));
        foreach (var name in (string[])["x:1", "docker.io/library/x:1", image.Id.ToString(), image.Id.Hex, image.Id.Short, image.Target.Digest.ToString(), $"x@{target.Digest}"])
            Assert.Equal(image.Id, _images.Resolve(name).Id);
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<HullException>(() => _images.Resolve("x:2")).Kind);
        Assert.Equal(["step 1", "step 0"], _images.History(image).Select(entry => entry.CreatedBy));
        Assert.Equal("x:1", Assert.Single(Assert.Single(_images.List()).References).Familiar);
        AssertClean();
    }

    [Fact]
    public async Task Shared_layers_are_fetched_once()
    {
        var shared = TestImages.Tar(("a", "1"));
        _source.Image("x:1", null, shared);
        _source.Image("y:1", null, shared, TestImages.Tar(("b", "2")));
        await Task.WhenAll(Pull("x:1"), Pull("y:1"), Pull("x:1"));
        Assert.All(_source.Fetched.Where(pair => pair.Key == Digest.Sha256(TestImages.Gzip(shared))), pair => Assert.Equal(1, pair.Value));
        AssertClean();
    }

    [Fact]
    public async Task A_broken_download_is_resumed()
    {
        var random = new byte[20_000];
        new Random(1).NextBytes(random);
        _source.Image("x:1", null, TestImages.Tar(("a", Convert.ToBase64String(random))));
        _source.BreakAfter = 9000;
        await Pull("x:1");
        Assert.Contains(_source.Fetched.Values, count => count > 1);
        AssertClean();
    }

    [Fact]
    public async Task What_unpacks_a_short_download_may_begin_when_it_is_over()
    {
        var content = new Descriptor { MediaType = MediaTypes.OciLayer, Digest = Digest.Sha256("short"u8), Size = 5 };
        using var lease = _images.Content.Leases.Begin();
        using var writer = (await _images.Content.BeginIngestAsync(content, lease))!;
        writer.Write("short"u8);
        writer.Commit();
        using var reader = new StreamReader(writer.Progress.OpenRead());
        Assert.Equal("short", await reader.ReadToEndAsync());
    }

    [Fact]
    public async Task The_platform_is_chosen_and_attestations_are_not()
    {
        var mine = _source.Image("mine", null, TestImages.Tar(("a", "mine")));
        var other = _source.Image("other", new Platform("linux", "s390x"), TestImages.Tar(("a", "other")));
        var index = _source.Put(ImageJson.Serialize(new ImageIndex
        {
            Manifests =
            [
                mine with { Platform = new DescriptorPlatform { Os = "unknown", Architecture = "unknown" }, Digest = Digest.Sha256("attestation"u8),
                    Annotations = new Dictionary<string, string> { [AnnotationKeys.DockerReferenceType] = "attestation-manifest" } },
                other with { Platform = new DescriptorPlatform { Os = "linux", Architecture = "s390x" } },
                mine with { Platform = DescriptorPlatform.From(Platform.Host) },
            ],
        }), MediaTypes.OciIndex);
        _source.Name("x:1", index);
        var image = await Pull("x:1");
        Assert.Equal(mine.Digest, image.Manifest.Digest);
        Assert.Equal(index.Digest, image.Target.Digest);
        var error = await Assert.ThrowsAsync<HullException>(() => _images.PullAsync(ImageReference.Parse("x:1"), _source, new PullOptions { Platform = new Platform("linux", "mips") }));
        Assert.Contains("linux/s390x", error.Message, StringComparison.Ordinal);
        AssertClean();
    }

    [Fact]
    public async Task Nothing_is_kept_of_an_image_that_lies()
    {
        var tar = TestImages.Tar(("a", "1"));
        var packed = TestImages.Gzip(tar);
        _source.Image("digest:1", null, tar);
        _source.Replace(Digest.Sha256(packed), [.. packed[..^1], 7]);
        await Refuse("digest:1", ErrorKind.DataCorrupted);

        var fresh = new TestImages();
        var layer = fresh.Put(packed, MediaTypes.OciLayerGzip);
        var wrong = fresh.Put(ImageJson.Serialize(new ImageConfig { Os = "linux", Architecture = "amd64", RootFs = new RootFileSystem { DiffIds = [Digest.Sha256("x"u8)] } }), MediaTypes.OciConfig);
        fresh.Name("diffid:1", fresh.Put(ImageJson.Serialize(new ImageManifest { Config = wrong, Layers = [layer] }), MediaTypes.OciManifest));
        await Refuse("diffid:1", ErrorKind.DataCorrupted, fresh);
        fresh.Name("count:1", fresh.Put(ImageJson.Serialize(new ImageManifest { Config = wrong, Layers = [layer, layer] }), MediaTypes.OciManifest));
        await Refuse("count:1", ErrorKind.DataCorrupted, fresh);
        fresh.Name("longer:1", fresh.Put(ImageJson.Serialize(new ImageManifest { Config = wrong, Layers = [layer with { Size = layer.Size - 3 }] }), MediaTypes.OciManifest));
        await Refuse("longer:1", ErrorKind.DataCorrupted, fresh);
        fresh.Name("type:1", fresh.Put(ImageJson.Serialize(new ImageManifest { Config = wrong, Layers = [layer with { MediaType = "text/plain" }] }), MediaTypes.OciManifest));
        await Refuse("type:1", ErrorKind.Unsupported, fresh);
    }

    [Fact]
    public async Task A_decompression_bomb_is_stopped()
    {
        _source.Image("bomb:1", null, TestImages.Tar(("zeros", new string('\0', 4 << 20))));
        foreach (var limits in (UnpackLimits[])[new() { MaxLayerSize = 1 << 20 }, new() { RatioFreeSize = 1 << 20, MaxRatio = 50 }])
        {
            var error = await Assert.ThrowsAsync<HullException>(() => _images.PullAsync(ImageReference.Parse("bomb:1"), _source, new PullOptions { Limits = limits }));
            Assert.Equal(ErrorKind.ResourceExhausted, error.Kind);
            AssertEmpty();
        }
    }

    [Fact]
    public async Task An_index_in_an_index_without_end_is_refused()
    {
        var inner = _source.Image("inner", null, TestImages.Tar(("a", "1")));
        for (var i = 0; i < 8; i++) inner = _source.Put(ImageJson.Serialize(new ImageIndex { Manifests = [inner] }), MediaTypes.OciIndex);
        _source.Name("deep:1", inner);
        await Refuse("deep:1", ErrorKind.DataCorrupted);
    }

    [Fact]
    public async Task Removing_untags_then_deletes_and_frees()
    {
        _source.Image("x:1", null, TestImages.Tar(("a", "1")));
        var image = await Pull("x:1");
        _images.Tag(image, ImageReference.Parse("x:2"));
        Assert.Equal("x:1", Assert.Single(_images.Remove("x:1")).Untagged!.Familiar);
        _images.Snapshotter.Prepare("user", image.Chain);
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => _images.Remove("x:2")).Kind);
        _images.Snapshotter.Remove("user");
        Assert.Contains(_images.Remove("x:2"), removed => removed.Deleted == image.Id);
        AssertEmpty();
    }

    [Fact]
    public async Task A_forced_removal_leaves_the_snapshot_in_use()
    {
        _source.Image("x:1", null, TestImages.Tar(("a", "1")));
        var image = await Pull("x:1");
        _images.Snapshotter.Prepare("user", image.Chain);
        _images.Remove("x:1", force: true);
        Assert.NotNull(_images.Snapshotter.Find(image.Chain.ToString()!));
        Directory.CreateDirectory(_directory["m"]);
        _images.Snapshotter.Mount("user", _directory["m"]);
        Assert.Equal("1", File.ReadAllText(_directory["m/a"]));
        _images.Snapshotter.Remove("user");
        _images.CollectGarbage();
        AssertEmpty();
    }

    [Fact]
    public async Task Garbage_collection_keeps_what_a_lease_holds()
    {
        var target = _source.Image("x:1", null, TestImages.Tar(("a", "1")));
        await Pull("x:1");
        _images.Content.Leases.Hold("keep", [target.Digest]);
        _images.Remove("x:1");
        Assert.Equal(3, _images.Content.Blobs().Count());
        Assert.Single(_images.Snapshotter.Layers());
        _images.Content.Leases.Release("keep");
        _images.CollectGarbage();
        AssertEmpty();
    }

    [Fact]
    public async Task A_moved_name_leaves_a_dangling_image_that_prune_takes()
    {
        _source.Image("x:1", null, TestImages.Tar(("a", "1")));
        var old = await Pull("x:1");
        _source.Image("x:1", null, TestImages.Tar(("a", "2")));
        var image = await Pull("x:1");
        Assert.Contains(_images.List(), summary => summary.Dangling && summary.Id == old.Id);
        Assert.Contains(_images.Prune().Removed, removed => removed.Deleted == old.Id);
        Assert.Equal(image.Id, Assert.Single(_images.List()).Id);
        AssertClean();
    }

    [Theory]
    [InlineData("bzip2")]
    [InlineData("xz")]
    public async Task What_bzip2_and_xz_packed_is_imported_and_loaded_with_plain_layers(string program)
    {
        Require.Program(program);
        File.WriteAllBytes(_directory["layer.tar"], TestImages.Tar(("a", "1")));
        Command.Shell($$$"""
            cd {{{_directory.Path}}}
            printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $(sha256sum < layer.tar | cut -d' ' -f1) > config.json
            {{{program}}} -k layer.tar && mv layer.tar.?z* packed
            printf '[{"Config":"config.json","RepoTags":["x:1"],"Layers":["packed"]}]' > manifest.json
            tar -c manifest.json config.json packed | {{{program}}} > archive
            """).Ok();
        await using (var archive = File.OpenRead(_directory["archive"]))
        {
            var loaded = Assert.Single(await _images.LoadAsync(archive));
            Assert.Equal("application/vnd.oci.image.layer.v1.tar", Assert.Single(loaded.Manifest.Manifest!.Layers).MediaType);
            Assert.Empty(_images.Verify().Problems);
        }

        await using var layer = File.OpenRead(_directory["packed"]);
        var imported = await _images.ImportAsync(layer, ImageReference.Parse("y:1"));
        _images.Snapshotter.View("v", imported.Chain!.Value);
        using var tree = _images.Snapshotter.OpenTree("v");
        Assert.Equal(["a"], tree.List().Select(entry => entry.Name));
    }

    [Theory]
    [InlineData(ArchiveFormat.Docker)]
    [InlineData(ArchiveFormat.Oci)]
    public async Task Saved_images_load_again_as_the_same(ArchiveFormat format)
    {
        _source.Image("x:1", null, TestImages.Tar(("a", "1")), TestImages.Tar(("b", "1")));
        var image = await Pull("x:1");
        using var archive = new MemoryStream();
        await _images.SaveAsync(["x:1"], format, archive);
        _images.Remove("x:1");
        AssertEmpty();
        archive.Position = 0;
        var loaded = Assert.Single(await _images.LoadAsync(archive));
        Assert.Equal((image.Id, image.Target.Digest), (loaded.Id, loaded.Target.Digest));
        Assert.Equal("x:1", Assert.Single(loaded.References).Familiar);
        AssertClean();
    }

    [Fact]
    public async Task What_changed_in_a_snapshot_becomes_an_image()
    {
        _source.Image("x:1", null, TestImages.Tar(("a", "1")));
        var image = await Pull("x:1");
        _images.Snapshotter.Prepare("c", image.Chain);
        File.WriteAllText(_images.Snapshotter.WritableDirectory("c") + "/new", "2");
        var committed = await _images.CommitAsync("c", new CommitOptions { Base = image, Reference = ImageReference.Parse("y:1"), CreatedBy = "test" });
        Assert.Equal(2, committed.DiffIds.Count);
        Assert.Equal("test", _images.History(committed)[0].CreatedBy);
        using var exported = new MemoryStream();
        await _images.ExportAsync("c", exported);
        exported.Position = 0;
        var imported = await _images.ImportAsync(exported, ImageReference.Parse("z:1"));
        _images.Snapshotter.View("v", imported.Chain!.Value);
        using var tree = _images.Snapshotter.OpenTree("v");
        Assert.Equal(["a", "new"], tree.List().Select(entry => entry.Name).Order(StringComparer.Ordinal));
        AssertClean();
    }

    [Fact]
    public async Task Verification_tells_what_is_wrong()
    {
        _source.Image("x:1", null, TestImages.Tar(("a", new string('x', 9000))));
        var image = await Pull("x:1");
        AssertClean();
        var layer = _images.Content.PathOf(image.Manifest.Manifest!.Layers[0].Digest);
        var erofs = Directory.GetFiles(_directory["store/snapshots/erofs/layers"], "*.erofs")[0];
        Flip(erofs, 6000);
        Assert.Contains(_images.Verify().Problems, problem => problem.Contains("differs at byte 6000", StringComparison.Ordinal));
        Flip(layer, 30);
        Assert.Contains(_images.Verify().Problems, problem => problem.Contains("has the digest", StringComparison.Ordinal));
        File.Delete(layer);
        Assert.Contains(_images.Verify().Problems, problem => problem.Contains("is missing", StringComparison.Ordinal));
    }

    private Task<Image> Pull(string name) => _images.PullAsync(ImageReference.Parse(name), _source);

    private async Task Refuse(string name, ErrorKind kind, TestImages? source = null)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => _images.PullAsync(ImageReference.Parse(name), source ?? _source));
        Assert.Equal(kind, error.Kind);
        AssertEmpty();
    }

    private void AssertClean()
    {
        Assert.Empty(_images.Verify().Problems);
        _images.CollectGarbage();
        Assert.Empty(_images.Verify().Problems);
    }

    private void AssertEmpty()
    {
        Assert.Empty(_images.Content.Blobs());
        Assert.Empty(_images.Snapshotter.Layers());
        foreach (var path in (string[])["content/ingest", "content/trash", "content/leases", "snapshots/erofs/ingest", "snapshots/erofs/trash", "snapshots/erofs/layers"])
        {
            if (Directory.Exists(_directory["store/" + path])) Assert.Empty(Directory.GetFileSystemEntries(_directory["store/" + path]));
        }
    }

    private static void Flip(string path, int offset)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        var value = new byte[1];
        RandomAccess.Read(file, value, offset);
        value[0] ^= 0xFF;
        RandomAccess.Write(file, value, offset);
    }
}
