using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>
/// Removes devices and sandboxes in the background, many at once: the kernel waits for RCU grace periods under its one
/// network lock, so that each device removed by itself would hold up the next start. What dies with the engine before it
/// is removed bears the engine's mark and is removed at the next start.
/// </summary>
internal sealed class DeviceReaper(HostStack host, DeviceNames names, Action<string> log) : IAsyncDisposable
{
    private static readonly TimeSpan GatherTime = TimeSpan.FromMilliseconds(150);
    private readonly Lock gate = new();
    private readonly uint group = 0x40000000u | Convert.ToUInt32(names.EngineId, 16);
    private List<string> devices = [];
    private List<string> sandboxes = [];
    private Task work = Task.CompletedTask;
    private CancellationTokenSource hurry = new();

    public void Enqueue(IEnumerable<string> hostDevices, string? sandboxPath)
    {
        lock (gate)
        {
            devices.AddRange(hostDevices);
            if (sandboxPath is not null) sandboxes.Add(sandboxPath);
            if (work.IsCompleted && devices.Count + sandboxes.Count > 0) work = Task.Run(WorkAsync);
        }
    }

    /// <summary>Waits until everything that was enqueued is gone.</summary>
    public async Task DrainAsync()
    {
        while (true)
        {
            Task current;
            lock (gate)
            {
                if (devices.Count + sandboxes.Count == 0 && work.IsCompleted) return;
                current = work;
                hurry.Cancel();
            }

            await current;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await DrainAsync();
        hurry.Dispose();
    }

    private async Task WorkAsync()
    {
        while (true)
        {
            CancellationToken now;
            lock (gate) now = hurry.Token;
            await Task.Delay(GatherTime, now).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            List<string> links, files;
            lock (gate)
            {
                if (devices.Count + sandboxes.Count == 0)
                {
                    if (hurry.IsCancellationRequested) hurry = new CancellationTokenSource();
                    work = Task.CompletedTask;
                    return;
                }

                (links, devices, files, sandboxes) = (devices, [], sandboxes, []);
            }

            Remove(links, files);
        }
    }

    private void Remove(List<string> links, List<string> files)
    {
        try
        {
            var batch = new RouteBatch();
            foreach (var link in links) batch.SetGroup(link, group);
            batch.DeleteGroup(group);
            // A link that is gone already cannot be grouped, and an empty group not be deleted: neither is an error.
            host.Route.TryExecute(batch);
            foreach (var file in files) NetworkNamespace.Unbind(file);
        }
        catch (Exception error) when (error is HullException or IOException or UnauthorizedAccessException)
        {
            log($"cannot remove network devices: {error.Message}; the next start of the engine does");
        }
    }
}
