using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Health;

namespace Hull.Engine.Workloads;

/// <summary>
/// One workload in memory. <see cref="Record"/> and <see cref="State"/> are replaced as a whole, so readers need no lock;
/// whoever changes them holds <see cref="Gate"/>.
/// </summary>
internal sealed class Workload(WorkloadRecord record, WorkloadState state)
{
    private readonly Lock _waitersGate = new();
    private readonly List<Waiter> _waiters = [];
    private volatile WorkloadRecord _record = record;
    private volatile WorkloadState _state = state;
    private volatile bool _starting;

    public string Id { get; } = record.Id;

    public WorkloadRecord Record
    {
        get => _record;
        set => _record = value;
    }

    public WorkloadState State
    {
        get => _state;
        set => _state = value;
    }

    public string Name => _record.Name;

    /// <summary>
    /// Whether a start is under way. Its processes may write, and even end, before the state says that they run; it says so
    /// before this ends.
    /// </summary>
    public bool IsStarting
    {
        get => _starting;
        set => _starting = value;
    }

    /// <summary>Whether more may come into its log: nothing written is missed by whoever reads to the end after this was false.</summary>
    public bool MayWrite => _starting || _state is { IsRunning: true } or { Status: WorkloadStatus.Restarting };

    /// <summary>Held by one change at a time; never while waiting for user code.</summary>
    public SemaphoreSlim Gate { get; } = new(1, 1);

    /// <summary>Held while the state is replaced, for as long as it takes to write it.</summary>
    public Lock StateGate { get; } = new();

    /// <summary>The realization, from creation until it is taken back.</summary>
    public IInstance? Instance { get; set; }

    /// <summary>The last spec it was realized by.</summary>
    public InstanceSpec? Spec { get; set; }

    /// <summary>Attachments that wait for a start.</summary>
    public List<DeferredAttachment> Attachments { get; } = [];

    public HealthMonitor? Health { get; set; }

    /// <summary>The user wants it to end: no policy restarts it.</summary>
    public bool StopRequested { get; set; }

    /// <summary>The end in progress is part of a restart the user asked for: it is not removed.</summary>
    public bool KeepForRestart { get; set; }

    /// <summary>Ends the waiting for a restart by policy.</summary>
    public CancellationTokenSource? RestartDelay { get; set; }

    public RestartBackoff Backoff { get; } = new();

    /// <summary>Completes when the end of the current realization has been dealt with.</summary>
    public Task Ended { get; set; } = Task.CompletedTask;

    public bool Removed { get; private set; }

    public HashSet<string> ExecIds { get; } = [];

    public WaitRegistration Register(WaitCondition condition)
    {
        var waiter = new Waiter(condition);
        lock (_waitersGate)
        {
            if (Removed) waiter.Done.TrySetResult(Result());
            else if (condition == WaitCondition.NotRunning && !_state.IsRunning && _state.Status != WorkloadStatus.Restarting)
                waiter.Done.TrySetResult(Result());
            else _waiters.Add(waiter);
        }

        return new WaitRegistration(Id, waiter.Done.Task, () =>
        {
            lock (_waitersGate) _waiters.Remove(waiter);
            waiter.Done.TrySetCanceled();
        });
    }

    /// <summary>It has ended. A wait for "not running" goes on where a restart follows.</summary>
    public void TellExited(bool restarts)
    {
        lock (_waitersGate)
        {
            foreach (var waiter in _waiters.ToArray())
            {
                if (waiter.Condition == WaitCondition.Removed || (restarts && waiter.Condition == WaitCondition.NotRunning)) continue;
                _waiters.Remove(waiter);
                waiter.Done.TrySetResult(Result());
            }
        }
    }

    public void TellRemoved()
    {
        lock (_waitersGate)
        {
            Removed = true;
            foreach (var waiter in _waiters) waiter.Done.TrySetResult(Result());
            _waiters.Clear();
        }
    }

    /// <summary>Throws <see cref="ErrorKind.Conflict"/> unless it runs.</summary>
    public IInstance RequireRunning()
    {
        if (_state.Status == WorkloadStatus.Restarting) throw HullException.Conflict($"{Name} is restarting, wait until it runs");
        return _state.IsRunning && Instance is { } instance ? instance : throw HullException.Conflict($"{Name} is not running");
    }

    private WaitResult Result() => new(_state.ExitCode, _state.Error.Length == 0 ? null : _state.Error);

    private sealed record Waiter(WaitCondition Condition)
    {
        public TaskCompletionSource<WaitResult> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>
/// Time between restarts by policy: 100 ms, doubled each time up to a minute, and from the beginning again once it ran
/// for ten seconds.
/// </summary>
internal sealed class RestartBackoff
{
    private static readonly TimeSpan s_first = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_steady = TimeSpan.FromSeconds(10);
    private TimeSpan _next = s_first;

    /// <summary>The delay after a run of that length.</summary>
    public TimeSpan Next(TimeSpan ran)
    {
        if (ran >= s_steady) _next = s_first;
        var delay = _next;
        _next = delay * 2 > s_longest ? s_longest : delay * 2;
        return delay;
    }

    public void Reset() => _next = s_first;
}
