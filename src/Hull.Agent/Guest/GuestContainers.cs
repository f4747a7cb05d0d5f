using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>The containers of this machine and their processes.</summary>
internal sealed class GuestContainers(EventLoop loop, StreamTable streams, Action<ProcessExit> report)
{
    private readonly RootAssembly _roots = new();
    private readonly Dictionary<string, GuestContainer> _containers = [];

    /// <summary>Builds a container up to the step before its program; answers the process id in the guest.</summary>
    public int Create(CreateContainerRequest request)
    {
        if (_containers.ContainsKey(request.Id)) throw HullException.Exists($"container {request.Id} exists in this machine");
        var directory = "/run/containers/" + request.Id;
        Directory.CreateDirectory(directory);
        var root = _roots.Mount(request.Root, directory);
        _containers[request.Id] = new GuestContainer(request, root);
        return 0;
    }

    public void Start(string id)
    {
        var container = Find(id);
        var spec = JsonDocument.Parse(container.Request.Spec).RootElement;
        container.Process = Launch(new ProcessTarget(id, ""), container.Root, spec.GetProperty("process"), container.Request.Streams);
    }

    public int Exec(ExecRequest request)
    {
        var container = Find(request.Id);
        var process = JsonDocument.Parse(request.Process).RootElement;
        var child = Launch(new ProcessTarget(request.Id, request.ExecId), container.Root, process, request.Streams);
        container.Execs[request.ExecId] = child;
        return child.Pid;
    }

    public void Signal(SignalRequest request) => FindProcess(request.Target).Kill((int)request.Signal);

    public void Resize(ResizeRequest request) => throw HullException.Unsupported("no terminal");

    public void Delete(string id)
    {
        if (!_containers.Remove(id, out var container)) return;
        container.Process?.Kill(9);
        streams.Close(container.Request.Streams);
    }

    private ChildProcess FindProcess(ProcessTarget target)
    {
        var container = Find(target.Id);
        return (target.ExecId.Length == 0 ? container.Process : container.Execs.GetValueOrDefault(target.ExecId))
            ?? throw HullException.NotFound($"container {target.Id} has no process '{target.ExecId}'");
    }

    private GuestContainer Find(string id) =>
        _containers.GetValueOrDefault(id) ?? throw HullException.NotFound($"no container {id} in this machine");

    private ChildProcess Launch(ProcessTarget target, string root, JsonElement process, StreamIds ids)
    {
        var (outRead, outWrite) = FileCalls.Pipe();
        var (errRead, errWrite) = FileCalls.Pipe();
        List<string> arguments = ["--run", root, process.GetProperty("cwd").GetString()!];
        foreach (var argument in process.GetProperty("args").EnumerateArray()) arguments.Add(argument.GetString()!);
        var environment = new Dictionary<string, string>();
        foreach (var pair in process.GetProperty("env").EnumerateArray())
        {
            var parts = pair.GetString()!.Split('=', 2);
            environment[parts[0]] = parts[1];
        }

        var child = ChildProcess.Start(new ChildProcessOptions("/init", arguments)
        {
            Environment = environment, Stdout = outWrite, Stderr = errWrite, NewSession = true,
        });
        outWrite.Dispose();
        errWrite.Dispose();
        streams.AddOutput(ids.Output, outRead);
        streams.AddOutput(ids.Error, errRead);
        loop.Add(new ExitSource(child, loop, status => report(new ProcessExit(target, (uint)status.ShellCode,
            TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000, false))));
        return child;
    }

    private sealed record GuestContainer(CreateContainerRequest Request, string Root)
    {
        public ChildProcess? Process { get; set; }

        public Dictionary<string, ChildProcess> Execs { get; } = [];
    }

    /// <summary>The end of a process, seen by its pidfd.</summary>
    private sealed class ExitSource(ChildProcess child, EventLoop loop, Action<ExitStatus> ended) : IEventSource
    {
        public int Descriptor => child.Pidfd.Value;

        public short Interest => (short)Waiting.POLLIN;

        public void Ready(short events)
        {
            if (child.TryWait() is not { } status) return;
            loop.Remove(this);
            ended(status);
        }
    }
}
