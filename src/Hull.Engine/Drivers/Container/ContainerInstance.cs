using Hull.Core;
using Hull.Engine.Drivers.Shims;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Container;

/// <summary>A container under a shim; a virtual machine is supervised the same way and differs in few members.</summary>
internal partial class ContainerInstance : IInstance
{
    private readonly IShimOwner _driver;
    private readonly ChildProcess? _shim;
    private readonly TaskCompletionSource<ExitStatus> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, ContainerExec> _execs = [];
    private readonly Lock _outOfMemoryLock = new();
    private readonly List<(StreamSelection Streams, SafeFd Connection)> _prepared = [];
    private Task<byte[]>? _begun;
    private Action? _outOfMemory;
    private int _missedOutOfMemory;
    private ShimConnection? _connection;
    private volatile InstanceStatus _status = InstanceStatus.Created;
    private bool _paused;

    public ContainerInstance(IShimOwner driver, InstanceSpec spec, ICgroup cgroup, ChildProcess? shim)
    {
        (_driver, Spec, Cgroup, _shim) = (driver, spec, cgroup, shim);
    }

    public InstanceSpec Spec { get; }

    public ICgroup Cgroup { get; }

    public string Id => Spec.Id;

    public InstanceStatus Status => _status == InstanceStatus.Running && _paused ? InstanceStatus.Paused : _status;

    public int ProcessId { get; private set; }

    public DateTimeOffset? StartedAt { get; private set; }

    public Task<ExitStatus> Exited => _exited.Task;

    public event Action? OutOfMemory
    {
        add
        {
            int missed;
            lock (_outOfMemoryLock) (_outOfMemory, missed, _missedOutOfMemory) = (_outOfMemory + value, _missedOutOfMemory, 0);
            for (; missed > 0; missed--) value?.Invoke();
        }
        remove
        {
            lock (_outOfMemoryLock) _outOfMemory -= value;
        }
    }

    private ShimConnection Connection => _connection ?? throw HullException.Conflict($"{Id} does not run");

    /// <summary>Takes the engine's end of the shim's socket.</summary>
    public void Connect(SafeFd socket)
    {
        _connection = new ShimConnection(socket, OnExit, OnOutOfMemory);
        _ = WatchShimAsync(_connection);
    }

    /// <param name="begin">Whether what <see cref="InstanceSpec.Begin"/> asks for is sent along.</param>
    public async Task CreateAsync(CreateMessage message, SafeFd? root, bool begin, CancellationToken cancellationToken)
    {
        // Hello first, without waiting for its answer: the events of a container that dies at once must find somebody.
        var hello = Connection.HelloAsync(cancellationToken);
        var created = await Connection.SendRequestAsync(FrameKind.Create, frame => message.WriteTo(frame), cancellationToken, root).ConfigureAwait(false);
        if (begin) await BeginAsync(Spec.Begin ?? [], cancellationToken).ConfigureAwait(false);
        var answer = await created.ConfigureAwait(false);
        await hello.ConfigureAwait(false);
        ProcessId = ShimConnection.Read(answer, static (ref FrameReader reader) => reader.ReadInt32());
    }

