using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Health;

namespace Hull.Engine.Workloads;

/// <summary>Start, end, and what follows an end.</summary>
internal sealed partial class WorkloadService
{
    private const int MostAttachmentsAtOnce = 8;

    public async Task StartAsync(string workload, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        await ChangeAsync(target, async () =>
        {
            if (target.State.Status == WorkloadStatus.Paused) throw HullException.Conflict("cannot start a paused container, try unpause instead");
            if (target.State.Status == WorkloadStatus.Running) throw new HullException(ErrorKind.NotModified, $"{target.Name} is running already");
            CancelRestart(target);
            target.Backoff.Reset();
            target.StopRequested = false;
            SetState(target, state => state with { RestartCount = 0, StoppedByUser = false });
            await StartCoreAsync(target, cancellationToken).ConfigureAwait(false);
        }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Realizes the workload and lets it run. The gate is held.</summary>
    /// <param name="saved">What it goes on from; null begins anew.</param>
    private async Task StartCoreAsync(Workload workload, CancellationToken cancellationToken, ISavedInstance? saved = null)
    {
        // The remains of the run before are gone first: names, addresses and the root are the same.
        await workload.Ended.ConfigureAwait(false);
        workload.IsStarting = true;
        try
        {
            await RealizeAsync(workload, cancellationToken, saved).ConfigureAwait(false);
        }
        finally
        {
            workload.IsStarting = false;
        }
    }

    private async Task RealizeAsync(Workload workload, CancellationToken cancellationToken, ISavedInstance? saved)
    {
        var record = workload.Record;
        var driver = DriverOf(record.Isolation);
        IInstance? instance = null;
        try
        {
            Reserve(record);
            var mounts = record.Mounts.Count == 0 ? [] : await MountVolumesAsync(record, cancellationToken).ConfigureAwait(false);
            // Held until the instance is in it.
            using var users = OpenUserNamespace(record);
            using var memory = BorrowMemory(record);
            var network = await SetUpNetworkAsync(workload, users, cancellationToken).ConfigureAwait(false);
            var spec = BuildInstance(workload, network, mounts, users, memory) with { Saved = saved };
            driver.Validate(spec);
            _store.Write(spec);
            workload.Spec = spec;
            instance = await driver.CreateAsync(saved is null ? spec with { Begin = AwaitedStreams(workload) } : spec, cancellationToken).ConfigureAwait(false);
            workload.Instance = instance;
            await ConnectAsync(TakeAttachments(workload), instance, cancellationToken).ConfigureAwait(false);
            await instance.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            await FailStartAsync(workload, instance, error).ConfigureAwait(false);
            throw;
        }

        SetState(workload, state => state with
        {
            Status = WorkloadStatus.Running,
            ProcessId = instance.ProcessId,
            StartedAt = instance.StartedAt ?? Now,
            FinishedAt = null,
            ExitCode = 0,
            Error = "",
            OutOfMemory = false,
            Health = record.Process.Health is null ? null : new HealthState(),
        });
        Publish(workload, "start");
        _reclaimer.Wake();
        Supervise(workload, instance, new Age(_services.Clock, Now));
    }

    private async Task FailStartAsync(Workload workload, IInstance? instance, Exception error)
    {
        foreach (var attachment in TakeAttachments(workload)) attachment.Fail(error);
        if (instance is not null) await TakeBackAsync(workload, instance).ConfigureAwait(false);
        workload.Instance = null;
        _services.Admission.Release(workload.Id);
        await TearDownNetworkAsync(workload).ConfigureAwait(false);
        await UnmountVolumesAsync(workload.Record).ConfigureAwait(false);
        _store.DeleteInstance(workload.Id);
        var code = error is HullException { Kind: ErrorKind.CommandNotFound } ? 127 : error is HullException { Kind: ErrorKind.CommandNotExecutable } ? 126 : 128;
        SetState(workload, state => state with
        {
            Status = state.StartedAt is null ? WorkloadStatus.Created : WorkloadStatus.Exited,
            ProcessId = 0,
            ExitCode = code,
            Error = error is HullException known ? known.FullMessage : error.Message,
        });
        workload.TellExited(restarts: false);
        // Clients wait for the removal they asked for, whether or not it ever ran.
        if (workload.Record.Config.AutoRemove) _ = AutoRemoveAsync(workload);
    }

    /// <summary>Begins to watch a running instance: health, out-of-memory, and its end.</summary>
    private void Supervise(Workload workload, IInstance instance, Age age)
    {
        if (workload.Record.Process.Health is { } health)
            workload.Health = HealthMonitor.Start(this, workload, instance, health, age, _services.Clock);
        workload.Ended = FollowAsync(workload, instance, age);
    }

    private async Task FollowAsync(Workload workload, IInstance instance, Age age)
    {
        var outOfMemoryTold = false;
        instance.OutOfMemory += () =>
        {
            outOfMemoryTold = true;
            Publish(workload, "oom");
        };
        var exit = await instance.Exited.ConfigureAwait(false);
        if (_stopping.IsCancellationRequested) return;
        workload.Health?.Dispose();
        workload.Health = null;
        var ran = age.Now;
        var restart = RestartDecision.For(workload.Record.Config.Restart, workload.State, exit, workload.StopRequested);
        var remove = workload.Record.Config.AutoRemove && !restart && !workload.KeepForRestart;
        SetState(workload, state => state with
        {
            Status = restart ? WorkloadStatus.Restarting : WorkloadStatus.Exited,
            ProcessId = 0,
            ExitCode = exit.Code,
            FinishedAt = exit.At,
            OutOfMemory = exit.OutOfMemory,
            Error = exit.Reason ?? "",
        }, store: !remove);
        if (exit.OutOfMemory && !outOfMemoryTold) Publish(workload, "oom");
        Publish(workload, "die", ("exitCode", exit.Code.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            ("execDuration", ((long)ran.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture)));
        _services.Admission.Release(workload.Id);
        _reclaimer.Forget(workload.Id);
        workload.TellExited(restart);
        var takenBack = TakeBackAsync(workload, instance);
        await TearDownNetworkAsync(workload).ConfigureAwait(false);
        if (remove && TryRemoveEarly(workload, takenBack)) return;
        await takenBack.ConfigureAwait(false);
        await UnmountVolumesAsync(workload.Record).ConfigureAwait(false);
        if (ReferenceEquals(workload.Instance, instance)) workload.Instance = null;
        _store.DeleteInstance(workload.Id);
        if (remove) _ = AutoRemoveAsync(workload);
        else if (restart) ScheduleRestart(workload, workload.Backoff.Next(ran));
    }

    private async Task TakeBackAsync(Workload workload, IInstance instance)
    {
        try
        {
            await instance.DeleteAsync(CancellationToken.None).ConfigureAwait(false);
            await instance.DisposeAsync().ConfigureAwait(false);
        }
        catch (HullException error)
        {
            _services.Log($"{workload.Name}: what it had could not be taken back: {error.FullMessage}");
        }
    }

    private async Task AutoRemoveAsync(Workload workload)
    {
        try
        {
            await RemoveAsync(workload.Id, new RemoveRequest(Volumes: true), CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound)
        {
            // Somebody was faster.
        }
        catch (HullException error)
        {
            SetState(workload, state => state with { Status = WorkloadStatus.Dead, Error = error.FullMessage });
            _services.Log($"{workload.Name} could not be removed: {error.FullMessage}");
        }
    }

    private void ScheduleRestart(Workload workload, TimeSpan delay)
    {
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        workload.RestartDelay = cancel;
        _ = RestartLaterAsync(workload, delay, cancel.Token);
    }

    private async Task RestartLaterAsync(Workload workload, TimeSpan delay, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(delay, _services.Clock, cancellationToken).ConfigureAwait(false);
            await ChangeAsync(workload, async () =>
            {
                if (cancellationToken.IsCancellationRequested || workload.State.Status != WorkloadStatus.Restarting) return;
                SetState(workload, state => state with { RestartCount = state.RestartCount + 1 });
                await StartCoreAsync(workload, CancellationToken.None).ConfigureAwait(false);
            }, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Stopped, removed, or the engine ends.
        }
        catch (HullException error)
        {
            // What keeps it from starting may pass (a port in use, a volume away): the policy goes on trying.
            _services.Log($"{workload.Name} could not be restarted: {error.FullMessage}");
            if (error.Kind is ErrorKind.NotFound || workload.Removed || workload.StopRequested) return;
            if (RestartDecision.For(workload.Record.Config.Restart, workload.State, new ExitStatus(128, Now), false))
            {
                SetState(workload, state => state with { Status = WorkloadStatus.Restarting });
                ScheduleRestart(workload, workload.Backoff.Next(TimeSpan.Zero));
            }
        }
    }

    private static void CancelRestart(Workload workload)
    {
        workload.RestartDelay?.Cancel();
        workload.RestartDelay = null;
    }

    /// <summary>The streams of those who wait for the start, in their order; null for more than a socket has room for at once.</summary>
    private static StreamSelection[]? AwaitedStreams(Workload workload)
    {
        lock (workload.Attachments)
            return workload.Attachments.Count > MostAttachmentsAtOnce ? null : [.. workload.Attachments.Select(attachment => attachment.Streams)];
    }

    private static async Task ConnectAsync(DeferredAttachment[] attachments, IInstance instance, CancellationToken cancellationToken)
    {
        foreach (var attachment in attachments)
        {
            try
            {
                await attachment.ConnectAsync(instance, cancellationToken).ConfigureAwait(false);
            }
            catch (HullException error) when (error.Kind == ErrorKind.Unavailable)
            {
                // One that came while it was started, and it is over already: that is no failure of the start.
                attachment.Fail(error);
            }
        }
    }

    private static DeferredAttachment[] TakeAttachments(Workload workload)
    {
        lock (workload.Attachments)
        {
            DeferredAttachment[] taken = [.. workload.Attachments];
            workload.Attachments.Clear();
            return taken;
        }
    }
}

/// <summary>Whether a policy brings a workload back.</summary>
internal static class RestartDecision
{
    public static bool For(RestartPolicy policy, WorkloadState state, ExitStatus exit, bool stopRequested) => !stopRequested && policy.Name switch
    {
        "always" or "unless-stopped" => true,
        "on-failure" => exit.Code != 0 && (policy.MaximumRetries == 0 || state.RestartCount < policy.MaximumRetries),
        _ => false,
    };

    /// <summary>The same when the engine comes up: after a reboot, or when it ended while the engine was away.</summary>
    public static bool AtStartup(RestartPolicy policy, WorkloadState state, int code) => policy.Name switch
    {
        "always" => true,
        "unless-stopped" => !state.StoppedByUser,
        "on-failure" => !state.StoppedByUser && code != 0 && (policy.MaximumRetries == 0 || state.RestartCount < policy.MaximumRetries),
        _ => false,
    };
}
