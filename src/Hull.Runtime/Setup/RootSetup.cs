using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountFlags;

namespace Hull.Runtime.Setup;

/// <summary>The root file system: its mount, its propagation, and the change of root.</summary>
internal static class RootSetup
{
    internal static bool IsShared(SetupContext context) => context.Linux.RootfsPropagation is "shared" or "rshared";

    /// <summary>
    /// Clones the root in the parent and attaches it at its own path in the child, so that it is a mount, as pivot_root(2)
    /// wants, and can get attributes of its own.
    /// </summary>
    internal static void Attach(SetupContext context)
    {
        var program = context.Program;
        using var rootfs = OpenRootfs(context);
        if (!context.HasMountNamespace)
        {
            context.Root = context.Inherit(rootfs.Duplicate());
            return;
        }

        if (IsShared(context)) program.Mount(null, ParentMount(context.Rootfs), null, MS_PRIVATE, null);
        else program.Mount(null, "/", null, MS_REC | MS_SLAVE, null);
        context.Root = MountCloner.Clone(context, rootfs, context.Rootfs, recursive: true, program.NewSlot(), out var number,
            (new MountAttr { propagation = IsShared(context) ? MS_PRIVATE : MS_SLAVE }, !IsShared(context)));
        context.RootMount = number;
        // A mount can only be attached in the child's own mount namespace, so the place is looked up there.
        program.OpenAt(context.Target, AT_FDCWD, IsOutOfReach(context) ? "/" : context.Rootfs, O_PATH | O_DIRECTORY);
        program.MoveMount(context.Root, context.Target, context.Rootfs);
        program.Close(context.Target);
    }

    /// <summary>
    /// Root of a user namespace is nobody on the way to the bundle, which may be closed to others. Where nobody looks for the
    /// root at its path before the change of root, it covers the old one instead.
    /// </summary>
    private static bool IsOutOfReach(SetupContext context) =>
        context is { HasUserNamespace: true, Rootless: false, NoPivot: false } && context.Spec.Hooks?.CreateContainer is not { Count: > 0 };

    /// <summary>Makes the root read-only where wanted, once everything that had to be made in it is there.</summary>
    internal static void Seal(SetupContext context)
    {
        if (context.SealsDevices)
        {
            MountTargets.Ensure(context, "/dev", directory: true, strict: true);
            context.Program.MountSetAttr(context.Target, new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY }, false, "/dev");
            context.Program.Close(context.Target);
        }

        if (context.Spec.Root!.Readonly && context.HasMountNamespace)
            context.Program.MountSetAttr(context.Root, new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY }, false, "the root file system");
    }

    /// <summary>Leaves the host's file tree for good.</summary>
    internal static void Enter(SetupContext context)
    {
        var program = context.Program;
        if (!context.HasMountNamespace) program.Fchdir(context.Root, "the root file system");
        if (context.HasMountNamespace && !context.NoPivot) Pivot(context);
        else if (context.HasMountNamespace) MoveRoot(context);
        else program.Chroot(".");
        program.Chdir("/");
        var propagation = PropagationFlags(context.Linux.RootfsPropagation);
        if (propagation != 0 && context.HasMountNamespace) program.Mount(null, "/", null, propagation, null);
    }

    /// <summary>
    /// With both arguments the same directory, the old root ends up mounted over the new one, where it is unmounted, so no
    /// directory for it is needed in the image (pivot_root(2), "pivot_root(".", ".")").
    /// </summary>
    private static void Pivot(SetupContext context)
    {
        var program = context.Program;
        program.OpenAt(context.Scratch, AT_FDCWD, "/", O_PATH | O_DIRECTORY);
        program.Fchdir(context.Root, "the root file system");
        program.PivotRoot(".", ".");
        program.Fchdir(context.Scratch, "the old root");
        // The host's mounts below must not be unmounted on the host with ours.
        program.Mount(null, ".", null, MS_SLAVE | MS_REC, null);
        program.Umount(".", UmountFlags.MNT_DETACH);
        program.Close(context.Scratch);
    }

    private static void MoveRoot(SetupContext context)
    {
        var program = context.Program;
        // The host's tree stays below ours, and a full procfs or sysfs anywhere in the namespace lets a user namespace inside
        // mount one without masks (mount_too_revealing in fs/namespace.c).
        foreach (var mount in Enumerable.Reverse(MountInfo.ReadSelf()))
        {
            var isOurs = mount.Target.StartsWith(context.Rootfs + "/", StringComparison.Ordinal);
            if (mount.FileSystem is not ("proc" or "sysfs") || isOurs) continue;
            var (locked, gone) = (new Label(), new Label());
            program.Umount(mount.Target, UmountFlags.MNT_DETACH).OnSuccess(gone).OnFailure(locked, Errno.EINVAL, Errno.EPERM);
            // One that belongs to another user namespace stays, and is covered.
            program.Mark(locked);
            program.Mount("tmpfs", mount.Target, "tmpfs", 0, null);
            program.Mark(gone);
        }

        program.Fchdir(context.Root, "the root file system");
        program.Mount(".", "/", null, MS_MOVE, null);
        program.Chroot(".");
    }

    private static SafeFd OpenRootfs(SetupContext context)
    {
        var result = FileCalls.OpenAt(AT_FDCWD, context.Rootfs, O_PATH | O_DIRECTORY);
        if (result == -(nint)Errno.ENOENT) throw HullException.NotFound($"root.path: the root file system {context.Rootfs} does not exist");
        if (result == -(nint)Errno.ENOTDIR) throw HullException.Invalid($"root.path: {context.Rootfs} is not a directory");
        return Check.Descriptor(result, $"open the root file system {context.Rootfs}");
    }

    private static string ParentMount(string path)
    {
        var best = "/";
        foreach (var mount in MountInfo.ReadSelf())
        {
            if (mount.Target.Length > best.Length && (path == mount.Target || path.StartsWith(mount.Target + "/", StringComparison.Ordinal))) best = mount.Target;
        }

        return best;
    }

    private static ulong PropagationFlags(string? propagation) => propagation switch
    {
        "private" => MS_PRIVATE,
        "rprivate" => MS_PRIVATE | MS_REC,
        "slave" => MS_SLAVE,
        "rslave" => MS_SLAVE | MS_REC,
        "shared" => MS_SHARED,
        "rshared" => MS_SHARED | MS_REC,
        "unbindable" => MS_UNBINDABLE,
        "runbindable" => MS_UNBINDABLE | MS_REC,
        _ => 0,
    };
}
