using Hull.Hypervisor.Qmp;

namespace Hull.Hypervisor.Qemu;

public sealed partial class QemuMachine
{
    private static readonly TimeSpan JobPollInterval = TimeSpan.FromMilliseconds(20);

    public Task SwitchDisksAsync(IReadOnlyDictionary<string, ImageDisk> overlays, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(async () =>
        {
            List<string> added = [];
            try
            {
                List<(string, QemuProperties)> actions = [];
                foreach (var (diskId, overlay) in overlays)
                {
                    var node = QemuDevices.NodeName(diskId, _generations.GetValueOrDefault(diskId) + 1);
                    // The file names its backing file, but that one is open already: QEMU is to use the node it has.
                    await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(node, overlay).AddNull("backing")), cancellationToken).ConfigureAwait(false);
                    added.Add(node);
                    actions.Add(("blockdev-snapshot", new QemuProperties().Add("node", NodeOf(diskId)).Add("overlay", node)));
                }

                await RunAsync(QmpCommands.Transaction(actions), cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                foreach (var node in added) await RunAsync(QmpCommands.BlockdevDelete(node), CancellationToken.None).ConfigureAwait(false);
                throw;
            }

            foreach (var diskId in overlays.Keys) _generations[diskId] = _generations.GetValueOrDefault(diskId) + 1;
        }, cancellationToken);

    public Task BackupDisksAsync(IReadOnlyList<DiskBackup> disks, string? bitmap, bool incremental,
        CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        _capabilities.Demand(HypervisorFeature.DirtyBitmaps);
        List<string> targets = [];
        try
        {
            List<(string, QemuProperties)> actions = [];
            foreach (var disk in disks)
            {
                var target = "backup-" + disk.DiskId;
                await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(target, disk.Target)), cancellationToken).ConfigureAwait(false);
                targets.Add(target);
                if (bitmap is not null) await PrepareBitmapAsync(NodeOf(disk.DiskId), bitmap, incremental, cancellationToken).ConfigureAwait(false);
                var job = new BackupJob(target, NodeOf(disk.DiskId), target, incremental ? "incremental" : "full", incremental ? bitmap : null);
                actions.Add(("blockdev-backup", job.ToProperties()));
                if (bitmap is not null && !incremental)
                    actions.Add(("block-dirty-bitmap-add", QmpCommands.Bitmap(NodeOf(disk.DiskId), bitmap).Add("persistent", true)));
            }

            await RunAsync(QmpCommands.Transaction(actions), cancellationToken).ConfigureAwait(false);
            foreach (var job in targets) await WaitForJobAsync(job, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var node in targets) await RunAsync(QmpCommands.BlockdevDelete(node), CancellationToken.None).ConfigureAwait(false);
        }
    }, cancellationToken);

    /// <summary>A full copy begins the bitmap anew; an incremental one cannot do without it.</summary>
    private async Task PrepareBitmapAsync(string node, string bitmap, bool needed, CancellationToken cancellationToken)
    {
        var present = await RunAsync(QmpCommands.QueryBitmaps(node), cancellationToken).ConfigureAwait(false);
        var found = present.FirstOrDefault(one => one.Name == bitmap);
        if (needed && found is not { Inconsistent: false })
        {
            throw HullException.Conflict($"machine {Config.Id} does not know what was written since its last backup " +
                (found is null ? "(its disks were exchanged or snapshotted)" : "(it was not shut down in order)") + ": make a full backup");
        }

        if (!needed && found is not null) await RunAsync(QmpCommands.BlockDirtyBitmapRemove(node, bitmap), cancellationToken).ConfigureAwait(false);
    }

    private async Task WaitForJobAsync(string id, CancellationToken cancellationToken)
    {
        while (true)
        {
            var jobs = await RunAsync(QmpCommands.QueryJobs(), cancellationToken).ConfigureAwait(false);
            var job = jobs.FirstOrDefault(one => one.Id == id) ?? throw HullException.Internal($"job {id} of machine {Config.Id} vanished");
            if (job.Status == "concluded")
            {
                await RunAsync(QmpCommands.JobDismiss(id), cancellationToken).ConfigureAwait(false);
                if (job.Error is not null) throw HullException.Internal($"copying a disk of machine {Config.Id} failed: {job.Error}");
                return;
            }

            await Task.Delay(JobPollInterval, cancellationToken).ConfigureAwait(false);
        }
    }
}
