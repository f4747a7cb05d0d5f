using Hull.Linux.Abi;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Children;

/// <content>Mounts by descriptor.</content>
public sealed unsafe partial class ChildProgram
{
    /// <summary>Room for one struct statx, which operations use one after the other.</summary>
    private nint _status;

    public Operation Mount(string? source, string target, string? type, ulong flags, string? data) =>
        Call("mount", target, SYS_mount, source is null ? 0 : Text(source), Text(target), type is null ? 0 : Text(type), flags,
            data is null ? 0 : Text(data));

    public Operation Umount(string target, int flags) => Call("unmount", target, SYS_umount2, Text(target), flags);

    public Operation FsOpen(Slot context, string type, string description) =>
        Call("use file system", description, SYS_fsopen, Text(type), FSOPEN_CLOEXEC, result: context);

    public Operation FsConfigString(Slot context, string key, string value, string description) =>
        Call("set a mount option of", description, SYS_fsconfig, context, FSCONFIG_SET_STRING, Text(key), Text(value), 0);

    public Operation FsConfigFlag(Slot context, string key, string description) =>
        Call("set a mount option of", description, SYS_fsconfig, context, FSCONFIG_SET_FLAG, Text(key), 0, 0);

    public Operation FsConfigCreate(Slot context, string description) =>
        Call("create file system for", description, SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);

    public Operation FsMount(Slot mount, Slot context, ulong attributes, string description) =>
        Call("mount", description, SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes, result: mount);

    public Operation OpenTree(Slot tree, Argument directory, string path, uint flags, string description) =>
        Call("clone the mount of", description, SYS_open_tree, directory, Text(path), flags | OPEN_TREE_CLOEXEC, result: tree);

    /// <summary>Attaches a detached mount to an open directory or file.</summary>
    public Operation MoveMount(Argument mount, Argument target, string description) =>
        Call("mount", description, SYS_move_mount, mount, Text(""), target, Text(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

    public Operation MountSetAttr(Argument mount, MountAttr attributes, bool recursive, string description) =>
        Call("set mount attributes of", description, SYS_mount_setattr, mount, Text(""), AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
            Struct(attributes), sizeof(MountAttr));

    public Operation Fchdir(Argument directory, string description) => Call("change directory to", description, SYS_fchdir, directory);

    public Operation Chdir(string path) => Call("change directory to", path, SYS_chdir, Text(path));

    public Operation PivotRoot(string root, string old) => Call("pivot_root", null, SYS_pivot_root, Text(root), Text(old));

    public Operation Chroot(string path) => Call("chroot", path, SYS_chroot, Text(path));

    /// <summary>Aborts unless the descriptor's file system has the magic number.</summary>
    public Operation ExpectFileSystem(Slot descriptor, long magic, string verb, string subject)
    {
        var buffer = Buffer(sizeof(StatFs));
        Call(verb, subject, SYS_fstatfs, descriptor, buffer);
        Load(Check, buffer, 8);
        return Expect(verb, subject, Check, (nint)magic);
    }

    /// <summary>Aborts unless what is at the path lies on the mount with this number.</summary>
    public Operation ExpectMount(string path, ulong mount)
    {
        // SAFETY: room for one struct statx in the arena, which outlives the child's start.
        var status = (Statx*)Buffer(sizeof(Statx));
        Call("examine", path, SYS_statx, AT_FDCWD, Text(path), 0, StatxMask.STATX_MNT_ID, (nint)status);
        Load(Check, (nint)(&status->stx_mnt_id), sizeof(ulong));
        return Expect("find the mount of", path, Check, (nint)mount);
    }

    /// <summary>Aborts where the descriptor's file system has the magic number.</summary>
    public void RefuseFileSystem(Slot descriptor, long magic, string verb)
    {
        var buffer = Buffer(sizeof(StatFs));
        Call(verb, null, SYS_fstatfs, descriptor, buffer);
        Load(Check, buffer, 8);
        var other = new Label();
        Expect(verb, null, Check, (nint)magic).OnFailure(other);
        Fail(verb, null, (int)Errno.EPERM);
        Mark(other);
    }

    /// <summary>Aborts unless the descriptor is a directory; <see cref="Operation.OnFailure"/> makes it a branch.</summary>
    public Operation ExpectDirectory(Slot descriptor, string description)
    {
        _status = _status != 0 ? _status : Buffer(sizeof(Statx));
        Call("examine", description, SYS_statx, descriptor, Text(""), AT_EMPTY_PATH, StatxMask.STATX_BASIC_STATS, _status);
        // SAFETY: an address inside the struct of this arena.
        Load(Check, (nint)(&((Statx*)_status)->stx_mode), 2);
        return Expect("use", description, Check, StatMode.S_IFDIR, (nint)StatMode.S_IFMT);
    }

    /// <summary>Aborts unless the descriptor is a node of this type (S_IF*) and, for devices, these numbers.</summary>
    public void ExpectNode(Slot descriptor, uint type, uint major, uint minor, string description)
    {
        var buffer = Buffer(sizeof(Statx));
        Call("examine", description, SYS_statx, descriptor, Text(""), AT_EMPTY_PATH, StatxMask.STATX_BASIC_STATS, buffer);
        var status = (Statx*)buffer;
        // SAFETY: addresses inside the struct of this arena.
        Load(Check, (nint)(&status->stx_mode), 2);
        Expect("use", description, Check, type, (nint)StatMode.S_IFMT);
        if (type == StatMode.S_IFIFO) return;
        Load(Check, (nint)(&status->stx_rdev_major), 4);
        Expect("use", description, Check, major);
        Load(Check, (nint)(&status->stx_rdev_minor), 4);
        Expect("use", description, Check, minor);
    }
}
