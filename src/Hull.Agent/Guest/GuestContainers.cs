using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;
using Hull.Linux.Virtualization;
using Hull.Oci.Runtime;
using Hull.Runtime;

namespace Hull.Agent.Guest;

/// <summary>The containers of this machine, run by the same library that runs them on the host.</summary>
internal sealed class GuestContainers
{
    private const int KillSignal = 9;

    private readonly RootAssembly _roots = new();
    private readonly ContainerRuntime _runtime = new(new RuntimeOptions { Root = "/run/hull-runtime", Rootless = false });
    private readonly Dictionary<string, GuestContainer> _containers = [];
    private readonly List<string> _frozen = [];
    private readonly GuestReaper _reaper;
    private readonly StreamTable _streams;
    private readonly Action<ProcessExit> _report;
    private readonly Action<string> _reportOutOfMemory;
    private readonly EventLoop _loop;

    /// <param name="reportOutOfMemory">Given a container some of whose processes were killed for memory.</param>
    public GuestContainers(EventLoop loop, StreamTable streams, Action<ProcessExit> report, Action<string> reportOutOfMemory)
    {
        (_loop, _streams, _report, _reportOutOfMemory) = (loop, streams, report, reportOutOfMemory);
        _reaper = new GuestReaper(loop);
    }

    /// <summary>Builds a container up to the step before its program; answers the process id in the guest.</summary>
    public int Create(CreateContainerRequest request)
    {
        if (_containers.ContainsKey(request.Id)) throw HullException.Exists($"container {request.Id} exists in this machine");
        var bundle = RootAssembly.DirectoryOf(request.Id);
        Directory.CreateDirectory(bundle);
        _roots.Mount(request.Root, bundle);
        foreach (var volume in request.Volumes) _roots.MountVolume(volume);
        foreach (var file in request.Files) WriteInjected(file);
        var spec = RuntimeDocuments.ParseSpec(request.Spec, "the spec");
        using var pipes = new ProcessPipes(spec.Process?.Terminal == true, request.Streams);
        var process = _runtime.Create(request.Id, new CreateOptions
        {
            Bundle = bundle, Spec = WithMachineId(spec, bundle), Document = request.Spec, Streams = pipes.Theirs, AcceptsTerminal = true,
            DefersProgram = request.DefersProgram,
        });
        var container = new GuestContainer(request, process) { Oom = WatchMemory(request.Id), Mounts = HoldMounts(process.Pid) };
        _containers[request.Id] = container;
        if (request.Expected is { Count: > 0 } expected)
        {
            using var root = RootDirectory.Open(Path.Combine(bundle, "rootfs"));
            ProgramFiles.Read(root, expected);
        }

        Connect(new ProcessTarget(request.Id, ""), process, pipes, request.Streams, (request.Columns, request.Rows));
        return process.Pid;
    }

    /// <summary>Does for a template what its clones need not do then; see <see cref="RootAssembly.Prepare"/>.</summary>
    public void PrepareDisks(string writableDisk) => _roots.Prepare(writableDisk);

    public void Start(StartRequest request)
    {
        var container = Find(request.Id);
        if (container.Request.DefersProgram && !container.IsAdopted) throw HullException.Conflict($"container {request.Id} is nobody's yet");
        _runtime.Start(request.Id, request.Arguments.Count == 0 ? null : new ContainerProgram(request.Arguments, request.Environment));
    }

    public int Exec(ExecRequest request)
    {
        var container = Find(request.Id);
        var spec = RuntimeDocuments.ParseProcess(request.Process, "the process");
        using var pipes = new ProcessPipes(spec.Terminal, request.Streams);
        // Labels and profiles are of the host's kernel.
        var process = _runtime.Exec(request.Id, spec with { ApparmorProfile = null, SelinuxLabel = null },
            new ExecOptions { Streams = pipes.Theirs, AcceptsTerminal = true });
        container.Execs[request.ExecId] = process;
        Connect(new ProcessTarget(request.Id, request.ExecId), process, pipes, request.Streams, (request.Columns, request.Rows));
        return process.Pid;
    }

