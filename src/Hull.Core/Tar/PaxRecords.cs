using System.Text;

namespace Hull.Core.Tar;

/// <summary>
/// The records of PAX extended headers that matter to a file system: what a header block has no room for. Set from a
/// global header, then from the entry's own (POSIX.1-2024 pax, "pax Extended Header").
/// </summary>
internal sealed class PaxRecords
{
    private const string SchilyXattr = "SCHILY.xattr.";
    private const string LibarchiveXattr = "LIBARCHIVE.xattr.";

    public byte[]? Path { get; private set; }

    public byte[]? LinkPath { get; private set; }

    public long? Size { get; private set; }

    public long? UserId { get; private set; }

    public long? GroupId { get; private set; }

    public UnixTime? ModifiedAt { get; private set; }

    public Dictionary<string, byte[]> Xattrs { get; } = new(StringComparer.Ordinal);

    public SparseRecords Sparse { get; } = new();

    public void Clear()
    {
        (Path, LinkPath, Size, UserId, GroupId, ModifiedAt) = (null, null, null, null, null, null);
        Xattrs.Clear();
        Sparse.Clear();
    }

    public void CopyFrom(PaxRecords other)
    {
        (Path, LinkPath, Size, UserId, GroupId, ModifiedAt) =
            (other.Path, other.LinkPath, other.Size, other.UserId, other.GroupId, other.ModifiedAt);
        foreach (var (name, value) in other.Xattrs) Xattrs[name] = value;
    }

    /// <summary>Reads all records: each is its own length in decimal, a space, <c>key=value</c> and a line feed.</summary>
    public void Read(ReadOnlySpan<byte> data, UnpackLimits limits)
    {
        while (data.Length > 0)
        {
            if (data[0] == 0 && TarFormat.IsZero(data)) return;
            var space = data.IndexOf((byte)' ');
            if (space is <= 0 or > 10) throw Malformed();
            var length = TarFormat.Decimal(data[..space], "length of a PAX record");
            if (length <= space + 2 || length > data.Length || data[(int)length - 1] != '\n') throw Malformed();
            var record = data[(space + 1)..((int)length - 1)];
            var equals = record.IndexOf((byte)'=');
            if (equals <= 0) throw Malformed();
            Set(record[..equals], record[(equals + 1)..], limits);
            data = data[(int)length..];
        }
    }

    private void Set(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, UnpackLimits limits)
    {
        // An empty value takes back what a global header said.
        var none = value.Length == 0;
        switch (Encoding.UTF8.GetString(key))
        {
            case "path": Path = none ? null : Name(value); break;
            case "linkpath": LinkPath = none ? null : Name(value); break;
            case "size": Size = none ? null : TarFormat.Decimal(value, "size"); break;
            case "uid": UserId = none ? null : TarFormat.Decimal(value, "user id"); break;
            case "gid": GroupId = none ? null : TarFormat.Decimal(value, "group id"); break;
            case "mtime": ModifiedAt = none ? null : TarFormat.Time(value); break;
            case var name when name.StartsWith("GNU.sparse.", StringComparison.Ordinal):
                Sparse.Set(name, value, limits);
                break;
            case var name when name.StartsWith(SchilyXattr, StringComparison.Ordinal):
                SetXattr(name[SchilyXattr.Length..], value.ToArray(), limits);
                break;
            case var name when name.StartsWith(LibarchiveXattr, StringComparison.Ordinal):
                SetEncodedXattr(name[LibarchiveXattr.Length..], value, limits);
                break;
        }
    }

    private void SetEncodedXattr(string name, ReadOnlySpan<byte> value, UnpackLimits limits)
    {
        name = Uri.UnescapeDataString(name);
        // bsdtar writes both forms; the plain one needs no decoding and wins.
        if (Xattrs.ContainsKey(name)) return;
        var text = Encoding.ASCII.GetString(value);
        text = text.PadRight((text.Length + 3) / 4 * 4, '=');
        var bytes = new byte[text.Length];
        if (!Convert.TryFromBase64String(text, bytes, out var length)) throw Malformed();
        SetXattr(name, bytes[..length], limits);
    }

    private void SetXattr(string name, byte[] value, UnpackLimits limits)
    {
        if (name.Length is 0 or > 255 || name.Contains('\0', StringComparison.Ordinal))
            throw HullException.Corrupted("tar has a malformed name of an extended attribute");
        Xattrs[name] = value;
        var sum = 0L;
        foreach (var (other, bytes) in Xattrs) sum += other.Length + bytes.Length;
        if (value.Length > ushort.MaxValue || sum > limits.MaxXattrBytes)
            throw new HullException(ErrorKind.ResourceExhausted, $"tar entry has more than {limits.MaxXattrBytes} bytes of extended attributes");
    }

    private static byte[] Name(ReadOnlySpan<byte> value) => value.Contains((byte)0)
        ? throw HullException.Corrupted("tar has a name with a NUL byte in a PAX header")
        : value.ToArray();

    private static HullException Malformed() => HullException.Corrupted("tar has a malformed PAX header");
}
