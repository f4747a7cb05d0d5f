using Hull.Core;
using Hull.Core.Tar;
using Hull.Linux.Abi;
using Hull.Linux.Archives;
using Hull.Linux.Files;
using Hull.Testing;

namespace Hull.Linux.Tests.Archives;

/// <summary>Trees out of one root and into another: what backups, exports and copies are made of.</summary>
public sealed class ArchiveTests : IDisposable
{
    /// <summary>A name that is no UTF-8, as strings have it here.</summary>
    private const string OddName = "odd\uDCFF";

    /// <summary>cap_net_raw and cap_sys_admin, effective: VFS_CAP_REVISION_2 with bytes that are no text (capabilities(7)).</summary>
    private static readonly byte[] s_capability = [1, 0, 0, 2, 0, 0x20, 0xA0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    private readonly TemporaryDirectory _temporary = new("hull-archive");
    private readonly RootDirectory _source;
    private readonly RootDirectory _target;

    public ArchiveTests()
    {
        Directory.CreateDirectory(_temporary["source"]);
        Directory.CreateDirectory(_temporary["target"]);
        _source = RootDirectory.Open(_temporary["source"]);
        _target = RootDirectory.Open(_temporary["target"]);
    }

    public void Dispose()
    {
        _source.Dispose();
        _target.Dispose();
        _temporary.Dispose();
    }

    [Fact]
    public void A_tree_comes_back_with_all_that_belongs_to_it()
    {
        _source.CreateDirectory("inner", 0x1C0);
        _source.WriteAllBytes("inner/program", "text"u8, 0x1ED);
        _source.SetOwner("inner/program", 12, 34);
        _source.SetExtendedAttribute("inner/program", "security.capability", s_capability);
        _source.SetExtendedAttribute("inner/program", "security.note", [0, 0xFF, 0x80]);
        _source.SetTimes("inner/program", default, new TimeSpec { tv_sec = 1000, tv_nsec = 123456789 });
        _source.CreateHardLink("inner/program", "inner/same");
        _source.CreateSymbolicLink("../" + OddName, "inner/link");
        _source.WriteAllBytes(OddName, "odd"u8);
        _source.SetTimes("inner", default, new TimeSpec { tv_sec = 2000 });

        Copy(keepOwners: true);

        var program = _target.Stat("inner/program");
        Assert.Equal((12u, 34u, 0x1EDu, 1000L, 123456789L),
            (program.User, program.Group, program.Mode & 0xFFF, program.Modified.tv_sec, program.Modified.tv_nsec));
        Assert.Equal(s_capability, _target.GetExtendedAttribute("inner/program", "security.capability"));
        Assert.Equal([0, 0xFF, 0x80], _target.GetExtendedAttribute("inner/program", "security.note"));
        Assert.Equal(program.Inode, _target.Stat("inner/same").Inode);
        Assert.Equal("../" + OddName, _target.ReadLink("inner/link"));
        Assert.Equal("odd"u8.ToArray(), _target.ReadAllBytes(OddName));
        Assert.Equal(2000, _target.Stat("inner").Modified.tv_sec);
    }

    [Fact]
    public void Without_owners_all_belongs_to_root()
    {
        _source.WriteAllBytes("file", "text"u8);
        _source.SetOwner("file", 12, 34);
        Copy(keepOwners: false);
        var file = _target.Stat("file");
        Assert.Equal((0u, 0u), (file.User, file.Group));
    }

    [Fact]
    public void An_empty_tree_is_an_archive_all_the_same()
    {
        var archive = Pack();
        Assert.Equal(1024, archive.Length);
        ArchiveWriter.Extract(_target.Descriptor.Value, new ExtractRequest("/", false, true), archive, CancellationToken.None);
        Assert.Empty(_target.List());
    }

    [Fact]
    public void Attributes_that_steer_overlays_are_not_taken_from_an_archive()
    {
        var archive = new MemoryStream();
        var writer = new TarWriter(archive);
        var entry = new TarEntry { Kind = TarEntryKind.Directory, Path = "hidden/"u8.ToArray(), Mode = 0x1ED };
        entry.Xattrs.Add(new Xattr("trusted.overlay.opaque", "y"u8.ToArray()));
        entry.Xattrs.Add(new Xattr("security.kept", "y"u8.ToArray()));
        writer.Begin(entry);
        writer.Finish();
        archive.Position = 0;
        ArchiveWriter.Extract(_target.Descriptor.Value, new ExtractRequest("/", false, true), archive, CancellationToken.None);
        Assert.Equal(["security.kept"], _target.ListExtendedAttributes("hidden"));
    }

    [Fact]
    public void Nothing_is_written_outside()
    {
        File.WriteAllText(_temporary["secret"], "host");
        var archive = new MemoryStream();
        var writer = new TarWriter(archive);
        writer.Begin(new TarEntry { Kind = TarEntryKind.SymbolicLink, Path = "out"u8.ToArray(), LinkTarget = "../.."u8.ToArray() });
        writer.Write(new TarEntry { Path = "out/secret"u8.ToArray(), Mode = 0x1A4 }, "container"u8);
        writer.Finish();
        archive.Position = 0;
        ArchiveWriter.Extract(_target.Descriptor.Value, new ExtractRequest("/", false, true), archive, CancellationToken.None);
        Assert.Equal("host", File.ReadAllText(_temporary["secret"]));
        Assert.Equal("container"u8.ToArray(), _target.ReadAllBytes("secret"));
    }

    [Theory]
    [InlineData("../escape")]
    [InlineData("a/../../escape")]
    public void A_path_that_climbs_is_refused(string path)
    {
        var archive = new MemoryStream();
        var writer = new TarWriter(archive);
        writer.Write(new TarEntry { Path = System.Text.Encoding.UTF8.GetBytes(path), Mode = 0x1A4 }, "x"u8);
        writer.Finish();
        archive.Position = 0;
        var error = Assert.Throws<HullException>(() =>
            ArchiveWriter.Extract(_target.Descriptor.Value, new ExtractRequest("/", false, true), archive, CancellationToken.None));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
        Assert.False(File.Exists(_temporary["escape"]));
    }

    private void Copy(bool keepOwners) =>
        ArchiveWriter.Extract(_target.Descriptor.Value, new ExtractRequest("/", false, keepOwners), Pack(), CancellationToken.None);

    private MemoryStream Pack()
    {
        var archive = new MemoryStream();
        ArchiveReader.WriteTree(_source.Descriptor.Value, archive, CancellationToken.None);
        archive.Position = 0;
        return archive;
    }
}
