using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;

namespace Hull.Runtime.Setup;

/// <summary>
/// The mounts of a spec. Sources are opened and cloned by the parent, where host paths mean what the caller meant and a
/// user namespace cannot hide them; the child only attaches descriptors to descriptors.
/// </summary>
internal static class MountSetup
{
    /// <summary>File systems whose read-only flag is the mount's alone.</summary>
    private static readonly HashSet<string> s_mountOnlyReadOnly = ["proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup", "cgroup2"];

    /// <summary>Message of the child that carries an empty tmpfs to be filled from the image. The answer is the same byte.</summary>
    internal const byte WantsCopy = (byte)'m';

    /// <summary>Longest value fsconfig(2) takes.</summary>
    private const int MaxOptionValue = 255;

    internal static void Add(SetupContext context)
    {
        foreach (var mount in context.Spec.Mounts ?? []) AddMount(context, mount, MountOptions.Parse(mount.Options));
    }

    private static void AddMount(SetupContext context, MountSpec mount, MountOptions options)
    {
        var destination = PathName.Clean(mount.Destination!);
        // Nodes and directories are still to be made in /dev; RootSetup.Seal makes it what it was to be.
        if (destination == "/dev" && !options.Remount && options.DeferReadOnly()) context.SealsDevices = true;
        if (options.Remount) AddRemount(context, destination, options);
        else if (options.Bind || mount.Type == "bind") AddBind(context, mount, destination, options);
        else if (mount.Type is "cgroup" or "cgroup2") CgroupMounts.Add(context, destination, options);
        else if (options.TmpCopyUp) AddCopiedTmpfs(context, mount, destination, options);
        else AddFileSystem(context, mount, destination, options);
    }