    /// <summary>Starts a process that copies files; its end is reported as an exec's is.</summary>
    public int Archive(ArchiveRequest request)
    {
        var container = Find(request.Target.Id);
        using var pipes = new ProcessPipes(terminal: false, request.Streams);
        using var child = ChildProcess.Start(new ChildProcessOptions("/init",
            [GuestArchive.Argument, container.Process.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture), request.Verb, request.Path])
        {
            Stdin = pipes.Theirs.Stdin, Stdout = pipes.Theirs.Stdout, Stderr = pipes.Theirs.Stderr,
        });
        pipes.Attach(_streams, request.Streams);
        _reaper.Watch(child.Pid, child.Pidfd.Duplicate(), status => OnExit(request.Target, status));
        return child.Pid;
    }

    /// <summary>The id, when there is such a container.</summary>
    public string Require(string id) => Find(id).Request.Id;

    public void Signal(SignalRequest request)
    {
        if (request.EveryProcess)
        {
            _runtime.Kill(request.Target.Id, (int)request.Signal, all: true);
            return;
        }

        var result = ProcessCalls.PidfdSendSignal(FindProcess(request.Target).Pidfd.Value, (int)request.Signal);
        if (result != -(nint)Errno.ESRCH) Check.Result(result, $"send signal {request.Signal}");
    }

    public void Resize(ResizeRequest request)
    {
        var terminal = FindProcess(request.Target).Terminal ?? throw HullException.Conflict($"container {request.Target.Id} has no terminal");
        TerminalSession.SetSize(terminal, (int)request.Columns, (int)request.Rows);
    }

    /// <summary>Stops all containers, so that a machine which is saved now has no program in the middle of something.</summary>
    public void Freeze()
    {
        _frozen.Clear();
        foreach (var id in _containers.Keys)
        {
            try
            {
                _runtime.Pause(id);
                _frozen.Add(id);
            }
            catch (HullException cause) when (cause.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
            {
                // It does not run.
            }
        }
    }

    /// <summary>Lets those run again that <see cref="Freeze"/> stopped.</summary>
    public void Thaw()
    {
        foreach (var id in _frozen) _runtime.Resume(id);
        _frozen.Clear();
    }

    /// <summary>
    /// Takes over a container that came with the machine, out of the one this was made from; if it ran there, it stays frozen.
    /// Answers the process id.
    /// </summary>
    public int Adopt(AdoptRequest request)
    {
        var container = Find(request.Id);
        _streams.Adopt(container.Request.Streams, request.Streams);
        _containers[request.Id] = container with { Request = container.Request with { Streams = request.Streams }, IsAdopted = true };
        foreach (var file in request.Files) Renew(file.Target, file.Content);
        var machineId = Path.Combine(RootAssembly.DirectoryOf(request.Id), "machine-id");
        if (File.Exists(machineId)) Renew(machineId, System.Text.Encoding.ASCII.GetBytes(ReleaseGate.MachineId + "\n"));
        SetHostName(container.Process.Pid, request.HostName);
        return container.Process.Pid;
    }

    /// <summary>In place: the container has the file itself mounted, not its name.</summary>
    private static void Renew(string path, byte[] content)
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_TRUNC | Fcntl.O_NOFOLLOW), $"open {path}");
        file.WriteAll(content, path);
    }

    private static void SetHostName(int pid, string name)
    {
        const ulong uts = 0x04000000; // CLONE_NEWUTS
        using var own = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/thread-self/ns/uts", Fcntl.O_RDONLY), $"open this namespace");
        using var theirs = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/ns/uts", Fcntl.O_RDONLY), $"open the container's namespace");
        Check.Result(ProcessCalls.SetNamespace(theirs.Value, uts), $"enter the container's namespace");
        try
        {
            GuestCalls.SetHostName(name);
        }
        finally
        {
            Check.Result(ProcessCalls.SetNamespace(own.Value, uts), $"come back to this namespace");
        }
    }

    public void Pause(string id) => _runtime.Pause(id);

    public void Resume(string id) => _runtime.Resume(id);

    public void Delete(string id)
    {
        if (!_containers.Remove(id, out var container)) return;
        _runtime.Delete(id, force: true);
        _streams.Close(container.Request.Streams);
        if (container.Oom is { } oom)
        {
            _loop.Remove(oom);
            oom.Dispose();
        }

        container.Process.Dispose();
        container.Mounts.Dispose();
        _roots.Unmount(RootAssembly.DirectoryOf(id));
    }

    /// <summary>Collects what ended since.</summary>
    public void Reap() => _reaper.Reap();

    private void Connect(ProcessTarget target, ContainerProcess process, ProcessPipes pipes, StreamIds ids, (uint Columns, uint Rows) size)
    {
        if (process.Terminal is { } terminal)
        {
            if (size is { Columns: > 0, Rows: > 0 }) TerminalSession.SetSize(terminal, (int)size.Columns, (int)size.Rows);
            if (ids.Output != 0) _streams.AddOutput(ids.Output, terminal.Duplicate());
            if (ids.Input != 0) _streams.AddInput(ids.Input, terminal.Duplicate(), keepOpen: true);
        }
        else
        {
            pipes.Attach(_streams, ids);
        }

        _reaper.Watch(process.Pid, process.Pidfd, status => OnExit(target, status));
    }

    private void OnExit(ProcessTarget target, ExitStatus status)
    {
        var container = _containers.GetValueOrDefault(target.Id);
        if (target.ExecId.Length > 0) container?.Execs.Remove(target.ExecId);
        // What was written must be on the disk before the host hears of the end, because it may then switch the machine off.
        else if (container is not null) _roots.Sync(container.Request);
        _report(new ProcessExit(target, (uint)status.ShellCode, TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000,
            target.ExecId.Length == 0 && KilledForMemory(target.Id)));
    }

    /// <summary>
    /// The mount namespace of a container's init, which would be taken apart by its last process before the end of that one is
    /// known (exit_task_namespaces in do_exit, kernel/exit.c).
    /// </summary>
    private static SafeFd HoldMounts(int pid)
    {
        var path = $"/proc/{pid}/ns/mnt";
        return Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY), $"open {path}");
    }

    private static string MemoryEventsOf(string id) => $"/sys/fs/cgroup/hull/{id}/memory.events";

    private OomSource? WatchMemory(string id)
    {
        if (OomWatch.TryOpen(MemoryEventsOf(id)) is not { } watch) return null;
        var source = new OomSource(watch, () => _reportOutOfMemory(id));
        _loop.Add(source);
        return source;
    }

    private static bool KilledForMemory(string id)
    {
        var file = FileCalls.OpenAt(Fcntl.AT_FDCWD, MemoryEventsOf(id), Fcntl.O_RDONLY);
        if (file < 0) return false;
        using var open = new SafeFd((int)file);
        Span<byte> buffer = stackalloc byte[512];
        ReadOnlySpan<byte> events = buffer[..(int)Math.Max(0, FileCalls.Read(open.Value, buffer))];
        var key = "\noom_kill "u8;
        return events.IndexOf(key) is >= 0 and var at && events[at + key.Length] != (byte)'0';
    }

    /// <summary>An image that has a machine-id(5) of its own would give every machine the same one.</summary>
    private static Spec WithMachineId(Spec spec, string bundle)
    {
        const string path = "/etc/machine-id";
        using var root = RootDirectory.Open(Path.Combine(bundle, "rootfs"));
        if (ReleaseGate.MachineId.Length == 0 || !root.Exists(path)) return spec;
        var source = Path.Combine(bundle, "machine-id");
        AtomicFile.Write(source, System.Text.Encoding.ASCII.GetBytes(ReleaseGate.MachineId + "\n"), 0x124, durable: false);
        return spec with
        {
            Mounts = [.. spec.Mounts ?? [], new MountSpec { Destination = path, Type = "bind", Source = source, Options = ["bind", "ro"] }],
        };
    }

    private static void WriteInjected(InjectedFile file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file.Target)!);
        AtomicFile.Write(file.Target, file.Content, file.Mode, durable: false);
    }

    private ContainerProcess FindProcess(ProcessTarget target)
    {
        var container = Find(target.Id);
        return (target.ExecId.Length == 0 ? container.Process : container.Execs.GetValueOrDefault(target.ExecId))
            ?? throw HullException.NotFound($"container {target.Id} has no process '{target.ExecId}'");
    }

    private GuestContainer Find(string id) =>
        _containers.GetValueOrDefault(id) ?? throw HullException.NotFound($"no container {id} in this machine");

    private sealed record GuestContainer(CreateContainerRequest Request, ContainerProcess Process)
    {
        public Dictionary<string, ContainerProcess> Execs { get; } = [];

        public OomSource? Oom { get; init; }

        public required SafeFd Mounts { get; init; }

        /// <summary>It was created before anybody's, and has become somebody's.</summary>
        public bool IsAdopted { get; init; }
    }

    /// <summary>The pipes of a process without a terminal; what is not handed on is closed.</summary>
    private sealed class ProcessPipes : IDisposable
    {
        private readonly List<SafeFd> _own = [];
        private readonly SafeFd? _input;
        private readonly SafeFd? _output;
        private readonly SafeFd? _error;

        public ProcessPipes(bool terminal, StreamIds ids)
        {
            if (terminal)
            {
                Theirs = new StandardStreams(Null(), Null(), Null());
                return;
            }

            SafeFd input, output, error;
            if (ids.Input == 0) input = Null();
            else (input, _input) = FileCalls.Pipe();
            if (ids.Output == 0) output = Null();
            else (_output, output) = FileCalls.Pipe();
            if (ids.Error == 0) error = Null();
            else (_error, error) = FileCalls.Pipe();
            _own.AddRange([input, output, error]);
            Theirs = new StandardStreams(input, output, error);
        }

        public StandardStreams Theirs { get; }

        public void Attach(StreamTable streams, StreamIds ids)
        {
            if (_input is not null) streams.AddInput(ids.Input, _input.Duplicate(), keepOpen: false);
            if (_output is not null) streams.AddOutput(ids.Output, _output.Duplicate());
            if (_error is not null) streams.AddOutput(ids.Error, _error.Duplicate());
        }

        public void Dispose()
        {
            foreach (var descriptor in _own) descriptor.Dispose();
            _input?.Dispose();
            _output?.Dispose();
            _error?.Dispose();
        }

        private static SafeFd Null() =>
            Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/null", Fcntl.O_RDWR), $"open /dev/null");
    }
}