    /// <summary>Attachments, then the start: the shim does one thing after the other.</summary>
    private async Task BeginAsync(IReadOnlyList<StreamSelection> attachments, CancellationToken cancellationToken)
    {
        foreach (var streams in attachments)
        {
            var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
            lock (_prepared) _prepared.Add((streams, ours));
            using (theirs)
                await Connection.PostAsync(new FrameWriter(FrameKind.Attach, 0).Write("").Write((int)streams), theirs, cancellationToken).ConfigureAwait(false);
        }

        _begun = await Connection.SendRequestAsync(FrameKind.Start, null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes a living shim over; false when there is nothing in it.</summary>
    public async Task<bool> ResumeSupervisionAsync(CancellationToken cancellationToken)
    {
        await Connection.HelloAsync(cancellationToken).ConfigureAwait(false);
        var answer = await Connection.RequestAsync(FrameKind.Status, null, cancellationToken).ConfigureAwait(false);
        var status = ShimConnection.Read(answer, static (ref FrameReader reader) => StatusMessage.Read(ref reader));
        ProcessId = status.Pid;
        if (status.StartedAt > 0) StartedAt = UnixTime.ToTime(status.StartedAt);
        if (status.State == ShimState.Running)
        {
            _status = InstanceStatus.Running;
            _paused = Cgroup.Freezer == FreezerState.Frozen;
        }

        return status.State is ShimState.Created or ShimState.Running or ShimState.Exited;
    }

    /// <summary>Nothing runs any more: only the record speaks of it.</summary>
    public void CompleteFrom(ExitRecord record)
    {
        if (record.StartedAt > 0) StartedAt = UnixTime.ToTime(record.StartedAt);
        Complete(record.ToStatus());
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // One that nobody came for would hold its output back.
        ForgetPrepared();
        var answer = await (_begun ?? Connection.RequestAsync(FrameKind.Start, null, cancellationToken)).ConfigureAwait(false);
        StartedAt = UnixTime.ToTime(ShimConnection.Read(answer, static (ref FrameReader reader) => reader.ReadInt64()));
        if (_status == InstanceStatus.Created) _status = InstanceStatus.Running;
        _driver.OnStarted();
    }

    public async Task<IAttachment> AttachAsync(StreamSelection streams, CancellationToken cancellationToken)
    {
        if (TakePrepared(streams) is { } prepared) return await ShimAttachment.ReceiveAsync(prepared, Exited, cancellationToken).ConfigureAwait(false);
        var request = new FrameWriter(FrameKind.Attach, 1).Write("").Write((int)streams);
        return (await ShimAttachment.OpenAsync(Spec.RuntimeDirectory, request, null, Exited, cancellationToken).ConfigureAwait(false)).Attachment;
    }

    private SafeFd? TakePrepared(StreamSelection streams)
    {
        lock (_prepared)
        {
            var index = _prepared.FindIndex(prepared => prepared.Streams == streams);
            if (index < 0) return null;
            var found = _prepared[index].Connection;
            _prepared.RemoveAt(index);
            return found;
        }
    }

    private void ForgetPrepared()
    {
        lock (_prepared)
        {
            foreach (var (_, connection) in _prepared) connection.Dispose();
            _prepared.Clear();
        }
    }

    public Task ResizeAsync(int columns, int rows, CancellationToken cancellationToken) =>
        Spec.Stdio.Terminal
            ? Connection.RequestAsync(FrameKind.Resize, frame => frame.Write("").Write(columns).Write(rows), cancellationToken)
            : throw HullException.Conflict($"{Id} has no terminal");

    public virtual async Task SignalAsync(int signal, bool everyProcess, CancellationToken cancellationToken)
    {
        if (everyProcess) Cgroup.Kill(signal);
        else await Connection.RequestAsync(FrameKind.Signal, frame => frame.Write("").Write(signal), cancellationToken).ConfigureAwait(false);
    }

    public Task PauseAsync(CancellationToken cancellationToken)
    {
        Cgroup.Freeze();
        _paused = true;
        return Task.CompletedTask;
    }

    public Task ResumeAsync(CancellationToken cancellationToken)
    {
        Cgroup.Thaw();
        _paused = false;
        return Task.CompletedTask;
    }

    public virtual Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
        Task.FromResult(Cgroup.Processes());

    public virtual Task<ProcessTable?> ProcessTableAsync(string arguments, CancellationToken cancellationToken) =>
        Task.FromResult<ProcessTable?>(null);

    public virtual Task<IRootAccess> OpenRootAsync(CancellationToken cancellationToken)
    {
        if (_status != InstanceStatus.Running) throw HullException.Conflict($"{Id} does not run");
        // The link leads to the root the init has now. The init is the shim's child, so while it is not collected its
        // number is its own; that it still lives is asked after the link was followed.
        var root = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{ProcessId}/root", Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open the root of {Id}");
        if (_exited.Task.IsCompleted)
        {
            root.Dispose();
            throw HullException.Conflict($"{Id} has just ended");
        }

        return Task.FromResult<IRootAccess>(new HeldRoot(root, owners: RootMounts.OwnersOf(Spec.Spec)));
    }

    public virtual Task<ISavedInstance> SaveAsync(string directory, bool keep, CancellationToken cancellationToken) =>
        throw HullException.Unsupported("the memory of a container cannot be saved: use isolation vm");

    public async Task DeleteAsync(CancellationToken cancellationToken)
    {
        if (_connection is not null)
        {
            if (!_exited.Task.IsCompleted) await ShutDownAsync(cancellationToken).ConfigureAwait(false);
            // The shim takes back what the runtime made, and ends.
            await Task.WhenAny(_connection.Closed, Task.Delay(TimeSpan.FromSeconds(10), cancellationToken)).ConfigureAwait(false);
        }

        await _driver.TakeBackAsync(Spec, _shim).ConfigureAwait(false);
        Complete(new ExitStatus(ExitRecord.SupervisorLost, _driver.Clock.GetUtcNow(), false, "deleted"));
    }

    public async ValueTask DisposeAsync()
    {
        ForgetPrepared();
        if (_connection is not null) await _connection.DisposeAsync().ConfigureAwait(false);
        _shim?.Dispose();
    }

    private async Task ShutDownAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_paused) Cgroup.Thaw();
            await Connection.RequestAsync(FrameKind.Shutdown, null, cancellationToken).ConfigureAwait(false);
        }
        catch (HullException error) when (error.Kind == ErrorKind.Unavailable)
        {
            // It ended meanwhile.
        }
    }

    /// <summary>It may come before anybody listens: a program can be killed in its first millisecond.</summary>
    private void OnOutOfMemory()
    {
        Action? told;
        lock (_outOfMemoryLock)
        {
            told = _outOfMemory;
            if (told is null) _missedOutOfMemory++;
        }

        told?.Invoke();
    }

    private void OnExit(ProcessExit exit)
    {
        if (exit.ExecId.Length == 0)
        {
            Complete(exit.Status);
            return;
        }

        // It is known since before it was asked for, and nobody looks for it behind its end. One of an earlier engine is unknown.
        ContainerExec? exec;
        lock (_execs) _execs.Remove(exit.ExecId, out exec);
        exec?.Complete(exit.Status);
    }

    private void Complete(ExitStatus status)
    {
        _status = InstanceStatus.Stopped;
        if (!_exited.TrySetResult(status)) return;
        ContainerExec[] execs;
        lock (_execs) execs = [.. _execs.Values];
        foreach (var exec in execs) exec.Complete(new ExitStatus(ExitRecord.SupervisorLost, status.At));
    }

    /// <summary>When the shim goes, its last word is the record; without one, it was killed, and its instance goes with it.</summary>
    private async Task WatchShimAsync(ShimConnection connection)
    {
        await connection.Closed.ConfigureAwait(false);
        if (_shim is not null) await CollectShimAsync(_shim).ConfigureAwait(false);
        if (_exited.Task.IsCompleted || _driver.Stopping) return;
        var record = ExitRecord.TryRead(Spec) ?? await _driver.EndOrphanAsync(Spec, StartedAt).ConfigureAwait(false);
        Complete(record.ToStatus());
    }

    private static async Task CollectShimAsync(ChildProcess shim)
    {
        try
        {
            await shim.WaitAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (error is HullException or ObjectDisposedException)
        {
            // Disposed with the instance: init collects it.
        }
    }
}
