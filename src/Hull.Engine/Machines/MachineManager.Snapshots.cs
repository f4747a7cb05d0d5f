using System.Globalization;
using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Disks;

namespace Hull.Engine.Machines;

/// <summary>
/// VM snapshots. Taking one freezes each disk's file and puts a new qcow2 overlay on it; the frozen files form a tree by
/// their backing files, and a machine can go back to any node of it. Frozen files are never written again.
/// </summary>
public sealed partial class MachineManager
{
    /// <summary>
    /// Takes a snapshot. A running machine is paused for the moment in which its disks change over (and, with
    /// <paramref name="memory"/>, for as long as its memory is written), so that all of it is of one point in time.
    /// </summary>
    public Task<MachineSnapshot> SnapshotAsync(string machine, string name, bool memory, string description = "",
        CancellationToken cancellationToken = default) => ExclusiveAsync(machine, async record =>
    {
        if (!MachineConfig.IsName(name)) throw HullException.Invalid($"invalid snapshot name '{name}'");
        if (record.Snapshots.Any(other => other.Name == name))
            throw HullException.Exists($"machine '{record.Config.Name}' has a snapshot '{name}' already");
        if (memory && Find(record.Id) is null)
            throw HullException.Conflict($"machine '{record.Config.Name}' does not run, so it has no memory to keep: leave out --memory");
        return await TakeSnapshotAsync(record, name, memory, description, cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    /// <summary>
    /// Goes back to a snapshot. What was on the disks since the last one is lost. With memory in the snapshot the machine
    /// runs on from where it was, otherwise it stays stopped.
    /// </summary>
    public Task<MachineView> RestoreAsync(string machine, string name, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var snapshot = GetSnapshot(record, name);
            if (Find(record.Id) is { } live)
            {
                await live.Machine.StopAsync(cancellationToken).ConfigureAwait(false);
                await live.Ended.ConfigureAwait(false);
                record = _store.Get(record.Id);
            }

            var abandoned = WritableFiles(record);
            var disks = await OverlayAsync(record, snapshot, cancellationToken).ConfigureAwait(false);
            record = _store.Save(WithBackings(record, BackingsOf(record, snapshot, disks)) with
            {
                // The name is not part of what goes back: it may belong to another machine by now. Nor is the group.
                Config = snapshot.Config with { Name = record.Config.Name, Group = record.Config.Group, Disks = disks },
                Current = name,
                WantedRunning = false,
            });
            DeleteFiles(record, abandoned);
            record = _store.Get(record.Id);
            return snapshot.StateFile is not null
                ? await StartAsync(record, snapshot, cancellationToken).ConfigureAwait(false)
                : View(record);
        }, cancellationToken);

    /// <summary>
    /// Removes a snapshot. Disks that stand on its files are given what they held, so nothing is lost; that writes to
    /// disks, so the machine must not run.
    /// </summary>
    public Task RemoveSnapshotAsync(string machine, string name, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var snapshot = GetSnapshot(record, name);
            RequireStopped(record, $"remove the snapshot '{name}'");
            RequireNoLinkedClone(record);
            foreach (var (_, file) in snapshot.Disks) await MergeIntoChildrenAsync(record, file, cancellationToken).ConfigureAwait(false);
            var saved = _store.Save(_store.Get(record.Id) with
            {
                Snapshots = [.. record.Snapshots.Where(other => other.Name != name)
                    .Select(other => other.Parent == name ? other with { Parent = snapshot.Parent } : other)],
                Current = record.Current == name ? snapshot.Parent : record.Current,
            });
            DeleteFiles(saved, snapshot.StateFile is { } state ? [.. snapshot.Disks.Values, state] : [.. snapshot.Disks.Values]);
            return true;
        }, cancellationToken);

    /// <summary>
    /// Makes another machine of this one as it is now: linked, its disks stand on frozen files of the source (made in a
    /// moment, and the source cannot be removed before it), or full, with disks of its own. It gets its own MAC addresses
    /// and, at its first boot, through cloud-init its own identity.
    /// </summary>
    public Task<MachineView> CloneAsync(string machine, string name, bool linked, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, source =>
        {
            var backings = new Dictionary<string, string>();
            return MakeAsync(name, async directory =>
            {
                if (linked) await FreezeAsync(source, name, backings, cancellationToken).ConfigureAwait(false);
                else await CopyDisksAsync(source, directory, cancellationToken).ConfigureAwait(false);
                foreach (var (file, frozen) in backings)
                    await DiskImage.CreateOverlayAsync(Path.Combine(directory, file), frozen, "qcow2", cancellationToken, Below(frozen)).ConfigureAwait(false);
                return source.Config with
                {
                    Disks = [.. source.Config.Disks.Select(disk => (disk.Medium ? disk : disk with { File = disk.Id + ".qcow2", Format = "qcow2" }) with { Slot = null })],
                    // The same port of the host is not published twice.
                    Ports = [],
                };
            }, backings);
        }, cancellationToken);

    /// <summary>Takes the snapshot that a linked clone stands on, and adds its files by the clone's.</summary>
    private async Task FreezeAsync(MachineRecord source, string clone, Dictionary<string, string> backings, CancellationToken cancellationToken)
    {
        var frozen = await TakeSnapshotAsync(source, "clone-" + RandomId.New()[..8], memory: false, $"what the clone '{clone}' stands on", cancellationToken).ConfigureAwait(false);
        foreach (var (disk, file) in frozen.Disks) backings.Add(disk + ".qcow2", Path.Combine(_store.DirectoryOf(source.Id), file));
    }

    /// <summary>Writes whole copies of a machine's disks as they are now, while it runs or not.</summary>
    private async Task CopyDisksAsync(MachineRecord source, string directory, CancellationToken cancellationToken)
    {
        List<DiskBackup> jobs = [];
        foreach (var disk in source.Config.Disks.Where(disk => !disk.Medium))
        {
            var (from, to) = (Path.Combine(_store.DirectoryOf(source.Id), disk.File), Path.Combine(directory, disk.Id + ".qcow2"));
            if (Find(source.Id) is null)
            {
                await DiskImage.ConvertAsync(from, disk.Format, to, "qcow2", null, cancellationToken, Below(from)).ConfigureAwait(false);
                continue;
            }

            await DiskImage.CreateAsync(to, "qcow2", (await DiskImage.InspectAsync(from, disk.Format, cancellationToken).ConfigureAwait(false)).VirtualBytes, cancellationToken).ConfigureAwait(false);
            jobs.Add(new DiskBackup(disk.Id, new ImageDisk(to, "qcow2", ReadOnly: false)));
        }

        if (jobs.Count > 0) await RequireRunning(source).Machine.BackupDisksAsync(jobs, bitmap: null, incremental: false, cancellationToken).ConfigureAwait(false);
    }

    private async Task<MachineSnapshot> TakeSnapshotAsync(MachineRecord record, string name, bool memory, string description,
        CancellationToken cancellationToken)
    {
        var snapshot = new MachineSnapshot(name, record.Current, _clock.GetUtcNow(), description,
            record.Config.Disks.Where(disk => !disk.Medium).ToDictionary(disk => disk.Id, disk => disk.File),
            memory ? $"state-{RandomId.New()[..8]}" : null, record.Config, memory ? record.Shape : null);
        var disks = await OverlayAsync(record, snapshot, cancellationToken).ConfigureAwait(false);
        // The overlays are recorded before the change over. Should this process end in between, the machine goes on with
        // the frozen files, on which the recorded overlays stand empty: whichever it was, nothing is lost.
        record = _store.Save(WithBackings(_store.Get(record.Id), BackingsOf(record, snapshot, disks)) with { Config = record.Config with { Disks = disks } });
        try
        {
            if (Find(record.Id) is { } live) await SwitchAsync(record, live, disks, snapshot.StateFile, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _store.Save(_store.Get(record.Id) with { Config = snapshot.Config });
            DeleteFiles(record, [.. disks.Where(disk => !disk.Medium).Select(disk => disk.File)]);
            throw;
        }

        _store.Save(_store.Get(record.Id) with { Snapshots = [.. record.Snapshots, snapshot], Current = name });
        return snapshot;
    }

    private async Task SwitchAsync(MachineRecord record, Live live, IReadOnlyList<MachineDisk> disks, string? stateFile,
        CancellationToken cancellationToken)
    {
        var directory = _store.DirectoryOf(record.Id);
        var wasPaused = live.Paused;
        var switched = false;
        if (!wasPaused) await live.Machine.PauseAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (stateFile is not null)
                await live.Machine.SaveStateAsync(Path.Combine(directory, stateFile), cancellationToken).ConfigureAwait(false);
            await live.Machine.SwitchDisksAsync(disks.Where(disk => !disk.Medium).ToDictionary(disk => disk.Id,
                disk => new ImageDisk(Path.Combine(directory, disk.File), disk.Format, ReadOnly: false)), cancellationToken).ConfigureAwait(false);
            switched = true;
        }
        finally
        {
            if (!wasPaused) await ResumeAsync(live, switched).ConfigureAwait(false);
        }
    }

    /// <param name="switched">The guest may have written to its new disks: that a monitor has just ended takes nothing back.</param>
    private static async Task ResumeAsync(Live live, bool switched)
    {
        try
        {
            await live.Machine.ResumeAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException cause) when (switched && cause.Kind == ErrorKind.Unavailable)
        {
        }
    }

    /// <summary>Puts a new empty overlay on each disk of a snapshot and answers the machine's disks with them.</summary>
    private async Task<IReadOnlyList<MachineDisk>> OverlayAsync(MachineRecord record, MachineSnapshot snapshot, CancellationToken cancellationToken)
    {
        var directory = _store.DirectoryOf(record.Id);
        List<MachineDisk> disks = [];
        foreach (var disk in snapshot.Config.Disks)
        {
            if (disk.Medium)
            {
                disks.Add(disk);
                continue;
            }

            var file = string.Create(CultureInfo.InvariantCulture, $"{disk.Id}-{RandomId.New()[..8]}.qcow2");
            var frozen = Path.Combine(directory, snapshot.Disks[disk.Id]);
            await DiskImage.CreateOverlayAsync(Path.Combine(directory, file), frozen, disk.Format, cancellationToken, Below(frozen)).ConfigureAwait(false);
            disks.Add(disk with { File = file, Format = "qcow2" });
        }

        return disks;
    }

    private IEnumerable<(string File, string? Backing)> BackingsOf(MachineRecord record, MachineSnapshot snapshot, IReadOnlyList<MachineDisk> overlays) =>
        overlays.Where(disk => !disk.Medium).Select(disk => (disk.File, (string?)Path.Combine(_store.DirectoryOf(record.Id), snapshot.Disks[disk.Id])));

    /// <summary>Copies what a frozen file holds into those that stand on it, and lets them stand on its own parent.</summary>
    private async Task MergeIntoChildrenAsync(MachineRecord record, string file, CancellationToken cancellationToken)
    {
        var directory = _store.DirectoryOf(record.Id);
        var path = Path.Combine(directory, file);
        var parent = BackingOf(path);
        foreach (var child in (record.Backings ?? new Dictionary<string, string>()).Where(pair => pair.Value == path).Select(pair => pair.Key))
        {
            await DiskImage.RebaseAsync(Path.Combine(directory, child), parent, Below(Path.Combine(directory, child)), cancellationToken).ConfigureAwait(false);
            _store.Save(WithBackings(_store.Get(record.Id), [(child, parent)]));
        }
    }

    private static MachineSnapshot GetSnapshot(MachineRecord record, string name) =>
        record.Snapshots.FirstOrDefault(snapshot => snapshot.Name == name)
        ?? throw HullException.NotFound($"machine '{record.Config.Name}' has no snapshot '{name}'");

    /// <summary>Files only the present state of the machine uses.</summary>
    private static List<string> WritableFiles(MachineRecord record) =>
    [
        .. record.Config.Disks.Where(disk => !disk.Medium).Select(disk => disk.File)
            .Where(file => !record.Snapshots.Any(snapshot => snapshot.Disks.Values.Contains(file))),
    ];

    private void DeleteFiles(MachineRecord record, IReadOnlyList<string> files)
    {
        foreach (var file in files) File.Delete(Path.Combine(_store.DirectoryOf(record.Id), file));
        _store.Save(WithBackings(_store.Get(record.Id), files.Select(file => (file, (string?)null))));
    }

    private void RequireNoLinkedClone(MachineRecord record)
    {
        var directory = _store.DirectoryOf(record.Id) + "/";
        foreach (var other in _store.All.Where(other => other.Id != record.Id))
        {
            if (other.Backings?.Values.Any(backing => backing.StartsWith(directory, StringComparison.Ordinal)) == true)
                throw HullException.Conflict($"machine '{other.Config.Name}' is a linked clone of '{record.Config.Name}': remove it first");
        }
    }
}
