namespace Hull.Linux.Abi;

/// <summary>Flags of mount(2) and umount2(2).</summary>
[CHeader("sys/mount.h", "linux/mount.h")]
public static class MountFlags
{
    public const ulong MS_RDONLY = 1;
    public const ulong MS_NOSUID = 2;
    public const ulong MS_NODEV = 4;
    public const ulong MS_NOEXEC = 8;
    public const ulong MS_SYNCHRONOUS = 16;
    public const ulong MS_REMOUNT = 32;
    public const ulong MS_MANDLOCK = 64;
    public const ulong MS_DIRSYNC = 128;
    public const ulong MS_NOSYMFOLLOW = 256;
    public const ulong MS_NOATIME = 1024;
    public const ulong MS_NODIRATIME = 2048;
    public const ulong MS_BIND = 4096;
    public const ulong MS_MOVE = 8192;
    public const ulong MS_REC = 16384;
    public const ulong MS_SILENT = 32768;
    public const ulong MS_UNBINDABLE = 1 << 17;
    public const ulong MS_PRIVATE = 1 << 18;
    public const ulong MS_SLAVE = 1 << 19;
    public const ulong MS_SHARED = 1 << 20;
    public const ulong MS_RELATIME = 1 << 21;
    public const ulong MS_I_VERSION = 1 << 23;
    public const ulong MS_STRICTATIME = 1 << 24;
    public const ulong MS_LAZYTIME = 1 << 25;
}

/// <summary>Flags of umount2(2).</summary>
[CHeader("sys/mount.h")]
public static class UmountFlags
{
    public const int MNT_FORCE = 1;
    public const int MNT_DETACH = 2;
    public const int MNT_EXPIRE = 4;
    public const int UMOUNT_NOFOLLOW = 8;
}

/// <summary>Flags of fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2) and mount_setattr(2).</summary>
[CHeader("fcntl.h", "linux/mount.h")]
public static class MountApi
{
    public const uint FSOPEN_CLOEXEC = 1;
    public const uint FSPICK_CLOEXEC = 1;
    public const uint FSPICK_SYMLINK_NOFOLLOW = 2;
    public const uint FSPICK_EMPTY_PATH = 8;
    public const uint FSMOUNT_CLOEXEC = 1;
    public const uint OPEN_TREE_CLONE = 1;
    public const uint OPEN_TREE_CLOEXEC = 0x80000;

    public const uint FSCONFIG_SET_FLAG = 0;
    public const uint FSCONFIG_SET_STRING = 1;
    public const uint FSCONFIG_SET_BINARY = 2;
    public const uint FSCONFIG_SET_PATH = 3;
    public const uint FSCONFIG_SET_PATH_EMPTY = 4;
    public const uint FSCONFIG_SET_FD = 5;
    public const uint FSCONFIG_CMD_CREATE = 6;
    public const uint FSCONFIG_CMD_RECONFIGURE = 7;
    [Since("6.6")]
    public const uint FSCONFIG_CMD_CREATE_EXCL = 8;

    public const uint MOVE_MOUNT_F_SYMLINKS = 1;
    public const uint MOVE_MOUNT_F_EMPTY_PATH = 4;
    public const uint MOVE_MOUNT_T_SYMLINKS = 0x10;
    public const uint MOVE_MOUNT_T_EMPTY_PATH = 0x40;
    public const uint MOVE_MOUNT_SET_GROUP = 0x100;
    [Since("6.5")]
    public const uint MOVE_MOUNT_BENEATH = 0x200;

    public const ulong MOUNT_ATTR_RDONLY = 0x01;
    public const ulong MOUNT_ATTR_NOSUID = 0x02;
    public const ulong MOUNT_ATTR_NODEV = 0x04;
    public const ulong MOUNT_ATTR_NOEXEC = 0x08;
    public const ulong MOUNT_ATTR__ATIME = 0x70;
    public const ulong MOUNT_ATTR_RELATIME = 0x00;
    public const ulong MOUNT_ATTR_NOATIME = 0x10;
    public const ulong MOUNT_ATTR_STRICTATIME = 0x20;
    public const ulong MOUNT_ATTR_NODIRATIME = 0x80;
    public const ulong MOUNT_ATTR_IDMAP = 0x100000;
    public const ulong MOUNT_ATTR_NOSYMFOLLOW = 0x200000;
}

[CHeader("linux/mount.h"), CName("struct mount_attr")]
public struct MountAttr
{
    public ulong attr_set;
    public ulong attr_clr;
    public ulong propagation;
    public ulong userns_fd;
}
