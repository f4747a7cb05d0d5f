using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Hooks;
using Hull.Runtime.Resources;
using Hull.Runtime.Setup;
using Hull.Runtime.Specs;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <content>Create, start and delete.</content>
public sealed partial class ContainerRuntime
{
    private Made? _made;

    /// <summary>Makes a container and its init. On failure nothing stays.</summary>
    public ContainerProcess Create(string id, CreateOptions create) => Make(id, create, waitForStart: true, out _);

    /// <summary><see cref="Create"/> and <see cref="Start"/> in one; on failure nothing stays.</summary>
    public ContainerProcess Run(string id, CreateOptions create)
    {
        var process = Make(id, create, waitForStart: false, out var isWaiting);
        if (!isWaiting) return process;
        try
        {
            Start(id);
            return process;
        }
        catch
        {
            process.Dispose();
            Delete(id, force: true);
            throw;
        }
    }

    /// <summary>Executes the user's program in a created container.</summary>
    /// <param name="program">Which, where the container was created without one by this object.</param>
    public void Start(string id, ContainerProgram? program = null)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: true);
        // What this object made it need not read again; the files do not change between the two.
        var made = _made is { } last && last.State.Id == id ? last : null;
        var state = made?.State ?? directory.ReadState();
        using var init = ProcessIdentity.TryOpen(state) ?? throw HullException.Conflict($"cannot start container {id}: it is stopped");
        var spec = made?.Spec ?? directory.ReadSpec();
        if (program is null != made?.Deferred is null)
            throw HullException.Conflict($"cannot start container {id}: {(program is null ? "its program was not named" : "it has a program of its own")}");
        _made = null;
        if (!directory.IsWaitingForStart()) throw HullException.Conflict($"cannot start container {id}: it is not in the created state");
        Options.Debug?.Invoke($"start: init {state.Pid} of container {id} is told to execute {(program?.Arguments ?? spec.Process?.Args)?[0]}");
        RunStartContainer(state, spec, init);
        var packet = program is null ? null : made!.Deferred!.Compose(program.Arguments, program.Environment);
        using (var connection = directory.ConnectForStart())
        {
            if (packet is not null) Check.Result(SocketCalls.Send(connection.Value, packet), $"name the program of container {id}");
            RequireStarted(connection, (program?.Arguments ?? spec.Process?.Args)?[0] ?? "", isSearched: packet is not null);
        }

        directory.RemoveStartSocket();
        RunPoststart(state, spec, init);
    }

    /// <summary>Removes a stopped container; with <paramref name="force"/> kills it first, and one that is gone is no error.</summary>
    public void Delete(string id, bool force = false)
    {
        ContainerDirectory directory;
        try
        {
            directory = ContainerDirectory.Open(Options.Root, id, locked: true);
        }
        catch (HullException error) when (force && error.Kind == ErrorKind.NotFound)
        {
            return;
        }

        using (directory) DeleteLocked(directory, id, force);
    }

    private void DeleteLocked(ContainerDirectory directory, string id, bool force)
    {
        StoredState? state;
        try
        {
            state = directory.TryReadState();
        }
        catch (HullException error) when (force && error.Kind == ErrorKind.DataCorrupted)
        {
            state = null;
        }

        if (state is null)
        {
            directory.Remove();
            return;
        }

        var status = StatusOf(directory, state);
        if (!force && status is ContainerStatus.Running or ContainerStatus.Paused)
            throw HullException.Conflict($"cannot delete container {id} that is not stopped: {status}");
        Options.Debug?.Invoke($"delete: container {id} is {status}; what is left of its processes is killed, its cgroup, state and id are freed");
        var cgroup = CgroupManager.Load(state.Cgroup, state.Rootless);
        RemoveProcesses(state, cgroup);
        if (!state.SharesCgroup || cgroup.Processes().Count == 0) cgroup.Remove();
        LoadResctrl(state)?.Remove();
        RunPoststop(directory, state);
        directory.Remove();
    }

    /// <param name="isWaiting">Whether init waits for the start: it was asked to, or hooks of the start come first.</param>
    private ContainerProcess Make(string id, CreateOptions create, bool waitForStart, out bool isWaiting)
    {
        var bundle = Path.GetFullPath(create.Bundle);
        var (spec, content) = create.Spec is { } given
            ? (given, create.Document.IsEmpty ? JsonSerializer.SerializeToUtf8Bytes(given, RuntimeJson.Default.Spec) : create.Document.ToArray())
            : SpecReader.ReadBundle(bundle);
        SpecValidator.Validate(spec);
        if (spec.Process is null) throw HullException.Invalid("process is missing");
        if (spec.Process.Terminal && create.ConsoleSocket is null && !create.AcceptsTerminal)
            throw HullException.Invalid("process.terminal is true, but there is no console socket to send the terminal to");
        if (!spec.Process.Terminal && create.ConsoleSocket is not null)
            throw HullException.Invalid("there is a console socket, but process.terminal is false: no terminal would be sent");
        isWaiting = waitForStart || spec.Hooks?.StartContainer is { Count: > 0 };
        var seccomp = FilterOf(spec);

        var cgroup = CgroupManager.Name(id, spec.Linux!.CgroupsPath, Options.CgroupDriver, IsRootless);
        var resctrl = NameResctrl(id, spec.Linux.IntelRdt);
        using var directory = ContainerDirectory.Create(Options.Root, id);
        var state = NewState(id, spec, bundle, cgroup) with { Resctrl = resctrl?.Record };
        CgroupEntry? entry = null;
        try
        {
            directory.WriteConfig(content);
            directory.WriteState(state);
            entry = cgroup.Prepare(ResourceTranslation.ForCreate(spec.Linux.Resources));
            PrepareResctrl(resctrl, spec.Linux.IntelRdt);
            if (WarnOfNeighbours(cgroup, entry)) state = state with { SharesCgroup = true };
            DebugPlan(state, spec, seccomp);
            var init = MakeInit(directory, create, spec, state, cgroup, entry, seccomp, isWaiting);
            return init;
        }
        catch
        {
            // A cgroup that could not be entered, or has others in it, may be another container's.
            Undo(directory, state, entry is null || state.SharesCgroup ? null : cgroup);
            throw;
        }
        finally
        {
            entry?.Dispose();
        }
    }

    private ContainerProcess MakeInit(ContainerDirectory directory, CreateOptions create, Spec spec, StoredState state, ICgroup cgroup,
        CgroupEntry entry, SeccompProgram? seccomp, bool waitForStart)
    {
        if (create.DefersProgram && !waitForStart) throw HullException.Internal("a program cannot be named later where it is executed at once");
        var firstFree = 3 + create.ExtraDescriptors.Count;
        var (channel, childChannel) = ChildReport.CreateChannel(firstFree);
        using var context = new SetupContext
        {
            Id = state.Id, Spec = spec, Bundle = state.Bundle, Rootfs = state.Rootfs, Options = create, Cgroup = cgroup, CgroupEntry = entry,
            Resctrl = LoadResctrl(state), Seccomp = seccomp, Channel = childChannel, NoPivot = create.NoPivot, Rootless = state.Rootless,
            DefersProgram = create.DefersProgram, StartListener = waitForStart ? directory.ListenForStart(firstFree) : null,
        };
        context.Own(childChannel);
        if (context.StartListener is { } listener) context.Own(listener);
        using var launcher = new InitLauncher(context, channel, pid => ToSpecState(state, ContainerStatus.Creating, pid));
        try
        {
            launcher.Start();
            Options.Debug?.Invoke($"create: init is process {launcher.Pid} and sets up its namespaces and mounts");
            state = state with { RootMount = context.RootMount };
            state = Record(directory, state, launcher.Pid);
            launcher.Complete(pid => state = Record(directory, state, pid));
            WritePidFile(create, launcher.Pid);
            Options.Debug?.Invoke($"create: init {launcher.Pid} {(waitForStart ? "has set up everything and waits for its start" : $"has executed {spec.Process!.Args![0]}")}");
            if (!waitForStart) RunPoststart(state, spec, launcher.Pidfd);
            if (waitForStart) _made = new Made(state, spec, context.Deferred);
            return launcher.Release();
        }
        catch
        {
            launcher.Abort();
            throw;
        }
    }

    /// <summary>Whether others are in the cgroup, whom its limits count too and who must outlive this container.</summary>
    private bool WarnOfNeighbours(ICgroup cgroup, CgroupEntry entry)
    {
        if (!entry.IsShared || cgroup.Processes() is not { Count: > 0 } others) return false;
        Options.Warn?.Invoke($"container's cgroup is not empty: {others.Count} process(es) found, which share its limits; give each container a linux.cgroupsPath of its own");
        return true;
    }

    private void DebugPlan(StoredState state, Spec spec, SeccompProgram? seccomp)
    {
        if (Options.Debug is not { } debug) return;
        debug($"create: container {state.Id} of bundle {state.Bundle}: namespaces [{string.Join(' ', state.Namespaces)}], {spec.Mounts?.Count ?? 0} mounts, "
            + (seccomp is null ? "no seccomp filter" : $"a seccomp filter of {seccomp.Count} instructions"));
        foreach (var path in state.Cgroup.Paths.Values.Distinct()) debug($"create: cgroup {path}");
    }

    private SeccompProgram? FilterOf(Spec spec) =>
        spec.Linux?.Seccomp is { } filter ? SeccompFilter.Get(SeccompTranslation.ToPolicy(filter), Options.Root + "/.seccomp") : null;

    private StoredState NewState(string id, Spec spec, string bundle, ICgroup cgroup) => new()
    {
        Id = id,
        OciVersion = spec.OciVersion!,
        Bundle = bundle,
        Rootfs = Path.GetFullPath(Path.Combine(bundle, spec.Root!.Path!)),
        Created = Options.Clock.GetUtcNow(),
        OwnerUser = ProcessCalls.GetUser(),
        Cgroup = cgroup.Record,
        Annotations = spec.Annotations,
        Namespaces = [.. (spec.Linux!.Namespaces ?? []).Select(entry => entry.Type!)],
        Rootless = IsRootless,
    };

    private static StoredState Record(ContainerDirectory directory, StoredState state, int pid)
    {
        var recorded = state with { Pid = pid, StartTime = ProcessIdentity.StartTimeOf(pid) ?? 0 };
        directory.WriteState(recorded);
        return recorded;
    }

    /// <summary>Takes back what a failed create made. Its own failures do not hide the first.</summary>
    private void Undo(ContainerDirectory directory, StoredState state, ICgroup? cgroup)
    {
        try
        {
            cgroup?.Kill(SigKill);
            cgroup?.Remove();
            LoadResctrl(state)?.Remove();
            RunPoststop(directory, state);
            directory.Remove();
        }
        catch (HullException)
        {
            // What is left has its state directory, so delete --force finds it.
        }
    }

    private static void RemoveProcesses(StoredState state, ICgroup cgroup)
    {
        using var init = ProcessIdentity.TryOpen(state);
        if (init is not null) _ = ProcessCalls.PidfdSendSignal(init.Value, SigKill);
        if (!state.SharesCgroup) cgroup.Kill(SigKill);
        if (init is null) return;
        if (cgroup.Freezer is FreezerState.Frozen or FreezerState.Freezing) cgroup.Thaw();
        if (!ChildProcess.WaitReadable(init, KillTimeoutMilliseconds))
            throw new HullException(ErrorKind.Timeout, $"container {state.Id} does not end: its init {state.Pid} cannot be killed");
    }

    /// <param name="isSearched">The program was looked for only now; else its absence was told when the container was created.</param>
    private static void RequireStarted(SafeFd connection, string program, bool isSearched)
    {
        Span<byte> buffer = stackalloc byte[16];
        var count = FileCalls.Read(connection.Value, buffer);
        if (count == -(nint)Errno.ECONNRESET) count = 0;
        Check.Result(count, $"wait for the container's start");
        if (count == 0) return;
        if (!ChildReport.TryReadFailure(buffer[..(int)count], out _, out var errno)) throw HullException.Internal("init answered the start with what is no report");
        var kind = errno switch
        {
            Errno.ENOENT => ErrorKind.CommandNotFound,
            Errno.EACCES or Errno.ENOEXEC => ErrorKind.CommandNotExecutable,
            _ => ErrnoText.KindOf(errno),
        };
        throw new HullException(kind, $"execute {(isSearched && errno == Errno.ENOENT ? ChildProgram.DescribeMissing(program) : program)}: {ErrnoText.Describe(errno)}", new ErrnoException(errno));
    }

    /// <summary>A startContainer hook that fails ends the container before its program ran (runtime.md, "Lifecycle", step 7).</summary>
    private void RunStartContainer(StoredState state, Spec spec, SafeFd init)
    {
        if (spec.Hooks?.StartContainer is not { Count: > 0 } hooks) return;
        try
        {
            HookRunner.RunInContainer("startContainer", hooks, () => ToSpecState(state, ContainerStatus.Created, state.Pid), init, spec.Linux!, seccomp: FilterOf(spec));
        }
        catch
        {
            _ = ProcessCalls.PidfdSendSignal(init.Value, SigKill);
            ChildProcess.WaitReadable(init, KillTimeoutMilliseconds);
            throw;
        }
    }

    /// <summary>A poststart hook that fails ends the container (runtime.md, "Lifecycle", step 9).</summary>
    private static void RunPoststart(StoredState state, Spec spec, SafeFd init)
    {
        if (spec.Hooks?.Poststart is not { Count: > 0 } hooks) return;
        try
        {
            HookRunner.Run("poststart", hooks, () => ToSpecState(state, ContainerStatus.Running, state.Pid));
        }
        catch
        {
            _ = ProcessCalls.PidfdSendSignal(init.Value, SigKill);
            throw;
        }
    }

    /// <summary>Poststop hooks run when all is gone; their failures stop nothing (runtime.md, "Lifecycle", step 13).</summary>
    private void RunPoststop(ContainerDirectory directory, StoredState state)
    {
        try
        {
            var spec = directory.ReadSpec();
            foreach (var hook in spec.Hooks?.Poststop ?? [])
            {
                try
                {
                    HookRunner.Run("poststop", [hook], () => ToSpecState(state, ContainerStatus.Stopped, 0));
                }
                catch (HullException error)
                {
                    Options.Warn?.Invoke(error.FullMessage);
                }
            }
        }
        catch (HullException)
        {
            // No readable configuration, so no hooks.
        }
    }

    /// <summary>What this object created last and has not started.</summary>
    private sealed record Made(StoredState State, Spec Spec, DeferredProgram? Deferred);

    private static void WritePidFile(ProcessOptions options, int pid)
    {
        if (options.PidFile is { } path) AtomicFile.Write(Path.GetFullPath(path), Encoding.ASCII.GetBytes(pid.ToString()), 0x1A4, durable: false);
    }
}
