using System.Text;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;

namespace Hull.Engine.Health;

/// <summary>
/// Runs a workload's check at its intervals and keeps what it found. A check runs inside, so it sees what users of the
/// workload see; it never overlaps with itself.
/// </summary>
internal sealed class HealthMonitor : IDisposable
{
    private const int KeptProbes = 5;
    private const int KeptOutput = 4096;
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_startInterval = TimeSpan.FromSeconds(5);

    private readonly WorkloadService _service;
    private readonly Workload _workload;
    private readonly IInstance _instance;
    private readonly HealthConfig _config;
    private readonly TimeProvider _clock;
    private readonly Age _age;
    private readonly CancellationTokenSource _stop = new();

    private HealthMonitor(WorkloadService service, Workload workload, IInstance instance, HealthConfig config, Age age, TimeProvider clock)
    {
        (_service, _workload, _instance, _config, _age, _clock) = (service, workload, instance, config, age, clock);
    }

    private int Retries => _config.Retries > 0 ? _config.Retries : 3;

    private TimeSpan Timeout => _config.Timeout > TimeSpan.Zero ? _config.Timeout : TimeSpan.FromSeconds(30);

    public static HealthMonitor Start(WorkloadService service, Workload workload, IInstance instance, HealthConfig config, Age age, TimeProvider clock)
    {
        var monitor = new HealthMonitor(service, workload, instance, config, age, clock);
        _ = monitor.RunAsync();
        return monitor;
    }

    public void Dispose() => _stop.Cancel();

    /// <summary>The program of a check; throws <see cref="ErrorKind.InvalidArgument"/> for a form nobody knows.</summary>
    internal static IReadOnlyList<string> CommandOf(IReadOnlyList<string> test) => test switch
    {
        ["CMD", _, ..] => [.. test.Skip(1)],
        ["CMD-SHELL", var line, ..] => ["/bin/sh", "-c", line],
        _ => throw HullException.Invalid("unknown type of health check: it must begin with NONE, CMD or CMD-SHELL"),
    };

    private async Task RunAsync()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                await Task.Delay(NextDelay(), _clock, _stop.Token).ConfigureAwait(false);
                if (_workload.State.Status == WorkloadStatus.Paused) continue;
                var probe = await ProbeAsync().ConfigureAwait(false);
                if (_stop.IsCancellationRequested) return;
                Record(probe);
            }
        }
        catch (OperationCanceledException)
        {
            // The instance ended.
        }
        catch (HullException error)
        {
            Record(new HealthProbe(_clock.GetUtcNow(), _clock.GetUtcNow(), -1, error.FullMessage));
        }
    }

    private bool InStartPeriod => _config.StartPeriod > TimeSpan.Zero && _age.Now < _config.StartPeriod;

    private TimeSpan NextDelay()
    {
        var interval = _config.Interval > TimeSpan.Zero ? _config.Interval : s_interval;
        if (!InStartPeriod || _workload.State.Health?.Status != "starting") return interval;
        return _config.StartInterval > TimeSpan.Zero ? _config.StartInterval : s_startInterval < interval ? s_startInterval : interval;
    }

    private async Task<HealthProbe> ProbeAsync()
    {
        var start = _clock.GetUtcNow();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(Timeout);
        IInstanceProcess? process = null;
        try
        {
            var record = _workload.Record;
            process = await _instance.ExecAsync(new ExecSpec
            {
                ExecId = RandomId.New(),
                Arguments = CommandOf(_config.Test),
                Environment = _workload.Spec?.Spec.Process?.Env ?? [],
                WorkingDirectory = record.Process.WorkingDirectory,
                Attach = StreamSelection.Output | StreamSelection.Error,
            }, limit.Token).ConfigureAwait(false);
            var output = await ReadAsync(process.Attachment!, limit.Token).ConfigureAwait(false);
            var exit = await process.Exited.WaitAsync(limit.Token).ConfigureAwait(false);
            return new HealthProbe(start, _clock.GetUtcNow(), exit.Code, output);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            if (process is not null) await KillAsync(process).ConfigureAwait(false);
            return new HealthProbe(start, _clock.GetUtcNow(), -1, $"Health check exceeded timeout ({Timeout.TotalSeconds:0.###}s)");
        }
        catch (HullException error) when (!_stop.IsCancellationRequested)
        {
            return new HealthProbe(start, _clock.GetUtcNow(), -1, error.FullMessage);
        }
        finally
        {
            if (process is not null) await process.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task KillAsync(IInstanceProcess process)
    {
        try
        {
            await process.SignalAsync(Signals.Kill, CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException)
        {
            // It ended by itself at the last moment.
        }
    }

    private static async Task<string> ReadAsync(IAttachment attachment, CancellationToken cancellationToken)
    {
        var kept = new byte[KeptOutput];
        var length = 0;
        var buffer = new byte[4096];
        while (await attachment.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is { Count: > 0 } chunk)
        {
            var room = Math.Min(chunk.Count, kept.Length - length);
            buffer.AsSpan(0, room).CopyTo(kept.AsSpan(length));
            length += room;
        }

        return Encoding.UTF8.GetString(kept.AsSpan(0, length));
    }

    private void Record(HealthProbe probe)
    {
        var before = "";
        var after = "";
        _service.SetState(_workload, state =>
        {
            var health = state.Health ?? new HealthState();
            before = health.Status;
            var failing = probe.ExitCode == 0 ? 0 : health.FailingStreak + 1;
            // Failures while it starts are expected; a success ends the starting early.
            if (probe.ExitCode != 0 && before == "starting" && InStartPeriod) failing = 0;
            after = probe.ExitCode == 0 ? "healthy" : failing >= Retries ? "unhealthy" : before;
            return state with
            {
                Health = new HealthState
                {
                    Status = after,
                    FailingStreak = failing,
                    Log = [.. health.Log.Append(probe).TakeLast(KeptProbes)],
                },
            };
        });
        if (before == after) return;
        _service.Publish(_workload, "health_status: " + after);
        if (after == "unhealthy") _ = _service.OnUnhealthyAsync(_workload, _config.OnFailure);
    }
}
