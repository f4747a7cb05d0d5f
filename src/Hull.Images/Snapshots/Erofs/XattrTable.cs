using System.Buffers.Binary;
using System.Text;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// Encodes extended attributes. What comes a second time is put into the image's shared area and referred to, so a
/// label on every file costs four bytes each.
/// </summary>
internal sealed class XattrTable
{
    private const int MostShared = 255;
    private const int MostRemembered = 4096;

    /// <summary>The kernel's prefix numbers (EROFS_XATTR_INDEX_*); what has none of them cannot be stored, nor set on Linux.</summary>
    private static readonly (string Prefix, byte Index)[] Prefixes =
    [
        ("system.posix_acl_access", 2), ("system.posix_acl_default", 3), ("user.", 1), ("trusted.", 4), ("security.", 6),
    ];

    private readonly Dictionary<string, int> _seen = new(StringComparer.Ordinal);
    private readonly MemoryStream _shared = new();

    /// <summary>The shared area; empty where nothing is shared.</summary>
    public ReadOnlySpan<byte> Shared => _shared.GetBuffer().AsSpan(0, (int)_shared.Length);

    /// <summary>What follows an inode with these attributes; empty for none.</summary>
    public byte[] Encode(IReadOnlyList<Xattr> xattrs)
    {
        if (xattrs.Count == 0) return [];
        var (inline, shared) = (new MemoryStream(), new List<int>());
        foreach (var xattr in xattrs.OrderBy(xattr => xattr.Name, StringComparer.Ordinal))
        {
            if (EncodeEntry(xattr) is not { } entry) continue;
            if (shared.Count < MostShared && Share(entry) is { } id) shared.Add(id);
            else inline.Write(entry);
        }

        if (shared.Count == 0 && inline.Length == 0) return [];
        var body = new byte[ErofsFormat.XattrHeaderSize + (shared.Count * 4) + (int)inline.Length];
        body[4] = (byte)shared.Count;
        for (var i = 0; i < shared.Count; i++)
            BinaryPrimitives.WriteInt32LittleEndian(body.AsSpan(ErofsFormat.XattrHeaderSize + (i * 4)), shared[i]);
        inline.GetBuffer().AsSpan(0, (int)inline.Length).CopyTo(body.AsSpan(ErofsFormat.XattrHeaderSize + (shared.Count * 4)));
        return body;
    }

    private int? Share(byte[] entry)
    {
        var key = Encoding.Latin1.GetString(entry);
        if (!_seen.TryGetValue(key, out var id))
        {
            if (_seen.Count < MostRemembered && entry.Length > 8) _seen[key] = -1;
            return null;
        }

        if (id >= 0) return id;
        id = (int)(_shared.Length / 4);
        _shared.Write(entry);
        _seen[key] = id;
        return id;
    }

    private static byte[]? EncodeEntry(Xattr xattr)
    {
        foreach (var (prefix, index) in Prefixes)
        {
            if (!xattr.Name.StartsWith(prefix, StringComparison.Ordinal)) continue;
            var name = Encoding.UTF8.GetBytes(xattr.Name[prefix.Length..]);
            if (index is 2 or 3 ? name.Length != 0 : name.Length is 0 or > 255) return null;
            var entry = new byte[(ErofsFormat.XattrEntrySize + name.Length + xattr.Value.Length + 3) & ~3];
            entry[0] = (byte)name.Length;
            entry[1] = index;
            BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(2), (ushort)xattr.Value.Length);
            name.CopyTo(entry, ErofsFormat.XattrEntrySize);
            xattr.Value.CopyTo(entry, ErofsFormat.XattrEntrySize + name.Length);
            return entry;
        }

        return null;
    }
}
