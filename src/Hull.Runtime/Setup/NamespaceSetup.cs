using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Syscalls;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.CloneFlags;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Setup;

/// <summary>
/// Makes and joins namespaces. What can be made by clone3 itself is; the cgroup namespace comes after entering the cgroup, whose
/// directory becomes its root, and the time namespace by unshare, because its offsets must be set while it is empty.
/// </summary>
internal static class NamespaceSetup
{
    /// <summary>Message of the child: its user namespace waits for mappings. The answer is the same byte.</summary>
    internal const byte WantsMappings = (byte)'u';

    /// <summary>Message of the child: it is to be put into its cgroup or group of resctrl. The answer is the same byte.</summary>
    internal const byte WantsCgroup = (byte)'c';

    /// <summary>Message of an intermediate child: the pid of the one that goes on.</summary>
    internal const byte ContinuesAs = (byte)'p';

    internal static CloneOptions Add(SetupContext context)
    {
        var program = context.Program;
        var linux = context.Linux;
        var joinsUser = linux.Find("user") is { Path.Length: > 0 };
        var created = CreatedFlags(context);

        // Namespaces belong to the user namespace their maker is in; so with one to join, all others are made after it.
        var atClone = joinsUser ? 0 : created;
        if (joinsUser) Join(context, "user");
        if (linux.Creates("user") || joinsUser) BecomeRootOfUserNamespace(context, linux.Creates("user"));
        foreach (var kind in NamespaceTable.All)
        {
            if (kind.Type is not ("user" or "pid") && linux.Find(kind.Type) is { Path.Length: > 0 }) Join(context, kind.Type);
        }

        EnterCgroup(context);
        SafeFd? pidNamespace = null;
        if (linux.Find("pid") is { Path.Length: > 0 } pid)
        {
            if (joinsUser) JoinPidAndClone(context);
            else pidNamespace = context.Own(OpenNamespace("pid", pid.Path));
        }

        if (joinsUser && created != 0)
        {
            program.Unshare(created, "namespaces");
            if ((created & CLONE_NEWPID) != 0) program.ContinueInClone(context.Socket, ContinuesAs);
        }

        if (linux.Creates("cgroup")) program.Unshare(CLONE_NEWCGROUP, "cgroup namespace");
        return new CloneOptions
        {
            Namespaces = atClone,
            Cgroup = context.CgroupEntry.CloneDescriptor is { } directory ? (int)directory.DangerousGetHandle() : null,
            PidNamespace = pidNamespace,
        };
    }

    /// <summary>Sets the clocks' offsets and enters the time namespace.</summary>
    internal static void AddTime(SetupContext context)
    {
        if (!context.Linux.Creates("time")) return;
        var program = context.Program;
        program.Unshare(CLONE_NEWTIME, "time namespace");
        foreach (var (clock, offset) in context.Linux.TimeOffsets ?? new Dictionary<string, Hull.Oci.Runtime.TimeOffsetSpec>())
            program.WriteProc(context.Proc, "self/timens_offsets", $"{clock} {offset.Secs} {offset.Nanosecs}\n", "set the time offset of", clock);
        program.OpenProc(context.Scratch, context.Proc, "self/ns/time_for_children", followLast: true);
        program.SetNamespace(context.Scratch, CLONE_NEWTIME, "time namespace");
        program.Close(context.Scratch);
    }

    /// <summary>Gives the container a procfs of its own pid namespace to which writes may go, attached nowhere.</summary>
    internal static void AddProc(SetupContext context)
    {
        var program = context.Program;
        var (fallback, done) = (new Label(), new Label());
        program.FsOpen(context.FileSystem, "proc", "proc");
        program.FsConfigString(context.FileSystem, "source", "proc", "proc");
        program.FsConfigCreate(context.FileSystem, "proc").OnFailure(fallback, Errno.EPERM);
        program.FsMount(context.Proc, context.FileSystem, HasProcAttributes(context), "proc").OnSuccess(done).OnFailure(fallback, Errno.EPERM);
        program.Mark(fallback);
        // Not allowed without a procfs of which nothing is hidden: the host's serves for writes to ourselves.
        program.OpenAt(context.Proc, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
        program.ExpectFileSystem(context.Proc, Magic.PROC_SUPER_MAGIC, "verify", "/proc");
        program.Mark(done);
        program.Close(context.FileSystem);
    }

    private static ulong HasProcAttributes(SetupContext context)
    {
        var mount = context.Spec.Mounts?.FirstOrDefault(mount => mount.Type == "proc");
        return mount is null ? MountApi.MOUNT_ATTR_NOSUID | MountApi.MOUNT_ATTR_NODEV | MountApi.MOUNT_ATTR_NOEXEC : MountOptions.Parse(mount.Options).Set & ~MountApi.MOUNT_ATTR_RDONLY;
    }

    private static ulong CreatedFlags(SetupContext context)
    {
        ulong flags = 0;
        foreach (var kind in NamespaceTable.All)
        {
            if (kind.Type is not ("cgroup" or "time") && context.Linux.Creates(kind.Type)) flags |= kind.Flag;
        }

        return flags;
    }

    private static void EnterCgroup(SetupContext context)
    {
        if (context.CgroupEntry.NeedsPid || context.Resctrl is not null)
        {
            context.Program.Notify(context.Socket, WantsCgroup);
            context.Program.WaitFor(context.Socket, WantsCgroup);
        }

        foreach (var file in context.CgroupEntry.JoinDescriptors)
            context.Program.Write(context.Program.Inherit(file), "0"u8, "enter the cgroup");
    }

    private static void BecomeRootOfUserNamespace(SetupContext context, bool isNew)
    {
        var program = context.Program;
        if (isNew)
        {
            // A parent that is not root may only write the mappings of a process that is dumpable.
            if (context.Rootless) program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, 1);
            program.Notify(context.Socket, WantsMappings);
            program.WaitFor(context.Socket, WantsMappings);
        }

        // Without a mapping of 0 there is no root to become; capabilities come with the namespace all the same.
        program.SetGroup(0).Ignore(Errno.EINVAL, Errno.EPERM);
        program.SetUser(0).Ignore(Errno.EINVAL, Errno.EPERM);
        program.SetGroups([]).Ignore(Errno.EPERM);
        // The change of user made us undumpable; ContainerSetup decides from here on.
        program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, isNew ? 1 : 0);
    }

    private static void Join(SetupContext context, string type)
    {
        var kind = NamespaceTable.Get(type);
        var path = context.Linux.Find(type)!.Path!;
        context.Program.SetNamespace(context.Inherit(OpenNamespace(type, path)), kind.Flag, $"the {type} namespace {path}");
    }

    private static void JoinPidAndClone(SetupContext context)
    {
        Join(context, "pid");
        context.Program.ContinueInClone(context.Socket, ContinuesAs);
    }

    private static SafeFd OpenNamespace(string type, string path)
    {
        var result = FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY);
        if (result == -(nint)Errno.ENOENT) throw HullException.NotFound($"linux.namespaces: the {type} namespace {path} does not exist");
        return Check.Descriptor(result, $"open the {type} namespace {path}");
    }
}
