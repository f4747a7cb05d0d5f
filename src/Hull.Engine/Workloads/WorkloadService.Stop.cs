using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>Stop, kill, restart, pause, rename, remove.</summary>
internal sealed partial class WorkloadService
{
    private static readonly TimeSpan s_killPatience = TimeSpan.FromSeconds(10);
    private const int DefaultStopTimeout = 10;

    public async Task StopAsync(string workload, StopRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (!await StopCoreAsync(target, request, cancellationToken).ConfigureAwait(false))
            throw new HullException(ErrorKind.NotModified, $"{target.Name} is not running");
        SetState(target, state => state with { StoppedByUser = true });
        Publish(target, "stop");
    }

    /// <summary>False when it did not run. Holds no gate while it waits, so that others can still kill or inspect.</summary>
    private async Task<bool> StopCoreAsync(Workload workload, StopRequest request, CancellationToken cancellationToken)
    {
        // One that ends by itself at this moment was still stopped: nothing brings it back.
        var active = workload.State.IsRunning || workload.State.Status == WorkloadStatus.Restarting;
        workload.StopRequested = true;
        IInstance? instance = null;
        var restarting = false;
        await ChangeAsync(workload, () =>
        {
            restarting = workload.State.Status == WorkloadStatus.Restarting;
            CancelRestart(workload);
            if (restarting) SetState(workload, state => state with { Status = WorkloadStatus.Exited });
            instance = workload.State.IsRunning ? workload.Instance : null;
            return Task.CompletedTask;
        }, cancellationToken).ConfigureAwait(false);
        if (instance is null)
        {
            if (restarting) workload.TellExited(restarts: false);
            await workload.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
            return active || restarting;
        }

        var signal = Signals.Parse(request.Signal ?? workload.Record.Process.StopSignal);
        var timeout = request.Timeout ?? workload.Record.Config.Process.StopTimeout ?? DefaultStopTimeout;
        if (workload.State.Status == WorkloadStatus.Paused) await ThawForSignalAsync(workload, instance).ConfigureAwait(false);
        await SignalAsync(workload, instance, signal, cancellationToken).ConfigureAwait(false);
        if (!await EndsWithinAsync(instance, timeout, cancellationToken).ConfigureAwait(false))
        {
            await SignalAsync(workload, instance, Signals.Kill, CancellationToken.None).ConfigureAwait(false);
            if (!await EndsWithinAsync(instance, (int)s_killPatience.TotalSeconds, CancellationToken.None).ConfigureAwait(false))
                await instance.SignalAsync(Signals.Kill, everyProcess: true, CancellationToken.None).ConfigureAwait(false);
        }

        await workload.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async Task<bool> EndsWithinAsync(IInstance instance, int seconds, CancellationToken cancellationToken)
    {
        if (seconds < 0)
        {
            await instance.Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }

        try
        {
            await instance.Exited.WaitAsync(TimeSpan.FromSeconds(seconds), _services.Clock, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return instance.Exited.IsCompleted;
        }
    }

    private async Task SignalAsync(Workload workload, IInstance instance, int signal, CancellationToken cancellationToken)
    {
        try
        {
            await instance.SignalAsync(signal, everyProcess: false, cancellationToken).ConfigureAwait(false);
            Publish(workload, "kill", ("signal", signal.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        }
        catch (HullException error) when (error.Kind is ErrorKind.Conflict or ErrorKind.Unavailable or ErrorKind.NotFound)
        {
            // It has ended: what was wanted.
        }
    }

    public async Task KillAsync(string workload, string? signal, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        var number = signal is { Length: > 0 } ? Signals.Parse(signal) : Signals.Kill;
        var instance = target.RequireRunning();
        // Only what ends it for good counts as the user's wish that it stay down.
        if (number == Signals.Kill || number == Signals.Parse(target.Record.Process.StopSignal))
        {
            target.StopRequested = true;
            SetState(target, state => state with { StoppedByUser = true });
        }

        if (number == Signals.Kill && target.State.Status == WorkloadStatus.Paused) await ThawForSignalAsync(target, instance).ConfigureAwait(false);
        await SignalAsync(target, instance, number, cancellationToken).ConfigureAwait(false);
        if (number != Signals.Kill) return;
        if (await EndsWithinAsync(instance, (int)s_killPatience.TotalSeconds, cancellationToken).ConfigureAwait(false))
            await target.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task RestartAsync(string workload, StopRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        target.KeepForRestart = true;
        try
        {
            await StopCoreAsync(target, request, cancellationToken).ConfigureAwait(false);
            await ChangeAsync(target, async () =>
            {
                target.StopRequested = false;
                target.Backoff.Reset();
                SetState(target, state => state with { StoppedByUser = false, RestartCount = 0 });
                if (!target.State.IsRunning) await StartCoreAsync(target, cancellationToken).ConfigureAwait(false);
            }, cancellationToken).ConfigureAwait(false);
            Publish(target, "restart");
        }
        finally
        {
            target.KeepForRestart = false;
        }
    }

    public Task PauseAsync(string workload, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        return ChangeAsync(target, async () =>
        {
            var instance = target.RequireRunning();
            if (target.State.Status == WorkloadStatus.Paused) throw HullException.Conflict($"{target.Name} is already paused");
            DriverOf(target.Record.Isolation).Capabilities.Demand(InstanceCapability.Pause, "pause");
            await instance.PauseAsync(cancellationToken).ConfigureAwait(false);
            SetState(target, state => state.Status == WorkloadStatus.Running ? state with { Status = WorkloadStatus.Paused } : state);
            Publish(target, "pause");
        }, cancellationToken);
    }

    public Task UnpauseAsync(string workload, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        return ChangeAsync(target, async () =>
        {
            if (target.State.Status != WorkloadStatus.Paused) throw HullException.Conflict($"{target.Name} is not paused");
            await target.RequireRunning().ResumeAsync(cancellationToken).ConfigureAwait(false);
            SetState(target, state => state.Status == WorkloadStatus.Paused ? state with { Status = WorkloadStatus.Running } : state);
            Publish(target, "unpause");
        }, cancellationToken);
    }

    private async Task ThawForSignalAsync(Workload workload, IInstance instance)
    {
        await instance.ResumeAsync(CancellationToken.None).ConfigureAwait(false);
        SetState(workload, state => state.Status == WorkloadStatus.Paused ? state with { Status = WorkloadStatus.Running } : state);
    }

    public Task RenameAsync(string workload, string name, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        var clean = name.TrimStart('/');
        CheckName(clean);
        return ChangeAsync(target, async () =>
        {
            var old = target.Name;
            if (clean == old) throw HullException.Invalid("renaming a container with the same name as its current name");
            if (!_names.TryAdd(clean, target.Id))
                throw HullException.Conflict($"the container name \"/{clean}\" is already in use: remove or rename that container to use the name again");
            try
            {
                if (target.State.IsRunning && _services.Networks is { } networks && networks.FindInstance(target.Id) is not null)
                    await networks.RenameAsync(target.Id, clean, cancellationToken).ConfigureAwait(false);
                var renamed = target.Record with { Name = clean, Config = target.Record.Config with { Name = clean } };
                _store.Write(renamed);
                target.Record = renamed;
            }
            catch
            {
                _names.TryRemove(KeyValuePair.Create(clean, target.Id));
                throw;
            }

            _names.TryRemove(KeyValuePair.Create(old, target.Id));
            Publish(target, "rename", ("oldName", "/" + old));
        }, cancellationToken);
    }

    private const int ForcedAttempts = 5;

    public async Task RemoveAsync(string workload, RemoveRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (request.Link) throw HullException.Unsupported("links cannot be removed on their own: remove the container, or use a network");
        for (var attempt = 1; ; attempt++)
        {
            if (target.State.IsRunning || target.State.Status == WorkloadStatus.Restarting)
            {
                if (!request.Force)
                {
                    throw HullException.Conflict(
                        $"cannot remove container \"/{target.Name}\": container is {target.State.Status.ToString().ToLowerInvariant()}: stop the container before removing or force remove");
                }

                await StopCoreAsync(target, new StopRequest("KILL", 0), cancellationToken).ConfigureAwait(false);
            }

            try
            {
                await ChangeAsync(target, () => RemoveCoreAsync(target, request), CancellationToken.None).ConfigureAwait(false);
                return;
            }
            catch (HullException error) when (request.Force && error.Kind == ErrorKind.Conflict && target.State.IsRunning && attempt < ForcedAttempts)
            {
                // Its health check or somebody else started it in between.
            }
        }
    }

    /// <summary>
    /// Takes everything away, in an order that can be repeated: the config goes last, so an interruption leaves a workload
    /// that can be removed again.
    /// </summary>
    private async Task RemoveCoreAsync(Workload workload, RemoveRequest request)
    {
        if (workload.State.IsRunning) throw HullException.Conflict($"{workload.Name} was started meanwhile");
        CancelRestart(workload);
        await workload.Ended.ConfigureAwait(false);
        SetState(workload, state => state with { Status = WorkloadStatus.Removing });
        try
        {
            if (workload.Instance is { } instance) await TakeBackAsync(workload, instance).ConfigureAwait(false);
            await Task.Run(() =>
            {
                if (workload.Record.HasSnapshot) _services.Images!.Snapshotter.Remove(workload.Id);
                DropImages(workload.Record.Mounts);
                _store.Delete(workload.Id);
            }).ConfigureAwait(false);
        }
        catch (HullException error)
        {
            SetState(workload, state => state with { Status = WorkloadStatus.Dead, Error = error.FullMessage });
            throw;
        }

        Unlist(workload);
        await ReleaseVolumesAsync(workload, request.Volumes).ConfigureAwait(false);
        Publish(workload, "destroy");
    }

    private void Unlist(Workload workload)
    {
        _workloads.TryRemove(workload.Id, out _);
        _names.TryRemove(KeyValuePair.Create(workload.Name, workload.Id));
        foreach (var attachment in TakeAttachments(workload)) attachment.Fail(HullException.NotFound($"{workload.Name} was removed"));
        workload.TellRemoved();
    }

    private async Task ReleaseVolumesAsync(Workload workload, bool removeAnonymous)
    {
        foreach (var mount in workload.Record.Mounts.Where(mount => mount.Name.Length > 0))
        {
            Volumes.Release(mount.Name, workload.Id);
            if (!removeAnonymous || !mount.Anonymous) continue;
            try
            {
                await Volumes.RemoveAsync(mount.Name, force: false, CancellationToken.None).ConfigureAwait(false);
            }
            catch (HullException error)
            {
                // Another workload took it over with volumes-from.
                if (error.Kind != ErrorKind.Conflict) _services.Log($"volume {mount.Name} could not be removed: {error.FullMessage}");
            }
        }
    }

    public async Task<PruneResult> PruneAsync(PruneFilter filter, CancellationToken cancellationToken)
    {
        foreach (var driver in _services.Drivers.Values) driver.ReleaseIdle();
        var removed = new List<string>();
        long space = 0;
        foreach (var workload in All.ToArray())
        {
            if (workload.State.IsRunning || workload.State.Status is WorkloadStatus.Restarting or WorkloadStatus.Removing) continue;
            if (filter.Until is { } until && workload.Record.CreatedAt >= until) continue;
            if (!filter.Labels.All(label => Events.LabelMatch.Matches(workload.Record.Labels, label))) continue;
            if (filter.LabelsNot.Count > 0 && filter.LabelsNot.Any(label => Events.LabelMatch.Matches(workload.Record.Labels, label))) continue;
            try
            {
                var size = workload.Record.HasSnapshot ? _services.Images!.Snapshotter.Usage(workload.Id).Size : 0;
                await RemoveAsync(workload.Id, new RemoveRequest(), cancellationToken).ConfigureAwait(false);
                removed.Add(workload.Id);
                space += size;
            }
            catch (HullException error) when (error.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
            {
                // Started or removed by somebody else meanwhile.
            }
        }

        return new PruneResult(removed, space);
    }
}
