using System.Text;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.SnapshotContract.Tests;

/// <summary>Makes layer tars entry by entry.</summary>
internal sealed class LayerBuilder
{
    private readonly MemoryStream _bytes = new();
    private readonly TarWriter _tar;

    public LayerBuilder() => _tar = new TarWriter(_bytes);

    public LayerBuilder Directory(string path, int mode = 0x1ED, params Xattr[] xattrs) => Add(path, TarEntryKind.Directory, mode, xattrs: xattrs);

    public LayerBuilder File(string path, string content, int mode = 0x1A4, uint owner = 0, params Xattr[] xattrs) =>
        Add(path, TarEntryKind.File, mode, content, owner: owner, xattrs: xattrs);

    public LayerBuilder Link(string path, string target) => Add(path, TarEntryKind.SymbolicLink, 0x1FF, link: target);

    public LayerBuilder HardLink(string path, string target) => Add(path, TarEntryKind.HardLink, 0x1A4, link: target);

    public LayerBuilder Device(string path, uint major, uint minor) => Add(path, TarEntryKind.CharacterDevice, 0x1B6, major: major, minor: minor);

    public LayerBuilder Fifo(string path) => Add(path, TarEntryKind.Fifo, 0x1A4);

    public LayerBuilder Whiteout(string path)
    {
        var slash = path.LastIndexOf('/') + 1;
        return File(path[..slash] + ".wh." + path[slash..], "");
    }

    public LayerBuilder Opaque(string directory) => File(directory + "/.wh..wh..opq", "");

    public Layer Build()
    {
        _tar.Finish();
        var bytes = _bytes.ToArray();
        return new Layer(bytes, Digest.Sha256(bytes));
    }

    private LayerBuilder Add(string path, TarEntryKind kind, int mode, string content = "", string link = "", uint owner = 0,
        uint major = 0, uint minor = 0, Xattr[]? xattrs = null)
    {
        var entry = new TarEntry
        {
            Path = Encoding.UTF8.GetBytes(path), LinkTarget = Encoding.UTF8.GetBytes(link), Kind = kind, Mode = mode,
            UserId = owner, GroupId = owner, ModifiedAt = new UnixTime(1_000_000_000, 123_456_789), DeviceMajor = major, DeviceMinor = minor,
        };
        entry.Xattrs.AddRange(xattrs ?? []);
        _tar.Write(entry, Encoding.UTF8.GetBytes(content));
        return this;
    }
}

internal sealed record Layer(byte[] Bytes, Digest DiffId);
