using Hull.Core;
using Hull.Engine.Files;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Archives;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Volumes;

/// <content>Sizes, snapshots, clones, backups.</content>
public sealed partial class VolumeManager
{
    public async Task<long> SizeAsync(string name, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        var volume = use.Volume;
        return await Task.Run(() =>
        {
            // What is mounted from elsewhere (nfs, a bind, a tmpfs) takes nothing of this disk.
            if (volume.Options.Type is not null) return 0;
            if (!volume.Options.HasDisk) return VolumeTree.Measure(volume.Record.Mountpoint, cancellationToken);
            using var directory = RootDirectory.Open(Path.Combine(root, name), RootScope.Beneath);
            return directory.Stat("disk.ext4").AllocatedSize;
        }, cancellationToken).ConfigureAwait(false);
    }

    public IReadOnlyList<VolumeSnapshot> Snapshots(string name)
    {
        lock (gate) Find(name);
        var directory = Path.Combine(root, name, "snapshots");
        if (!Directory.Exists(directory)) return [];
        return [.. Directory.EnumerateDirectories(directory)
            .Select(path => AtomicFile.TryReadJson(Path.Combine(path, "snapshot.json"), VolumeJson.Default.VolumeSnapshot))
            .OfType<VolumeSnapshot>().OrderBy(s => s.CreatedAt).ThenBy(s => s.Name, StringComparer.Ordinal)];
    }

    public async Task<VolumeSnapshot> SnapshotAsync(string name, string snapshot, CancellationToken cancellationToken)
    {
        CheckName(snapshot, "snapshot name");
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        var directory = SnapshotDirectory(name, snapshot);
        if (File.Exists(Path.Combine(directory, "snapshot.json"))) throw HullException.Exists($"volume '{name}' already has a snapshot '{snapshot}'");
        return await Task.Run(() =>
        {
            Directory.CreateDirectory(Path.Combine(directory, "data"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            try
            {
                WithContent(use.Volume, content => VolumeTree.Copy(content, Path.Combine(directory, "data"), cancellationToken));
                var made = new VolumeSnapshot(name, snapshot, clock.GetUtcNow(), VolumeTree.Measure(Path.Combine(directory, "data"), cancellationToken));
                AtomicFile.WriteJson(Path.Combine(directory, "snapshot.json"), made, VolumeJson.Default.VolumeSnapshot);
                return made;
            }
            catch
            {
                RemoveSnapshotDirectory(name, snapshot);
                throw;
            }
        }, cancellationToken).ConfigureAwait(false);
    }

    public async Task RollBackAsync(string name, string snapshot, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        RequireSnapshot(name, snapshot);
        var volume = use.Volume;
        lock (gate)
        {
            // A plain directory has no mounts to count: whoever holds it may be running.
            if (volume.Users.Count > 0 || (!volume.Options.NeedsMount && volume.Holders.Count > 0))
                throw HullException.Conflict($"volume '{name}' is in use: stop and remove what uses it, then roll back");
        }

        await Task.Run(() => WithContent(volume, content =>
        {
            using (var directory = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, content, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY), $"open {content}"))
                TreeRemover.Empty(directory, content);
            VolumeTree.Copy(Path.Combine(SnapshotDirectory(name, snapshot), "data"), content, cancellationToken);
        }), cancellationToken).ConfigureAwait(false);
    }

    public async Task RemoveSnapshotAsync(string name, string snapshot, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        RequireSnapshot(name, snapshot);
        await Task.Run(() => RemoveSnapshotDirectory(name, snapshot), cancellationToken).ConfigureAwait(false);
    }

    public async Task<VolumeRecord> CloneAsync(string source, string? snapshot, VolumeRequest request, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(source, cancellationToken).ConfigureAwait(false);
        if (snapshot is not null) RequireSnapshot(source, snapshot);
        return await FillNewAsync(request, target =>
        {
            if (snapshot is not null) VolumeTree.Copy(Path.Combine(SnapshotDirectory(source, snapshot), "data"), target, cancellationToken);
            else WithContent(use.Volume, content => VolumeTree.Copy(content, target, cancellationToken));
            return Task.CompletedTask;
        }, cancellationToken).ConfigureAwait(false);
    }

    public async Task BackUpAsync(string name, Stream destination, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        await Task.Run(() => WithContent(use.Volume, content =>
        {
            using var directory = RootDirectory.Open(content);
            ArchiveReader.WriteTree(directory.Descriptor.Value, destination, cancellationToken);
        }), cancellationToken).ConfigureAwait(false);
    }

    public Task<VolumeRecord> RestoreAsync(VolumeRequest request, Stream archive, CancellationToken cancellationToken) =>
        FillNewAsync(request, async target =>
        {
            using var directory = RootDirectory.Open(target);
            var request = new ExtractRequest("/", NoOverwriteDirNonDir: false, CopyOwner: true, RequireEnd: true);
            await ArchiveInput.ExtractAsync(directory.Descriptor.Value, request, archive, cancellationToken).ConfigureAwait(false);
        }, cancellationToken);

    /// <summary>Makes a volume and fills it; a failure leaves none.</summary>
    private async Task<VolumeRecord> FillNewAsync(VolumeRequest request, Func<string, Task> fill, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (volumes.ContainsKey(request.Name)) throw HullException.Exists($"volume '{request.Name}' already exists");
        }

        var record = await CreateAsync(request, cancellationToken).ConfigureAwait(false);
        try
        {
            using var use = await UseAsync(record.Name, cancellationToken).ConfigureAwait(false);
            await Task.Run(() => WithContentAsync(use.Volume, fill), cancellationToken).ConfigureAwait(false);
            return record;
        }
        catch
        {
            await RemoveAsync(record.Name, force: true, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private void WithContent(Volume volume, Action<string> work) => WithContentAsync(volume, content =>
    {
        work(content);
        return Task.CompletedTask;
    }).GetAwaiter().GetResult();

    /// <summary>Runs work on the content, mounted for it where it has to be. Call with the volume locked.</summary>
    private async Task WithContentAsync(Volume volume, Func<string, Task> work)
    {
        MountIfNeeded(volume);
        try
        {
            await work(volume.Record.Mountpoint).ConfigureAwait(false);
        }
        finally
        {
            UnmountIfUnused(volume);
        }
    }

    private string SnapshotDirectory(string name, string snapshot) => Path.Combine(root, name, "snapshots", snapshot);

    private void RequireSnapshot(string name, string snapshot)
    {
        CheckName(snapshot, "snapshot name");
        if (!File.Exists(Path.Combine(SnapshotDirectory(name, snapshot), "snapshot.json"))) throw HullException.NotFound($"volume '{name}' has no snapshot '{snapshot}'");
    }

    private void RemoveSnapshotDirectory(string name, string snapshot)
    {
        AtomicFile.Delete(Path.Combine(SnapshotDirectory(name, snapshot), "snapshot.json"));
        using var directory = RootDirectory.Open(Path.Combine(root, name, "snapshots"), RootScope.Beneath);
        directory.RemoveTree(snapshot);
    }
}
