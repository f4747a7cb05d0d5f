using Hull.Hypervisor.Qmp;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Qemu;

/// <summary>A machine run by one QEMU process. Lifecycle here; devices, state and jobs in the other parts.</summary>
public sealed partial class QemuMachine : IVirtualMachine
{
    private const int KillSignal = 9;

    private readonly ChildProcess _process;
    private readonly QmpSubscription _events;
    private readonly SemaphoreSlim _operations = new(1, 1);
    private readonly HypervisorCapabilities _capabilities;
    private readonly string? _logPath;
    private volatile string? _shutdownReason;
    private readonly bool _passesFiles;
    private int _disposed;

    /// <param name="options">What it was launched with: a monitor in a jail is given open files, not names.</param>
    internal QemuMachine(VirtualMachineConfig config, ChildProcess process, QmpClient qmp, HypervisorCapabilities capabilities, LaunchOptions options)
    {
        (_logPath, _passesFiles) = (options.LogPath, options.Jail is not null);
        Config = config;
        _process = process;
        Qmp = qmp;
        _capabilities = capabilities;
        _events = qmp.Subscribe();
        Exited = WatchAsync();
    }

    public VirtualMachineConfig Config { get; }

    public int ProcessId => _process.Pid;

    /// <summary>Whether it is in its own cgroup: nothing of a user's may run before.</summary>
    internal Task Confined { get; set; } = Task.CompletedTask;

    public Task<MachineExit> Exited { get; }

    /// <summary>The monitor, for what the contract does not cover.</summary>
    public QmpClient Qmp { get; }

    public async Task<MachineState> QueryStateAsync(CancellationToken cancellationToken = default)
    {
        var state = await Qmp.ExecuteAsync(QmpCommands.QueryStatus(), cancellationToken: cancellationToken).ConfigureAwait(false);
        return state.Status switch
        {
            "running" => MachineState.Running,
            "prelaunch" => MachineState.NotStarted,
            "inmigrate" => MachineState.Incoming,
            "shutdown" or "guest-panicked" or "internal-error" or "io-error" => MachineState.Stopped,
            _ => MachineState.Paused,
        };
    }

    public Task PauseAsync(CancellationToken cancellationToken = default) =>
        Qmp.ExecuteAsync(QmpCommands.Stop(), cancellationToken: cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken = default) =>
        Qmp.ExecuteAsync(QmpCommands.Continue(), cancellationToken: cancellationToken);

    public Task ResetAsync(CancellationToken cancellationToken = default) =>
        Qmp.ExecuteAsync(QmpCommands.SystemReset(), cancellationToken: cancellationToken);

    public Task PowerButtonAsync(CancellationToken cancellationToken = default) =>
        Qmp.ExecuteAsync(QmpCommands.SystemPowerdown(), cancellationToken: cancellationToken);

    /// <summary>Ends QEMU without waiting for it to be gone.</summary>
    internal void Kill() => _process.Kill(KillSignal);

    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        Kill();
        await Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends QEMU in an orderly way: block nodes are flushed and closed. Falls back to <see cref="StopAsync"/>.</summary>
    public async Task QuitAsync(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        try
        {
            await Qmp.ExecuteAsync(QmpCommands.Quit(), timeout, cancellationToken).ConfigureAwait(false);
            await Exited.WaitAsync(timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is TimeoutException or HullException)
        {
            if (Exited.IsCompleted) return;
            await StopAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await StopAsync().ConfigureAwait(false);
        _events.Dispose();
        await Qmp.DisposeAsync().ConfigureAwait(false);
        _process.Dispose();
        _operations.Dispose();
    }

    public async ValueTask DetachMonitorAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _events.Dispose();
        await Qmp.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<MachineExit> WatchAsync()
    {
        var watching = Task.Run(async () =>
        {
            await foreach (var occurrence in _events.ReadAllAsync().ConfigureAwait(false))
            {
                if (occurrence.Name == "SHUTDOWN" && occurrence.Data.TryGetProperty("reason", out var reason))
                    _shutdownReason = reason.GetString();
                else if (occurrence.Name == "GUEST_PANICKED") _shutdownReason = "guest-panic";
            }
        });
        var status = await _process.WaitAsync().ConfigureAwait(false);
        await watching.WaitAsync(TimeSpan.FromSeconds(5)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return new MachineExit(_shutdownReason, status.ShellCode);
    }

    private async Task<T> ExclusiveAsync<T>(Func<Task<T>> operation, CancellationToken cancellationToken)
    {
        await _operations.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await operation().ConfigureAwait(false);
        }
        finally
        {
            _operations.Release();
        }
    }

    private Task ExclusiveAsync(Func<Task> operation, CancellationToken cancellationToken) => ExclusiveAsync(async () =>
    {
        await operation().ConfigureAwait(false);
        return true;
    }, cancellationToken);
}
