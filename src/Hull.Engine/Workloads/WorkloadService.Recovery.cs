using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// From what is on disk to what runs. The engine may have been killed between any two steps; whatever is found is
/// either taken over or taken back.
/// </summary>
internal sealed partial class WorkloadService
{
    /// <summary>Exit code of what ran when the machine itself went down.</summary>
    private const int LostWithMachine = 255;

    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        BorrowedMemory.Clear(SharedMemoryDirectory);
        var (good, bad, interrupted) = _store.Load();
        foreach (var (id, reason) in bad) _services.Log($"workload {id} cannot be read and is left alone: {reason}");
        foreach (var id in interrupted) await ReclaimInterruptedAsync(id, cancellationToken).ConfigureAwait(false);
        foreach (var (record, state) in good)
        {
            var workload = new Workload(record, state);
            _workloads[record.Id] = workload;
            _names[record.Name] = record.Id;
            HoldVolumes(record);
        }

        var restarts = new List<Workload>();
        await Parallel.ForEachAsync(_workloads.Values, cancellationToken, async (workload, cancellation) =>
        {
            try
            {
                if (!await TakeOverAsync(workload, cancellation).ConfigureAwait(false)) return;
                lock (restarts) restarts.Add(workload);
            }
            catch (HullException error)
            {
                SetState(workload, state => state with { Status = WorkloadStatus.Dead, ProcessId = 0, Error = error.FullMessage });
                _services.Log($"{workload.Name} could not be taken over: {error.FullMessage}");
            }
        }).ConfigureAwait(false);
        if (Options.Resources.Reclaim.Enabled) _reclaiming = _reclaimer.RunAsync(_services.Clock, _stopping.Token);
        _ = StartInOrderAsync(restarts);
    }

    private async Task ReclaimInterruptedAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var driver in _services.Drivers.Values) await driver.ReclaimAsync(id, cancellationToken).ConfigureAwait(false);
            if (_services.Networks is { } networks) await networks.TearDownAsync(id, cancellationToken).ConfigureAwait(false);
            _services.Images?.Snapshotter.Remove(id);
            DropImages(id);
            _store.Delete(id);
        }
        catch (HullException error)
        {
            _services.Log($"the remains of workload {id} could not be removed: {error.FullMessage}");
        }
    }

    /// <summary>The stored spec of an instance; its endpoints are in the network's own record alone.</summary>
    private InstanceSpec? ReadInstance(string id) => _store.ReadInstance(id) is { } spec
        ? spec with { Network = spec.Network with { Endpoints = _services.Networks?.FindInstance(id)?.Endpoints ?? [] } }
        : null;

    /// <summary>True when its policy wants it started.</summary>
    private async Task<bool> TakeOverAsync(Workload workload, CancellationToken cancellationToken)
    {
        var state = workload.State;
        if (state.Status == WorkloadStatus.Removing)
        {
            // Half of it may be gone already: the wish is finished, not forgotten.
            await RemoveCoreAsync(workload, new RemoveRequest()).ConfigureAwait(false);
            return false;
        }

        var spec = ReadInstance(workload.Id);
        workload.Spec = spec;
        var instance = spec is null ? null : await DriverOf(workload.Record.Isolation).ReconnectAsync(spec, cancellationToken).ConfigureAwait(false);
        if (instance is { Status: InstanceStatus.Running or InstanceStatus.Paused })
        {
            Resume(workload, instance);
            return false;
        }

        var exit = await EndOfAsync(workload, instance, state).ConfigureAwait(false);
        if (exit is null && spec is not null && workload.Record.Config.AutoRemove && state.StartedAt is null)
        {
            // Its start was under way and will not be asked for again.
            await RemoveCoreAsync(workload, new RemoveRequest(Volumes: true)).ConfigureAwait(false);
            return false;
        }

        if (exit is null) return state.Status == WorkloadStatus.Restarting || RestartDecision.AtStartup(workload.Record.Config.Restart, state, state.ExitCode) && state.StartedAt is not null;
        SetState(workload, now => now with
        {
            Status = WorkloadStatus.Exited,
            ProcessId = 0,
            ExitCode = exit.Code,
            FinishedAt = exit.At,
            OutOfMemory = exit.OutOfMemory,
            Error = exit.Reason ?? "",
            StartedAt = instance?.StartedAt ?? now.StartedAt,
        });
        Publish(workload, "die", ("exitCode", exit.Code.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        if (workload.Record.Config.AutoRemove)
        {
            await RemoveCoreAsync(workload, new RemoveRequest(Volumes: true)).ConfigureAwait(false);
            return false;
        }

        return RestartDecision.AtStartup(workload.Record.Config.Restart, state, exit.Code);
    }

    private void Resume(Workload workload, IInstance instance)
    {
        workload.Instance = instance;
        _services.Admission.Take(ClaimOf(workload.Record));
        SetState(workload, state => state with
        {
            Status = instance.Status == InstanceStatus.Paused ? WorkloadStatus.Paused : WorkloadStatus.Running,
            ProcessId = instance.ProcessId,
            StartedAt = instance.StartedAt ?? state.StartedAt,
            FinishedAt = null,
            ExitCode = 0,
            Error = "",
        });
        _reclaimer.Adopt(workload.Id);
        Supervise(workload, instance, new Age(_services.Clock, workload.State.StartedAt ?? Now));
    }

    /// <summary>How it ended while the engine was away, after taking back what it had; null when it did not run then.</summary>
    private async Task<ExitStatus?> EndOfAsync(Workload workload, IInstance? instance, WorkloadState state)
    {
        ExitStatus? exit = null;
        if (instance is not null)
        {
            var neverStarted = instance.Status == InstanceStatus.Created || instance.StartedAt is null;
            if (instance.Status == InstanceStatus.Stopped && !neverStarted) exit = await instance.Exited.ConfigureAwait(false);
            await TakeBackAsync(workload, instance).ConfigureAwait(false);
        }
        else if (state.IsRunning)
        {
            exit = new ExitStatus(LostWithMachine, Now, false, "it ended with the machine or was removed from outside");
        }

        await TearDownNetworkAsync(workload).ConfigureAwait(false);
        await UnmountVolumesAsync(workload.Record).ConfigureAwait(false);
        _store.DeleteInstance(workload.Id);
        return exit ?? (state.IsRunning ? new ExitStatus(LostWithMachine, Now, false, "its end was not recorded") : null);
    }

    /// <summary>Starts what policies want, everything after what it depends on; what depends on itself is started anyway.</summary>
    private async Task StartInOrderAsync(List<Workload> workloads)
    {
        foreach (var workload in StartOrder.Sort(workloads, reference => TryFind(reference)))
        {
            if (_stopping.IsCancellationRequested) return;
            try
            {
                await ChangeAsync(workload, async () =>
                {
                    if (workload.State.IsRunning) return;
                    SetState(workload, state => state with { RestartCount = state.RestartCount + 1 });
                    await StartCoreAsync(workload, CancellationToken.None).ConfigureAwait(false);
                }, CancellationToken.None).ConfigureAwait(false);
            }
            catch (HullException error)
            {
                _services.Log($"{workload.Name} could not be started: {error.FullMessage}");
                SetState(workload, state => state with { Status = WorkloadStatus.Restarting });
                ScheduleRestart(workload, workload.Backoff.Next(TimeSpan.Zero));
            }
        }
    }

    /// <summary>
    /// Ends the service. What runs goes on running under its shims, unless the settings say otherwise.
    /// </summary>
    public async Task StopAsync(bool stopWorkloads)
    {
        if (stopWorkloads)
        {
            await Parallel.ForEachAsync(All.Where(workload => workload.State.IsRunning).ToArray(), async (workload, _) =>
            {
                try
                {
                    await StopCoreAsync(workload, new StopRequest(null, Options.ShutdownTimeout), CancellationToken.None).ConfigureAwait(false);
                }
                catch (HullException error)
                {
                    _services.Log($"{workload.Name} could not be stopped: {error.FullMessage}");
                }
            }).ConfigureAwait(false);
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _reclaiming.ConfigureAwait(false);
        await FinishRemovalsAsync().ConfigureAwait(false);
        foreach (var workload in All)
        {
            workload.Health?.Dispose();
            CancelRestart(workload);
        }
    }

    /// <summary>Closes the connections to what runs on.</summary>
    public async Task DisconnectAllAsync()
    {
        foreach (var workload in All)
        {
            if (workload.Instance is { } instance) await instance.DisposeAsync().ConfigureAwait(false);
        }
    }
}

/// <summary>The order of starting that declared dependencies ask for.</summary>
internal static class StartOrder
{
    public static List<Workload> Sort(IReadOnlyList<Workload> workloads, Func<string, Workload?> find)
    {
        var ordered = new List<Workload>();
        var visited = new HashSet<string>();
        foreach (var workload in workloads.OrderBy(one => one.Record.CreatedAt)) Visit(workload);
        return ordered;

        void Visit(Workload workload)
        {
            if (!visited.Add(workload.Id)) return;
            foreach (var dependency in DependenciesOf(workload.Record.Config))
            {
                if (find(dependency) is { } other && workloads.Contains(other)) Visit(other);
            }

            ordered.Add(workload);
        }
    }

    /// <summary>What is declared, and whose namespaces are joined.</summary>
    private static IEnumerable<string> DependenciesOf(WorkloadConfig config)
    {
        foreach (var name in config.DependsOn) yield return name;
        foreach (var mode in (string?[])[config.Networking.Mode, config.Namespaces.Pid, config.Namespaces.Ipc])
        {
            if (mode?.StartsWith("container:", StringComparison.Ordinal) == true) yield return mode[10..];
        }

        foreach (var link in config.Networking.Links) yield return WorkloadService.ParseLink(link).Target;
    }
}
