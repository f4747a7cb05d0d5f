using Hull.Linux.Abi;

namespace Hull.Linux.Files;

/// <summary>What a directory entry or an inode is.</summary>
public enum FileKind
{
    Unknown,
    Regular,
    Directory,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// <summary>The result of statx(2) in the terms the rest of Hull uses.</summary>
public readonly struct FileStatus(Statx raw)
{
    public FileKind Kind => KindOf(raw.stx_mode);

    /// <summary>The permission bits with set-id and sticky: 07777 of st_mode.</summary>
    public uint Mode => raw.stx_mode & 0xFFFu;

    public uint User => raw.stx_uid;

    public uint Group => raw.stx_gid;

    public long Size => (long)raw.stx_size;

    /// <summary>Bytes the file takes on its file system.</summary>
    public long AllocatedSize => (long)raw.stx_blocks * 512;

    public ulong Inode => raw.stx_ino;

    public uint Links => raw.stx_nlink;

    public (uint Major, uint Minor) Device => (raw.stx_dev_major, raw.stx_dev_minor);

    /// <summary>The device a device node stands for.</summary>
    public (uint Major, uint Minor) Represents => (raw.stx_rdev_major, raw.stx_rdev_minor);

    public ulong MountId => raw.stx_mnt_id;

    public bool IsMountRoot => (raw.stx_attributes & StatxMask.STATX_ATTR_MOUNT_ROOT) != 0;

    public TimeSpec Modified => new() { tv_sec = raw.stx_mtime.tv_sec, tv_nsec = raw.stx_mtime.tv_nsec };

    public TimeSpec Accessed => new() { tv_sec = raw.stx_atime.tv_sec, tv_nsec = raw.stx_atime.tv_nsec };

    public TimeSpec Changed => new() { tv_sec = raw.stx_ctime.tv_sec, tv_nsec = raw.stx_ctime.tv_nsec };

    public bool IsDirectory => Kind == FileKind.Directory;

    public bool IsRegular => Kind == FileKind.Regular;

    public bool IsSymbolicLink => Kind == FileKind.SymbolicLink;

    /// <summary>Whether both are the same inode of the same file system.</summary>
    public bool IsSameFile(FileStatus other) => Device == other.Device && Inode == other.Inode;

    internal static FileKind KindOf(uint mode) => (mode & StatMode.S_IFMT) switch
    {
        StatMode.S_IFREG => FileKind.Regular,
        StatMode.S_IFDIR => FileKind.Directory,
        StatMode.S_IFLNK => FileKind.SymbolicLink,
        StatMode.S_IFCHR => FileKind.CharacterDevice,
        StatMode.S_IFBLK => FileKind.BlockDevice,
        StatMode.S_IFIFO => FileKind.Fifo,
        StatMode.S_IFSOCK => FileKind.Socket,
        _ => FileKind.Unknown,
    };
}

/// <summary>Conversions of <see cref="FileKind"/>.</summary>
public static class FileKindExtensions
{
    /// <summary>The S_IF* bits of a kind.</summary>
    public static uint ToMode(this FileKind kind) => kind switch
    {
        FileKind.Regular => StatMode.S_IFREG,
        FileKind.Directory => StatMode.S_IFDIR,
        FileKind.SymbolicLink => StatMode.S_IFLNK,
        FileKind.CharacterDevice => StatMode.S_IFCHR,
        FileKind.BlockDevice => StatMode.S_IFBLK,
        FileKind.Fifo => StatMode.S_IFIFO,
        FileKind.Socket => StatMode.S_IFSOCK,
        _ => 0,
    };
}
