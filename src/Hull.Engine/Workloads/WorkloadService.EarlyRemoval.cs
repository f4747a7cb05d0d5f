using System.Collections.Concurrent;
using Hull.Core;

namespace Hull.Engine.Workloads;

/// <summary>
/// What was asked to vanish at its end (<c>--rm</c>) is gone for everybody as soon as its name, addresses and ports are
/// free; its files and its supervisor's last work are cleared behind that. An engine that dies in between finds a directory
/// without config, and clears it as it does with an interrupted creation.
/// </summary>
internal sealed partial class WorkloadService
{
    private static readonly TimeSpan s_clearingGrace = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<string, Task> _clearing = new();

    /// <summary>False when it has volumes, whose release others wait for, or while somebody changes it: then it goes the long way.</summary>
    private bool TryRemoveEarly(Workload workload, Task takenBack)
    {
        // Waiting here would be for ever: a removal that holds the gate waits for the end that is being dealt with.
        if (workload.Record.Mounts.Count > 0 || !workload.Gate.Wait(0)) return false;
        var cleared = new TaskCompletionSource();
        try
        {
            if (workload.Removed) return false;
            _store.DeleteConfig(workload.Id);
            // Before anybody is told: who is may ask at once for what is being cleared.
            _clearing[workload.Id] = cleared.Task;
            Unlist(workload);
            Publish(workload, "destroy");
        }
        catch (HullException)
        {
            _clearing.TryRemove(workload.Id, out _);
            return false;
        }
        finally
        {
            workload.Gate.Release();
        }

        _ = ClearAsync(workload, takenBack, cleared);
        return true;
    }

    private async Task ClearAsync(Workload workload, Task takenBack, TaskCompletionSource cleared)
    {
        // The one who waits for the removal is told before the work begins that it need not wait for.
        await Task.Yield();
        try
        {
            await takenBack.ConfigureAwait(false);
            if (workload.Record.HasSnapshot) _services.Images!.Snapshotter.Remove(workload.Id);
            _store.Delete(workload.Id);
        }
        catch (HullException error)
        {
            _services.Log($"the files of {workload.Name} could not be removed and wait for the next start: {error.FullMessage}");
        }
        finally
        {
            _clearing.TryRemove(workload.Id, out _);
            cleared.TrySetResult();
        }
    }

    public async Task FinishRemovalsAsync()
    {
        try
        {
            await Task.WhenAll(_clearing.Values).WaitAsync(s_clearingGrace).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The next start clears it.
        }
    }
}
