using Hull.Hypervisor.Qmp;

namespace Hull.Hypervisor.Qemu;

public sealed partial class QemuMachine
{
    private const string BackupPrefix = "backup-";
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
                    added.Add(node);
                    // The file names its backing file, but that one is open already: QEMU is to use the node it has.
                    await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(node, await PassAsync(overlay, node, cancellationToken).ConfigureAwait(false)).AddNull("backing")), cancellationToken).ConfigureAwait(false);
                    actions.Add(("blockdev-snapshot", new QemuProperties().Add("node", NodeOf(diskId)).Add("overlay", node)));
                }

                await RunAsync(QmpCommands.Transaction(actions), cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                foreach (var node in added) await DropNodeAsync(node).ConfigureAwait(false);
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
                var target = BackupPrefix + disk.DiskId;
                targets.Add(target);
                await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(target, await PassAsync(disk.Target, target, cancellationToken).ConfigureAwait(false))), cancellationToken).ConfigureAwait(false);
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
            foreach (var node in targets) await DropNodeAsync(node).ConfigureAwait(false);
        }
    }, cancellationToken);

    /// <summary>Gives a monitor in a jail the files of an image; the node is what they are found by.</summary>
    private async Task<DiskBackend> PassAsync(DiskBackend backend, string node, CancellationToken cancellationToken) =>
        !_passesFiles || backend is not ImageDisk image ? backend : await QemuFiles.PassAsync(image,
            async file => $"/dev/fdset/{await Qmp.ExecuteAsync(QmpCommands.PassFile(node), file, cancellationToken: cancellationToken).ConfigureAwait(false)}").ConfigureAwait(false);

    /// <summary>Takes a node away, where it came to be, with the files that were passed for it.</summary>
    private async Task DropNodeAsync(string node)
    {
        try
        {
            await RunAsync(QmpCommands.BlockdevDelete(node), CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind is ErrorKind.Internal or ErrorKind.NotFound)
        {
            // It was not added, or the device that went had no disk.
        }

        if (!_passesFiles) return;
        foreach (var (set, _) in (await RunAsync(QmpCommands.QueryFdSets(), CancellationToken.None).ConfigureAwait(false)).Where(one => one.Purpose == node))
            await RunAsync(QmpCommands.RemoveFd(set), CancellationToken.None).ConfigureAwait(false);
    }

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
