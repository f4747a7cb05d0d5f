using Hull.Linux.Abi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>The classic and the descriptor-based mount calls. See mount(2), mount_setattr(2), open_tree(2), fsopen(2).</summary>
public static unsafe class MountCalls
{
    /// <summary>mount(2). A null string is passed as a null pointer.</summary>
    public static nint Mount(string? source, string target, string? type, ulong flags, string? data)
    {
        using var from = new CString(source ?? "", stackalloc byte[CString.StackSize]);
        using var to = new CString(target, stackalloc byte[CString.StackSize]);
        using var kind = new CString(type ?? "", stackalloc byte[64]);
        using var options = new CString(data ?? "", stackalloc byte[CString.StackSize]);
        // SAFETY: all strings are NUL-terminated and pinned for the call.
        fixed (byte* s = from)
        fixed (byte* t = to)
        fixed (byte* k = kind)
        fixed (byte* d = options)
        {
            return Kernel.Call(SYS_mount, source is null ? 0 : (nint)s, (nint)t, type is null ? 0 : (nint)k, (nint)flags,
                data is null ? 0 : (nint)d);
        }
    }

    public static nint Umount(string target, int flags)
    {
        using var name = new CString(target, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_umount2, (nint)p, flags);
    }

    public static nint FsOpen(string type)
    {
        using var name = new CString(type, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_fsopen, (nint)p, (nint)MountApi.FSOPEN_CLOEXEC);
    }

    public static nint FsConfigString(int context, string key, string value)
    {
        using var name = new CString(key, stackalloc byte[CString.StackSize]);
        using var text = new CString(value, stackalloc byte[CString.StackSize]);
        // SAFETY: both strings are NUL-terminated and pinned for the call.
        fixed (byte* k = name)
        fixed (byte* v = text) return Kernel.Call(SYS_fsconfig, context, (nint)MountApi.FSCONFIG_SET_STRING, (nint)k, (nint)v, 0);
    }

    public static nint FsConfigFlag(int context, string key)
    {
        using var name = new CString(key, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* k = name) return Kernel.Call(SYS_fsconfig, context, (nint)MountApi.FSCONFIG_SET_FLAG, (nint)k, 0, 0);
    }

    public static nint FsConfigDescriptor(int context, string key, int descriptor)
    {
        using var name = new CString(key, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* k = name) return Kernel.Call(SYS_fsconfig, context, (nint)MountApi.FSCONFIG_SET_FD, (nint)k, 0, descriptor);
    }

    public static nint FsConfigCreate(int context) => Kernel.Call(SYS_fsconfig, context, (nint)MountApi.FSCONFIG_CMD_CREATE, 0, 0, 0);

    public static nint FsConfigReconfigure(int context) =>
        Kernel.Call(SYS_fsconfig, context, (nint)MountApi.FSCONFIG_CMD_RECONFIGURE, 0, 0, 0);

    /// <summary>A detached mount of a created context; attributes are MOUNT_ATTR_*.</summary>
    public static nint FsMount(int context, ulong attributes) =>
        Kernel.Call(SYS_fsmount, context, (nint)MountApi.FSMOUNT_CLOEXEC, (nint)attributes);

    public static nint FsPick(int directory, string path, uint flags)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_fspick, directory, (nint)p, (nint)(flags | MountApi.FSPICK_CLOEXEC));
    }

    public static nint OpenTree(int directory, string path, uint flags)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: the name is NUL-terminated and pinned for the call.
        fixed (byte* p = name) return Kernel.Call(SYS_open_tree, directory, (nint)p, (nint)(flags | MountApi.OPEN_TREE_CLOEXEC));
    }

    public static nint MoveMount(int fromDirectory, string from, int toDirectory, string to, uint flags)
    {
        using var source = new CString(from, stackalloc byte[CString.StackSize]);
        using var target = new CString(to, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* s = source)
        fixed (byte* t = target) return Kernel.Call(SYS_move_mount, fromDirectory, (nint)s, toDirectory, (nint)t, (nint)flags);
    }

    public static nint MountSetAttr(int directory, string path, int flags, MountAttr attributes)
    {
        using var name = new CString(path, stackalloc byte[CString.StackSize]);
        // SAFETY: name and attributes outlive the call; the size is that of struct mount_attr version 0.
        fixed (byte* p = name)
            return Kernel.Call(SYS_mount_setattr, directory, (nint)p, flags, (nint)(&attributes), sizeof(MountAttr));
    }

    public static nint PivotRoot(string newRoot, string putOld)
    {
        using var root = new CString(newRoot, stackalloc byte[CString.StackSize]);
        using var old = new CString(putOld, stackalloc byte[CString.StackSize]);
        // SAFETY: both names are NUL-terminated and pinned for the call.
        fixed (byte* r = root)
        fixed (byte* o = old) return Kernel.Call(SYS_pivot_root, (nint)r, (nint)o);
    }
}
