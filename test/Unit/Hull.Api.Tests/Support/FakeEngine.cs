using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Events;
using Hull.Engine.Logs;
using Hull.Engine.Volumes;
using Hull.Engine.Workloads;
using Hull.Network;

namespace Hull.Api.Tests.Support;

/// <summary>
/// The engine's surface in memory. A workload's process is an echo: what it reads it prints, and at the end of its
/// input it prints "bye" and ends with 7.
/// </summary>
internal sealed class FakeEngine : IHullEngine, IWorkloads, IExecs, IEvents
{
    public ConcurrentDictionary<string, FakeWorkload> All { get; } = new();

    public List<EngineEvent> Published { get; } = [];

    public WorkloadConfig? LastConfig { get; private set; }

    public UpdateRequest? LastUpdate { get; private set; }

    public WorkloadFilter? LastFilter { get; private set; }

    public LogQuery? LastLogQuery { get; private set; }

    public List<LogEntry> Log { get; } = [];

    public IWorkloads Workloads => this;

    public IExecs Execs => this;

    public IEvents Events => this;

    public NetworkManager Networks => throw HullException.Unsupported("the fake has no networks");

    public IVolumeManager Volumes => throw HullException.Unsupported("the fake has no volumes");

    public Task<IReadOnlyList<Hull.Engine.Resources.Allocation>> AllocationsAsync(CancellationToken cancellationToken) =>
        throw HullException.Unsupported("the fake has no allocations");

    public Hull.Engine.Resources.IResourceGroups Groups => throw HullException.Unsupported("the fake has no groups");

    public IReadOnlyDictionary<string, IInstanceDriver> Drivers { get; } = new Dictionary<string, IInstanceDriver>();

    public EngineOptions Options { get; } = new();

    public IReadOnlyDictionary<WorkloadStatus, int> Counts => All.Values.GroupBy(w => w.Status).ToDictionary(g => g.Key, g => g.Count());

    public Task<CreateResult> CreateAsync(WorkloadConfig config, CancellationToken cancellationToken)
    {
        LastConfig = config;
        if (config.Name is { } name && All.Values.Any(w => w.Name == name))
            throw HullException.Conflict($"the name '{name}' is in use");
        var workload = new FakeWorkload(config);
        All[workload.Id] = workload;
        return Task.FromResult(new CreateResult(workload.Id, []));
    }

