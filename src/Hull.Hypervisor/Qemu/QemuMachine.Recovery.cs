using Hull.Hypervisor.Qmp;

namespace Hull.Hypervisor.Qemu;

/// <content>A monitor whose earlier user ended in the middle of an operation.</content>
public sealed partial class QemuMachine
{
    /// <summary>
    /// Takes back what another process had begun with this monitor and did not finish: a state that is being written, copies
    /// of disks, and images that were opened and not used. Left there, they would be in the way of the next operation.
    /// </summary>
    internal Task AbandonOperationsAsync(CancellationToken cancellationToken) => ExclusiveAsync(async () =>
    {
        // Of no effect where nothing is being saved.
        await RunAsync(QmpCommands.MigrateCancel(), cancellationToken).ConfigureAwait(false);
        foreach (var job in await RunAsync(QmpCommands.QueryJobs(), cancellationToken).ConfigureAwait(false))
            await AbandonJobAsync(job.Id, cancellationToken).ConfigureAwait(false);
        foreach (var node in await RunAsync(QmpCommands.QueryNodeNames(), cancellationToken).ConfigureAwait(false))
        {
            if (!IsOwnNode(node)) continue;
            try
            {
                // What a device or another image uses is refused (blockdev.c, qmp_blockdev_del).
                await RunAsync(QmpCommands.BlockdevDelete(node), cancellationToken).ConfigureAwait(false);
            }
            catch (HullException cause) when (cause.Kind is ErrorKind.Internal or ErrorKind.NotFound)
            {
                // It is used.
            }
        }

        var left = await RunAsync(QmpCommands.QueryNodeNames(), cancellationToken).ConfigureAwait(false);
        foreach (var (set, purpose) in await RunAsync(QmpCommands.QueryFdSets(), cancellationToken).ConfigureAwait(false))
            // Files of the start have no purpose.
            if (purpose.Length > 0 && !left.Contains(purpose)) await RunAsync(QmpCommands.RemoveFd(set), cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    private static bool IsOwnNode(string node) =>
        node.StartsWith(QemuDevices.NodeName(""), StringComparison.Ordinal) || node.StartsWith(BackupPrefix, StringComparison.Ordinal);

    private async Task AbandonJobAsync(string id, CancellationToken cancellationToken)
    {
        for (var cancelled = false; ; cancelled = true)
        {
            var job = (await RunAsync(QmpCommands.QueryJobs(), cancellationToken).ConfigureAwait(false)).FirstOrDefault(one => one.Id == id);
            if (job is null) return;
            if (job.Status == "concluded")
            {
                await RunAsync(QmpCommands.JobDismiss(id), cancellationToken).ConfigureAwait(false);
                return;
            }

            if (!cancelled) await CancelJobAsync(id, cancellationToken).ConfigureAwait(false);
            await Task.Delay(JobPollInterval, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task CancelJobAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await RunAsync(QmpCommands.BlockJobCancel(id), cancellationToken).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind is ErrorKind.Internal or ErrorKind.NotFound or ErrorKind.Conflict)
        {
            // It has just ended.
        }
    }
}
