using System.Globalization;
using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Disks;

namespace Hull.Engine.Machines;

/// <summary>
/// Backups of machines, running or not. The first is full; later ones hold only what a dirty bitmap says was written
/// since, and stand on the one before by their backing files, so that any of them is a whole disk to whoever opens it.
/// </summary>
public sealed partial class MachineManager
{
    private const string BackupBitmap = "hull-backup";

    /// <summary>
    /// Writes a backup into a new directory below <paramref name="directory"/> and answers it. An incremental one is made
    /// when <paramref name="incremental"/> is set and the last backup there is of this machine and its disks have not been
    /// snapshotted or exchanged since; otherwise it is refused with the reason.
    /// </summary>
    public Task<MachineBackup> BackupAsync(string machine, string directory, bool incremental, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var existing = BackupsIn(directory, record.Id);
            var parent = incremental ? existing.LastOrDefault()
                ?? throw HullException.Conflict($"there is no backup of machine '{record.Config.Name}' in '{directory}' to add to: make a full one first") : null;
            var name = string.Create(CultureInfo.InvariantCulture, $"{record.Config.Name}-{_clock.GetUtcNow():yyyyMMdd'T'HHmmss'Z'}-{existing.Count}");
            var target = Directory.CreateDirectory(Path.Combine(directory, name)).FullName;
            try
            {
                await WithMonitorAsync(record, machine => BackUpDisksAsync(machine, record, target, parent, cancellationToken), cancellationToken)
                    .ConfigureAwait(false);
                var files = new Dictionary<string, BackupFile>();
                foreach (var disk in record.Config.Disks.Where(disk => !disk.Medium))
                    files.Add(disk.Id, await BackupFile.OfAsync(Path.Combine(target, disk.Id + ".qcow2"), cancellationToken).ConfigureAwait(false));
                var backup = new MachineBackup(name, record.Id, _clock.GetUtcNow(), parent?.Name, record.Config, files);
                backup.Write(target);
                return backup;
            }
            catch
            {
                Directory.Delete(target, recursive: true);
                throw;
            }
        }, cancellationToken);

    /// <summary>Verifies a backup and makes a new machine of it.</summary>
    public async Task<MachineView> RestoreBackupAsync(string backupDirectory, string name, CancellationToken cancellationToken = default)
    {
        var backup = MachineBackup.Read(backupDirectory);
        await backup.VerifyAsync(backupDirectory, cancellationToken).ConfigureAwait(false);
        return await MakeAsync(name, async directory =>
        {
            List<MachineDisk> disks = [];
            foreach (var disk in backup.Config.Disks)
            {
                if (backup.Disks.TryGetValue(disk.Id, out var file))
                {
                    await DiskImage.ConvertAsync(Path.Combine(backupDirectory, file.Name), "qcow2",
                        Path.Combine(directory, disk.Id + ".qcow2"), "qcow2", null, cancellationToken, backup.Below(backupDirectory, disk.Id)).ConfigureAwait(false);
                    disks.Add(disk with { File = disk.Id + ".qcow2", Format = "qcow2", Slot = null });
                }
                else disks.Add(disk with { Slot = null });
            }

            return backup.Config with { Disks = disks };
        }).ConfigureAwait(false);
    }

    private async Task BackUpDisksAsync(IVirtualMachine machine, MachineRecord record, string target, MachineBackup? parent,
        CancellationToken cancellationToken)
    {
        List<DiskBackup> jobs = [];
        foreach (var disk in record.Config.Disks.Where(disk => !disk.Medium))
        {
            var path = Path.Combine(target, disk.Id + ".qcow2");
            IReadOnlyList<string> below = parent?.FilesFrom(Path.Combine(Path.GetDirectoryName(target)!, parent.Name), disk.Id) ?? [];
            if (parent is null)
            {
                var source = await DiskImage.InspectAsync(Path.Combine(_store.DirectoryOf(record.Id), disk.File), disk.Format, cancellationToken).ConfigureAwait(false);
                await DiskImage.CreateAsync(path, "qcow2", source.VirtualBytes, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                if (!parent.Disks.TryGetValue(disk.Id, out var before))
                    throw HullException.Conflict($"the last backup does not hold {disk.Id}: make a full one");
                await DiskImage.CreateOverlayAsync(path, $"../{parent.Name}/{before.Name}", "qcow2", cancellationToken, below).ConfigureAwait(false);
            }

            jobs.Add(new DiskBackup(disk.Id, below.Reverse().Append(path).Aggregate((ImageDisk?)null, (lower, file) =>
                new ImageDisk(file, "qcow2", ReadOnly: file != path) { Backing = lower, IsWhole = lower is null })!));
        }

        await machine.BackupDisksAsync(jobs, BackupBitmap, incremental: parent is not null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives an operation a monitor: the machine's own, or one that holds the disks of a stopped machine without running it.</summary>
    private async Task WithMonitorAsync(MachineRecord record, Func<IVirtualMachine, Task> operation, CancellationToken cancellationToken)
    {
        if (Find(record.Id) is { } live)
        {
            await operation(live.Machine).ConfigureAwait(false);
            return;
        }

        var hypervisor = await _options.HypervisorFor(record.Config.Architecture, cancellationToken).ConfigureAwait(false);
        var runtime = Directory.CreateDirectory(RuntimeDirectoryOf(record.Id)).FullName;
        if (record.Config.Group is { } group) _options.Groups?.Prepare(group);
        try
        {
            var config = Describe(AsNew(record)) with { Nics = [], VncSocket = null };
            await using var machine = await hypervisor.LaunchAsync(config with { Disks = [.. config.Disks.Where(disk => disk.Id != "seed")] },
                LaunchOptions(record) with { ControlSocket = null }, cancellationToken).ConfigureAwait(false);
            await operation(machine).ConfigureAwait(false);
            await machine.QuitAsync(QuitTimeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            RemoveJails(record.Id);
            Directory.Delete(runtime, recursive: true);
        }
    }

    private static List<MachineBackup> BackupsIn(string directory, string machineId)
    {
        if (!Directory.Exists(directory)) return [];
        return [.. Directory.EnumerateFiles(directory, "backup.json", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
            .Select(path => MachineBackup.Read(Path.GetDirectoryName(path)!))
            .Where(backup => backup.MachineId == machineId)
            .OrderBy(backup => backup.Created)];
    }
}
