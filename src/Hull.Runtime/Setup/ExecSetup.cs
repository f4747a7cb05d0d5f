using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using Hull.Runtime.State;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Setup;

/// <summary>Writes the program of a process that enters a running container.</summary>
internal sealed class ExecSetup : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private SafeFd _root = null!;

    public required StoredState State { get; init; }

    /// <summary>The configuration the container was made with.</summary>
    public required Spec Spec { get; init; }

    public required ProcessSpec Process { get; init; }

    public required ExecOptions Options { get; init; }

    public required SafeFd Init { get; init; }

    public required CgroupEntry CgroupEntry { get; init; }

    public SeccompProgram? Seccomp { get; init; }

    /// <summary>The child's end of the report channel.</summary>
    public required SafeFd Channel { get; init; }

    public ChildProgram Program { get; } = new();

    internal CloneOptions Write()
    {
        _root = Own(InitProcess.OpenRoot(Init, State.Pid));
        var program = Program;
        var socket = program.Inherit(Channel);
        program.Set(program.Report, socket);
        program.SetSession();
        program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, 0);
        SetAffinity(Process.ExecCpuAffinity?.Initial);
        if (State.Resctrl is not null)
        {
            program.Notify(socket, NamespaceSetup.WantsCgroup);
            program.WaitFor(socket, NamespaceSetup.WantsCgroup);
        }

        foreach (var file in CgroupEntry.JoinDescriptors) program.Write(program.Inherit(file), "0"u8, "enter the cgroup");
        SetAffinity(Process.ExecCpuAffinity?.Final);
        var slots = new SetupSlots(program, socket, program.NewSlot(), program.NewSlot(), program.NewSlot());
        var limitsBefore = State.Namespaces.Contains("user") && !State.Rootless;
        if (limitsBefore) SetLimits(slots.Proc);
        var pidNamespace = EnterNamespaces(socket);

        AddProc(slots.Proc);
        if (Process.Terminal)
        {
            var root = program.NewSlot();
            program.OpenAt(root, AT_FDCWD, "/", O_PATH | O_DIRECTORY);
            TerminalSetup.Open(slots, root, Process);
            program.Close(root);
        }

        var process = new ProcessSetup(slots, Process, Options, Seccomp, _owned.Add, State.Namespaces.Contains("user") ? Spec.Linux : null);
        process.AddAttributes(Spec.Linux?.Personality, "_ses." + State.Id, limitsBefore ? null : Process.Rlimits, setOomScore: !limitsBefore);
        SecurityLabels.Add(program, slots.Proc, Process);
        process.AddStreams();
        process.AddIdentity(State.Rootless);
        process.AddExecution(ProcessSetup.EnvironmentOf(Process, user => HomeDirectory.Find(_root, user), Options.ExtraEnvironment));
        return new CloneOptions
        {
            Cgroup = CgroupEntry.CloneDescriptor is { } directory ? (int)directory.DangerousGetHandle() : null, PidNamespace = pidNamespace,
        };
    }

    public void Dispose()
    {
        foreach (var resource in _owned) resource.Dispose();
        Program.Dispose();
    }

    /// <summary>
    /// Enters all namespaces of init in one call, so that none can be exchanged in between. Answers the pid namespace the
    /// child is to be born into.
    /// </summary>
    private SafeFd? EnterNamespaces(Argument socket)
    {
        ulong flags = 0;
        foreach (var type in State.Namespaces) flags |= NamespaceTable.Get(type).Flag;
        if ((flags & CloneFlags.CLONE_NEWUSER) != 0 && IsOwnUserNamespace()) flags &= ~CloneFlags.CLONE_NEWUSER;

        // Who is not root gets the right to join the pid namespace only with the user namespace, that is in the child.
        var pidInChild = (flags & CloneFlags.CLONE_NEWPID) != 0 && State.Rootless;
        var pidNamespace = (flags & CloneFlags.CLONE_NEWPID) != 0 && !pidInChild ? Own(OpenProcess("ns/pid", O_RDONLY)) : null;
        if (!pidInChild) flags &= ~CloneFlags.CLONE_NEWPID;
        if (flags != 0) Program.SetNamespace(Program.Inherit(Init), flags, "the container's namespaces");
        EnterRoot(hasMountNamespace: (flags & CloneFlags.CLONE_NEWNS) != 0);
        if (pidInChild) Program.ContinueInClone(socket, NamespaceSetup.ContinuesAs);
        if ((flags & CloneFlags.CLONE_NEWUSER) != 0)
        {
            Program.SetGroup(0).Ignore(Errno.EINVAL, Errno.EPERM);
            Program.SetUser(0).Ignore(Errno.EINVAL, Errno.EPERM);
            Program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, 0);
        }

        return pidNamespace;
    }

    /// <summary>In a user namespace nobody may raise limits, nor write to the procfs files of a process that is not dumpable: done before.</summary>
    private void SetLimits(Slot proc)
    {
        foreach (var limit in Process.Rlimits ?? [])
            Program.SetLimit(ResourceLimitTable.Get(limit.Type), new ResourceLimit { rlim_cur = limit.Soft, rlim_max = limit.Hard }, limit.Type!);
        if (Process.OomScoreAdj is not { } score) return;
        Program.OpenAt(proc, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
        Program.ExpectFileSystem(proc, Magic.PROC_SUPER_MAGIC, "verify", "/proc");
        Program.WriteProc(proc, "self/oom_score_adj", score.ToString(), "set oom_score_adj", score.ToString());
        Program.Close(proc);
    }

    /// <summary>
    /// A mount namespace is entered at its own root, which is an outer one where the runtime was in a chroot when it made the
    /// container: then init's root is what counts. Where the two are one mount, the namespace's is taken, because init may
    /// have confined itself further since.
    /// </summary>
    private void EnterRoot(bool hasMountNamespace)
    {
        var inside = new Label();
        if (hasMountNamespace && State.RootMount != 0) Program.ExpectMount("/", State.RootMount).OnSuccess(inside).Ignore();
        Program.Fchdir(Program.Inherit(_root), "the container's root");
        Program.Chroot(".");
        Program.Mark(inside);
    }

    private bool IsOwnUserNamespace()
    {
        using var theirs = OpenProcess("ns/user", O_RDONLY);
        using var ours = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, "/proc/self/ns/user", O_RDONLY), $"open the user namespace");
        return theirs.Stat().IsSameFile(ours.Stat());
    }

    /// <summary>A private procfs for what has to be written to one; the container's own /proc is not to be trusted with it.</summary>
    private void AddProc(Slot proc)
    {
        if (Process.OomScoreAdj is null && string.IsNullOrEmpty(Process.ApparmorProfile) && string.IsNullOrEmpty(Process.SelinuxLabel)) return;
        var (fallback, done) = (new Label(), new Label());
        var fileSystem = Program.NewSlot();
        Program.FsOpen(fileSystem, "proc", "proc");
        Program.FsConfigCreate(fileSystem, "proc").OnFailure(fallback, Errno.EPERM);
        Program.FsMount(proc, fileSystem, 0, "proc").OnSuccess(done).OnFailure(fallback, Errno.EPERM);
        Program.Mark(fallback);
        Program.OpenAt(proc, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
        Program.ExpectFileSystem(proc, Magic.PROC_SUPER_MAGIC, "verify", "/proc");
        Program.Mark(done);
        Program.Close(fileSystem);
    }

    private void SetAffinity(string? cpus)
    {
        if (SchedulingTable.ToCpuMask(cpus) is { } mask) Program.SetAffinity(mask);
    }

    private SafeFd OpenProcess(string path, int flags) => InitProcess.Open(Init, State.Pid, path, flags);

    private SafeFd Own(SafeFd descriptor)
    {
        _owned.Add(descriptor);
        return descriptor;
    }
}
