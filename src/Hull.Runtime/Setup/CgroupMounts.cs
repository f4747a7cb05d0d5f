using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;

namespace Hull.Runtime.Setup;

/// <summary>
/// The container's view of its cgroup, which is a clone of its own directory and nothing above: in v2 the one directory, in
/// v1 a tmpfs with one directory for each hierarchy and a link for each further controller of it.
/// </summary>
internal static class CgroupMounts
{
    private const ulong Hardened = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

    internal static void Add(SetupContext context, string destination, MountOptions options)
    {
        var program = context.Program;
        if (context.Cgroup.Version == CgroupVersion.V2)
        {
            if (!context.Cgroup.Paths.TryGetValue("", out var path)) return;
            var clone = Clone(context, path, options, context.Mount);
            MountTargets.Ensure(context, destination, directory: true);
            Attach(context, clone, destination, options);
            return;
        }

        MountTargets.Ensure(context, destination, directory: true);
        program.FsOpen(context.FileSystem, "tmpfs", $"tmpfs for {destination}");
        program.FsConfigString(context.FileSystem, "source", "cgroup", destination);
        program.FsConfigString(context.FileSystem, "mode", "755", destination);
        program.FsConfigCreate(context.FileSystem, destination);
        program.FsMount(context.Mount, context.FileSystem, Hardened, destination);
        program.Close(context.FileSystem);
        Attach(context, context.Mount, destination, options);
        AddHierarchies(context, destination, options);
        if ((options.Set & MOUNT_ATTR_RDONLY) != 0)
            program.MountSetAttr(context.Mount, new MountAttr { attr_set = MOUNT_ATTR_RDONLY }, false, destination);
        program.Close(context.Mount);
    }

    private static void AddHierarchies(SetupContext context, string destination, MountOptions options)
    {
        var program = context.Program;
        foreach (var hierarchy in context.Cgroup.Paths.GroupBy(pair => pair.Value))
        {
            var clone = Clone(context, hierarchy.Key, options, context.FileSystem);
            var controllers = hierarchy.Select(pair => pair.Key.StartsWith("name=", StringComparison.Ordinal) ? pair.Key[5..] : pair.Key).ToList();
            var name = string.Join(',', controllers);
            var description = $"{destination}/{name}";
            program.MkdirAt(context.Mount, name, 0x1ED);
            program.OpenAt2(context.Target, context.Mount, name, O_PATH | O_DIRECTORY, Resolve.RESOLVE_BENEATH | Resolve.RESOLVE_NO_SYMLINKS, description);
            Attach(context, clone, description, options);
            if (controllers.Count < 2) continue;
            foreach (var controller in controllers) program.SymlinkAt(name, context.Mount, controller);
        }
    }

    private static Argument Clone(SetupContext context, string path, MountOptions options, Slot slot)
    {
        var changes = (new MountAttr
        {
            attr_set = options.Set | Hardened, attr_clr = options.Clear & ~Hardened, propagation = MountFlags.MS_PRIVATE,
        }, false);
        // systemd makes the cgroup once there is a process to put into it.
        if (context.CgroupEntry.NeedsPid) return MountCloner.CloneInChild(context, path, recursive: false, slot, changes);
        using var handle = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_PATH | O_DIRECTORY), $"open the cgroup {path}");
        return MountCloner.Clone(context, handle, path, recursive: false, slot, out _, changes);
    }

    private static void Attach(SetupContext context, Argument mount, string destination, MountOptions options)
    {
        context.Program.MoveMount(mount, context.Target, destination);
        context.Program.Close(context.Target);
        if (options.Propagation != 0) context.Program.MountSetAttr(mount, new MountAttr { propagation = options.Propagation }, false, destination);
    }
}
