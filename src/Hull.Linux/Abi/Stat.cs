namespace Hull.Linux.Abi;

/// <summary>File types and mode bits of inode(7).</summary>
[CHeader("sys/stat.h")]
public static class StatMode
{
    public const uint S_IFMT = 0xF000;
    public const uint S_IFSOCK = 0xC000;
    public const uint S_IFLNK = 0xA000;
    public const uint S_IFREG = 0x8000;
    public const uint S_IFBLK = 0x6000;
    public const uint S_IFDIR = 0x4000;
    public const uint S_IFCHR = 0x2000;
    public const uint S_IFIFO = 0x1000;
    public const uint S_ISUID = 0x800;
    public const uint S_ISGID = 0x400;
    public const uint S_ISVTX = 0x200;
}

/// <summary>Request masks and attributes of statx(2).</summary>
[CHeader("linux/stat.h")]
public static class StatxMask
{
    public const uint STATX_BASIC_STATS = 0x7ff;
    public const uint STATX_BTIME = 0x800;
    public const uint STATX_MNT_ID = 0x1000;
    public const ulong STATX_ATTR_MOUNT_ROOT = 0x2000;
    public const ulong STATX_ATTR_IMMUTABLE = 0x10;
}

[CHeader("linux/stat.h"), CName("struct statx_timestamp")]
public struct StatxTimestamp
{
    public long tv_sec;
    public uint tv_nsec;
    public int __reserved;
}

[CHeader("linux/stat.h"), CName("struct statx")]
public struct Statx
{
    public uint stx_mask;
    public uint stx_blksize;
    public ulong stx_attributes;
    public uint stx_nlink;
    public uint stx_uid;
    public uint stx_gid;
    public ushort stx_mode;
    private ushort _padding;
    public ulong stx_ino;
    public ulong stx_size;
    public ulong stx_blocks;
    public ulong stx_attributes_mask;
    public StatxTimestamp stx_atime;
    public StatxTimestamp stx_btime;
    public StatxTimestamp stx_ctime;
    public StatxTimestamp stx_mtime;
    public uint stx_rdev_major;
    public uint stx_rdev_minor;
    public uint stx_dev_major;
    public uint stx_dev_minor;
    public ulong stx_mnt_id;
    public uint stx_dio_mem_align;
    public uint stx_dio_offset_align;
    private ulong _spare0, _spare1, _spare2, _spare3, _spare4, _spare5, _spare6, _spare7, _spare8, _spare9, _spare10, _spare11;
}

[CHeader("sys/vfs.h", "sys/statvfs.h"), CName("struct statfs")]
public struct StatFs
{
    public const long ST_RDONLY = 1;

    public long f_type;
    public long f_bsize;
    public ulong f_blocks;
    public ulong f_bfree;
    public ulong f_bavail;
    public ulong f_files;
    public ulong f_ffree;
    private long _fsid;
    public long f_namelen;
    public long f_frsize;
    public long f_flags;
    private long _spare0, _spare1, _spare2, _spare3;
}

/// <summary>File system types as fstatfs(2) reports them.</summary>
[CHeader("linux/magic.h")]
public static class Magic
{
    public const long PROC_SUPER_MAGIC = 0x9fa0;
    public const long SYSFS_MAGIC = 0x62656572;
    public const long TMPFS_MAGIC = 0x01021994;
    public const long CGROUP_SUPER_MAGIC = 0x27e0eb;
    public const long CGROUP2_SUPER_MAGIC = 0x63677270;
    public const long OVERLAYFS_SUPER_MAGIC = 0x794c7630;
    public const long EXT4_SUPER_MAGIC = 0xEF53;
    public const long EROFS_SUPER_MAGIC_V1 = 0xE0F5E1E2;
    public const long BTRFS_SUPER_MAGIC = 0x9123683E;
    public const long XFS_SUPER_MAGIC = 0x58465342;
    public const long NSFS_MAGIC = 0x6e736673;
    public const long DEVPTS_SUPER_MAGIC = 0x1cd1;
    public const long BPF_FS_MAGIC = 0xcafe4a11;
    public const long SELINUX_MAGIC = 0xf97cff8c;
}

[CHeader("time.h"), CName("struct timespec")]
public struct TimeSpec
{
    public long tv_sec;
    public long tv_nsec;
}

/// <summary>Special nanosecond values of utimensat(2).</summary>
[CHeader("sys/stat.h")]
public static class UtimeNsec
{
    public const long UTIME_NOW = 0x3fffffff;
    public const long UTIME_OMIT = 0x3ffffffe;
}
