namespace Hull.Core.Tar;

public enum TarEntryKind : byte
{
    File,
    HardLink,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// <summary>Seconds and nanoseconds since 1970, before or after.</summary>
public readonly record struct UnixTime(long Seconds, int Nanoseconds) : IComparable<UnixTime>
{
    public int CompareTo(UnixTime other) =>
        Seconds != other.Seconds ? Seconds.CompareTo(other.Seconds) : Nanoseconds.CompareTo(other.Nanoseconds);
}

/// <summary>An extended attribute; the name has its prefix (<c>user.</c>, <c>security.</c>).</summary>
public sealed record Xattr(string Name, byte[] Value);

/// <summary>A piece of a sparse file that holds data; what is between pieces is a hole.</summary>
public readonly record struct SparseRegion(long Offset, long Length);

/// <summary>
/// One entry of a tar as it was read, nothing of it trusted or resolved yet. Names are bytes, as the kernel has them:
/// nothing says that they are UTF-8. The reader uses one object again and again.
/// </summary>
public sealed class TarEntry
{
    public TarEntryKind Kind { get; set; }

    /// <summary>The name as written; may be absolute, and may have <c>.</c> and <c>..</c> in it.</summary>
    public byte[] Path { get; set; } = [];

    /// <summary>Target of a symbolic or hard link, as written.</summary>
    public byte[] LinkTarget { get; set; } = [];

    /// <summary>Permission, setuid, setgid and sticky bits.</summary>
    public int Mode { get; set; }

    public uint UserId { get; set; }

    public uint GroupId { get; set; }

    public UnixTime ModifiedAt { get; set; }

    /// <summary>Size of a regular file, holes included; 0 for everything else.</summary>
    public long Size { get; set; }

    public uint DeviceMajor { get; set; }

    public uint DeviceMinor { get; set; }

    /// <summary>Extended attributes, each name once.</summary>
    public List<Xattr> Xattrs { get; } = [];

    /// <summary>The pieces of a sparse file in ascending order; null where all of it is data.</summary>
    public IReadOnlyList<SparseRegion>? Sparse { get; set; }

    /// <summary>Makes it an empty one, to be filled again.</summary>
    public void Clear()
    {
        (Kind, Path, LinkTarget, Mode, UserId, GroupId) = (TarEntryKind.File, [], [], 0, 0, 0);
        (ModifiedAt, Size, DeviceMajor, DeviceMinor, Sparse) = (default, 0, 0, 0, null);
        Xattrs.Clear();
    }
}