    private static void AddBind(SetupContext context, MountSpec mount, string destination, MountOptions options)
    {
        var source = Path.Combine(context.Bundle, mount.Source!);
        using var handle = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, source, O_PATH), $"open the source {source} of the mount at {destination}");
        var clone = options.IdMap || mount.UidMappings is { Count: > 0 }
            ? CloneMapped(context, mount, options, handle, source)
            : MountCloner.Clone(context, handle, source, options.Recursive, context.Mount, out _, Independence(context),
                (new MountAttr { attr_set = options.Set, attr_clr = options.Clear }, false),
                (new MountAttr { attr_set = options.RecursiveSet, attr_clr = options.RecursiveClear }, true));
        RefuseProc(destination, handle, source);
        MountTargets.Ensure(context, destination, handle.Stat().IsDirectory);
        ExpectNotProc(context, destination);
        Attach(context, clone, destination, options);
    }

    private static Argument CloneMapped(SetupContext context, MountSpec mount, MountOptions options, SafeFd handle, string source)
    {
        if (context.Rootless) throw HullException.Unsupported($"mounts: {mount.Destination}: the kernel maps the ids of a file system for its owner only, which for the host's is root");
        var clone = context.Own(DetachedMount.Clone(handle, options.Recursive, source));
        var (independence, recursive) = Independence(context);
        clone.SetAttributes(independence, recursive);
        IdMappedMounts.Apply(context, mount, options, clone);
        clone.SetAttributes(new MountAttr { attr_set = options.Set, attr_clr = options.Clear });
        clone.SetAttributes(new MountAttr { attr_set = options.RecursiveSet, attr_clr = options.RecursiveClear }, recursive: true);
        return context.Program.Inherit(clone.Descriptor);
    }

    private static void AddFileSystem(SetupContext context, MountSpec mount, string destination, MountOptions options)
    {
        var program = context.Program;
        var strict = mount.Type is "proc" or "sysfs" || destination is "/dev" or "/dev/pts" or "/dev/shm" or "/dev/mqueue";
        MountTargets.Ensure(context, destination, directory: true, strict);
        if (!(strict && mount.Type is "proc" or "sysfs")) ExpectNotProc(context, destination);
        if (options.Data.Any(entry => entry.Length - entry.IndexOf('=') - 1 > MaxOptionValue))
        {
            AddClassic(context, mount, destination, options);
            return;
        }

        if (mount.Type == "proc" && options.Data.Count == 0)
        {
            program.Call("clone", "proc", SyscallNumber.SYS_fcntl, context.Proc, F_DUPFD_CLOEXEC, 0, result: context.Mount);
            if ((options.Set | options.Clear) != 0)
                program.MountSetAttr(context.Mount, new MountAttr { attr_set = options.Set, attr_clr = options.Clear }, false, destination);
        }
        else
        {
            program.FsOpen(context.FileSystem, mount.Type!, $"{mount.Type} for {destination}");
            if (!string.IsNullOrEmpty(mount.Source)) program.FsConfigString(context.FileSystem, "source", mount.Source, destination);
            foreach (var entry in SuperOptions(context, mount, options)) AddSuperOption(context, entry, destination);
            program.FsConfigCreate(context.FileSystem, destination);
            program.FsMount(context.Mount, context.FileSystem, options.Set, destination);
            program.Close(context.FileSystem);
        }

        if ((options.RecursiveSet | options.RecursiveClear) != 0)
            program.MountSetAttr(context.Mount, new MountAttr { attr_set = options.RecursiveSet, attr_clr = options.RecursiveClear }, true, destination);
        Attach(context, context.Mount, destination, options);
        program.Close(context.Mount);
    }

    /// <summary>mount(2) on the working directory, for options too long for the new calls.</summary>
    private static void AddClassic(SetupContext context, MountSpec mount, string destination, MountOptions options)
    {
        var program = context.Program;
        program.Fchdir(context.Target, destination);
        program.Mount(mount.Source ?? "none", ".", mount.Type, 0, string.Join(',', SuperOptions(context, mount, options)));
        program.Close(context.Target);
        // The working directory is below the new mount; only a new walk finds the mount itself.
        MountTargets.Ensure(context, destination, directory: true);
        program.MountSetAttr(context.Target, new MountAttr { attr_set = options.Set, attr_clr = options.Clear }, false, destination);
        program.Close(context.Target);
        program.Chdir("/");
    }

    private static void AddRemount(SetupContext context, string destination, MountOptions options)
    {
        MountTargets.Ensure(context, destination, directory: false);
        context.Program.MountSetAttr(context.Target, new MountAttr { attr_set = options.Set, attr_clr = options.Clear }, false, destination);
        if ((options.RecursiveSet | options.RecursiveClear) != 0)
            context.Program.MountSetAttr(context.Target, new MountAttr { attr_set = options.RecursiveSet, attr_clr = options.RecursiveClear }, true, destination);
        context.Program.Close(context.Target);
    }

    /// <summary>A tmpfs that starts with a copy of what the image has at its place.</summary>
    private static void AddCopiedTmpfs(SetupContext context, MountSpec mount, string destination, MountOptions options)
    {
        if (context.Rootless)
        {
            AddCopiedTmpfsByChild(context, mount, destination, options);
            return;
        }

        var pairs = options.Data.Concat(options.SuperFlags).Select(SplitOption);
        var tmpfs = context.Own(DetachedMount.Create("tmpfs", pairs, options.Set & ~MOUNT_ATTR_RDONLY));
        using (var root = RootDirectory.Open(context.Rootfs)) TreeCopy.Copy(root, destination, tmpfs.Descriptor);
        if ((options.Set & MOUNT_ATTR_RDONLY) != 0) tmpfs.SetAttributes(new MountAttr { attr_set = MOUNT_ATTR_RDONLY });
        MountTargets.Ensure(context, destination, directory: true);
        ExpectNotProc(context, destination);
        Attach(context, context.Program.Inherit(tmpfs.Descriptor), destination, options);
    }

    /// <summary>An ordinary user's tmpfs can be made in the user namespace only: the child makes it, and hands it to the parent to fill.</summary>
    private static void AddCopiedTmpfsByChild(SetupContext context, MountSpec mount, string destination, MountOptions options)
    {
        var program = context.Program;
        context.Copies.Enqueue(destination);
        program.FsOpen(context.FileSystem, "tmpfs", $"tmpfs for {destination}");
        foreach (var entry in SuperOptions(context, mount, options)) AddSuperOption(context, entry, destination);
        program.FsConfigCreate(context.FileSystem, destination);
        program.FsMount(context.Mount, context.FileSystem, options.Set & ~MOUNT_ATTR_RDONLY, destination);
        program.Close(context.FileSystem);
        program.SendDescriptor(context.Socket, WantsCopy, context.Mount);
        program.WaitFor(context.Socket, WantsCopy);
        if ((options.Set & MOUNT_ATTR_RDONLY) != 0)
            program.MountSetAttr(context.Mount, new MountAttr { attr_set = MOUNT_ATTR_RDONLY }, false, destination);
        MountTargets.Ensure(context, destination, directory: true);
        ExpectNotProc(context, destination);
        Attach(context, context.Mount, destination, options);
        program.Close(context.Mount);
    }

    /// <summary>The parent's answer to <see cref="WantsCopy"/>.</summary>
    internal static void CopyUp(SetupContext context, SafeFd tmpfs)
    {
        using (tmpfs)
        using (var root = RootDirectory.Open(context.Rootfs))
        {
            TreeCopy.Copy(root, context.Copies.Dequeue(), tmpfs);
        }
    }

    private static void Attach(SetupContext context, Argument mount, string destination, MountOptions options)
    {
        var program = context.Program;
        program.MoveMount(mount, context.Target, destination);
        program.Close(context.Target);
        if (options.Propagation != 0)
            program.MountSetAttr(mount, new MountAttr { propagation = options.Propagation }, options.PropagationRecursive, destination);
    }

    /// <summary>
    /// A clone of a shared mount is its peer: what is mounted below one appears below the other. Unless the caller
    /// asked for that by the root's propagation, the container only receives.
    /// </summary>
    private static (MountAttr Attributes, bool Recursive) Independence(SetupContext context) =>
        (new MountAttr { propagation = RootSetup.IsShared(context) ? 0 : MountFlags.MS_SLAVE }, true);

    private static IEnumerable<string> SuperOptions(SetupContext context, MountSpec mount, MountOptions options)
    {
        foreach (var flag in options.SuperFlags) yield return flag;
        if ((options.Set & MOUNT_ATTR_RDONLY) != 0 && !s_mountOnlyReadOnly.Contains(mount.Type!)) yield return "ro";
        foreach (var entry in options.Data) yield return entry;
        if (!string.IsNullOrEmpty(context.Linux.MountLabel) && mount.Type is "tmpfs" or "mqueue" or "devpts" && SecurityLabels.SelinuxEnabled)
            yield return $"context={context.Linux.MountLabel}";
    }

    private static void AddSuperOption(SetupContext context, string entry, string destination)
    {
        var (key, value) = SplitOption(entry);
        if (value is null) context.Program.FsConfigFlag(context.FileSystem, key, $"{destination} ({key})");
        else context.Program.FsConfigString(context.FileSystem, key, value, $"{destination} ({entry})");
    }

    private static (string Key, string? Value) SplitOption(string entry)
    {
        var equals = entry.IndexOf('=');
        return equals < 0 ? (entry, null) : (entry[..equals], entry[(equals + 1)..]);
    }

    /// <summary>
    /// Only single files that describe the machine may cover those of /proc; anything else could fake what later steps
    /// write to (CVE-2019-16884).
    /// </summary>
    private static void RefuseProc(string destination, SafeFd source, string sourceName)
    {
        if (!destination.StartsWith("/proc", StringComparison.Ordinal) || (destination.Length > 5 && destination[5] != '/')) return;
        if (destination == "/proc" && source.FileSystemType() == Magic.PROC_SUPER_MAGIC) return;
        if (destination is "/proc/cpuinfo" or "/proc/diskstats" or "/proc/meminfo" or "/proc/stat" or "/proc/swaps" or "/proc/uptime"
            or "/proc/loadavg" or "/proc/slabinfo" or "/proc/sys/kernel/ns_last_pid" or "/proc/sys/crypto/fips_enabled") return;
        throw HullException.Invalid($"mounts: {sourceName} must not be mounted at {destination}, which is inside /proc");
    }

    /// <summary>The same for a destination that is in /proc by a link of the image.</summary>
    private static void ExpectNotProc(SetupContext context, string destination)
    {
        if (destination.StartsWith("/proc", StringComparison.Ordinal)) return;
        context.Program.RefuseFileSystem(context.Target, Magic.PROC_SUPER_MAGIC, $"mount at {destination}, which leads into /proc");
    }
}