    public Task StartAsync(string workload, CancellationToken cancellationToken)
    {
        var found = Get(workload);
        if (found.Config.Process.Command is ["missing", ..])
            throw new HullException(ErrorKind.CommandNotFound, "cannot run 'missing'");
        found.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(string workload, StopRequest request, CancellationToken cancellationToken)
    {
        var found = Get(workload);
        if (found.Status != WorkloadStatus.Running) throw new HullException(ErrorKind.NotModified, "it does not run");
        found.End(143);
        return Task.CompletedTask;
    }

    public Task KillAsync(string workload, string? signal, CancellationToken cancellationToken)
    {
        Get(workload).End(137);
        return Task.CompletedTask;
    }

    public Task RestartAsync(string workload, StopRequest request, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task PauseAsync(string workload, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task UnpauseAsync(string workload, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task RenameAsync(string workload, string name, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<IReadOnlyList<string>> UpdateAsync(string workload, UpdateRequest request, CancellationToken cancellationToken)
    {
        LastUpdate = request;
        return Task.FromResult<IReadOnlyList<string>>([]);
    }

    public WaitRegistration Wait(string workload, WaitCondition condition) => new(workload, Get(workload).Exit.Task, () => { });

    public Task<IAttachment> AttachAsync(string workload, AttachRequest request, CancellationToken cancellationToken) =>
        Task.FromResult<IAttachment>(new EchoAttachment(Get(workload)));

    public Task ResizeAsync(string workload, int columns, int rows, CancellationToken cancellationToken) => Task.CompletedTask;

    public async IAsyncEnumerable<LogEntry> LogsAsync(string workload, LogQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        LastLogQuery = query;
        foreach (var entry in Log) yield return entry;
        await Task.Yield();
    }

    public Task<ProcessTable> TopAsync(string workload, string psArguments, CancellationToken cancellationToken) =>
        Task.FromResult(new ProcessTable(["PID", "CMD"], [["1", "sh"]]));

    public Task<StatsSample> StatsAsync(string workload, bool withPrevious, CancellationToken cancellationToken) =>
        Task.FromResult(new StatsSample(Get(workload).Id, Get(workload).Name, new InstanceStats(), null));

    public async IAsyncEnumerable<StatsSample> StatsStreamAsync(string workload, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return await StatsAsync(workload, false, cancellationToken);
    }

    public Task<IReadOnlyList<FileChange>> ChangesAsync(string workload, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<FileChange>>([new FileChange("/etc/x", ChangeKind.Added)]);

    public Task<PathStat> StatPathAsync(string workload, string path, CancellationToken cancellationToken) =>
        Task.FromResult(new PathStat("etc", 4096, 0x41ED, DateTimeOffset.UnixEpoch, ""));

    public async Task ReadArchiveAsync(string workload, string path, Func<PathStat, CancellationToken, Task<Stream>> destination, CancellationToken cancellationToken)
    {
        var stream = await destination(await StatPathAsync(workload, path, cancellationToken), cancellationToken);
        await stream.WriteAsync(new byte[1024], cancellationToken);
    }

    public async Task WriteArchiveAsync(string workload, ArchivePutRequest request, Stream archive, CancellationToken cancellationToken) =>
        await archive.CopyToAsync(Stream.Null, cancellationToken);

    public Task ExportAsync(string workload, Stream destination, CancellationToken cancellationToken) => destination.WriteAsync(new byte[1024], cancellationToken).AsTask();

    public Task<string> CommitAsync(string workload, CommitRequest request, CancellationToken cancellationToken) => Task.FromResult("sha256:" + new string('1', 64));

    public Task<ForkResult> ForkAsync(string workload, ForkRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new ForkResult([.. request.Names], TimeSpan.FromMilliseconds(20)));

    public Task<SnapshotResult> SaveSnapshotAsync(string workload, string name, CancellationToken cancellationToken) =>
        Task.FromResult(new SnapshotResult(new SavedSnapshot(name, DateTimeOffset.UnixEpoch), TimeSpan.FromMilliseconds(20)));

    public IReadOnlyList<SavedSnapshot> Snapshots(string workload) => [new SavedSnapshot("one", DateTimeOffset.UnixEpoch)];

    public Task RestoreSnapshotAsync(string workload, string name, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task RemoveSnapshotAsync(string workload, string name, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task RemoveAsync(string workload, RemoveRequest request, CancellationToken cancellationToken)
    {
        All.TryRemove(Get(workload).Id, out _);
        return Task.CompletedTask;
    }

    public Task<PruneResult> PruneAsync(PruneFilter filter, CancellationToken cancellationToken) => Task.FromResult(new PruneResult([], 0));

    public Task ConnectAsync(string workload, string network, AttachmentConfig config, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task DisconnectAsync(string workload, string network, bool force, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<WorkloadSnapshot> InspectAsync(string workload, bool withSize, CancellationToken cancellationToken) => Task.FromResult(Get(workload).Snapshot());

    public Task<IReadOnlyList<WorkloadSnapshot>> ListAsync(WorkloadFilter filter, bool withSize, CancellationToken cancellationToken)
    {
        LastFilter = filter;
        return Task.FromResult<IReadOnlyList<WorkloadSnapshot>>([.. All.Values.Select(w => w.Snapshot())]);
    }

    public string? Find(string workload) => All.Values.FirstOrDefault(w => w.Id.StartsWith(workload, StringComparison.Ordinal) || w.Name == workload)?.Id;

    public Task<string> CreateAsync(string workload, ExecConfig config, CancellationToken cancellationToken) => throw HullException.Unsupported("the fake has no execs");

    Task<IAttachment?> IExecs.StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken) => throw HullException.NotFound("No such exec instance");

    public ExecSnapshot Inspect(string execId) => throw HullException.NotFound($"No such exec instance: {execId}");

    public async IAsyncEnumerable<EngineEvent> SubscribeAsync(EventFilter filter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var item in Published.ToList()) yield return item;
        if (filter.Until is null) await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    IAsyncEnumerable<EngineEvent> IEvents.SubscribeAsync(EventFilter filter, CancellationToken cancellationToken) => SubscribeAsync(filter, cancellationToken);

    public void Publish(EngineEvent what) => Published.Add(what);

    private FakeWorkload Get(string workload) => Find(workload) is { } id ? All[id] : throw HullException.NotFound($"No such container: {workload}");
}

/// <summary>One workload and its echoing process.</summary>
internal sealed class FakeWorkload(WorkloadConfig config)
{
    public string Id { get; } = RandomId.New();

    public string Name { get; } = config.Name ?? "fake";

    public WorkloadConfig Config { get; } = config;

    public WorkloadStatus Status { get; private set; } = WorkloadStatus.Created;

    public TaskCompletionSource<WaitResult> Exit { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Channel<(OutputStream Stream, byte[] Bytes)> Output { get; } = Channel.CreateUnbounded<(OutputStream, byte[])>();

    public void Start()
    {
        Status = WorkloadStatus.Running;
        Print("hello\n");
        if (!Config.Process.OpenInput) End(0);
    }

    public void Print(string text) => Output.Writer.TryWrite((OutputStream.Output, Encoding.UTF8.GetBytes(text)));

    public void End(int code)
    {
        Status = WorkloadStatus.Exited;
        Output.Writer.TryComplete();
        Exit.TrySetResult(new WaitResult(code, null));
    }

    public WorkloadSnapshot Snapshot() => new()
    {
        Id = Id,
        Name = Name,
        CreatedAt = DateTimeOffset.UnixEpoch.AddDays(20000),
        Config = Config,
        State = new WorkloadState { Status = Status },
        Process = new EffectiveProcess { Command = Config.Process.Command ?? ["sh"], Environment = ["PATH=/bin"] },
        ImageId = "sha256:" + new string('0', 64),
        Isolation = Config.Isolation ?? "container",
        Platform = "linux/amd64",
        LogPath = "",
        LogDriver = "json-file",
        Labels = Config.Labels,
        Mounts = [],
        Networking = new WorkloadNetworking(),
        StateDirectory = "/nowhere",
    };
}

/// <summary>Prints what it is given; at the end of its input it prints some more, a little later.</summary>
internal sealed class EchoAttachment(FakeWorkload workload) : IAttachment
{
    private byte[] rest = [];
    private OutputStream stream;

    public bool Terminal => workload.Config.Process.Terminal;

    public async ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (rest.Length == 0)
        {
            if (!await workload.Output.Reader.WaitToReadAsync(cancellationToken)) return default;
            if (workload.Output.Reader.TryRead(out var next)) (stream, rest) = next;
        }

        var count = Math.Min(buffer.Length, rest.Length);
        rest.AsMemory(0, count).CopyTo(buffer);
        rest = rest[count..];
        return new OutputChunk(stream, count);
    }

    public ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        workload.Output.Writer.TryWrite((OutputStream.Error, bytes.ToArray()));
        return ValueTask.CompletedTask;
    }

    public async ValueTask CloseInputAsync()
    {
        for (var i = 0; i < 5; i++)
        {
            await Task.Delay(10);
            workload.Print($"after {i}\n");
        }

        workload.Print("bye\n");
        workload.End(7);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
