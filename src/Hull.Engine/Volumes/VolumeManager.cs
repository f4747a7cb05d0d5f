using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Files;

namespace Hull.Engine.Volumes;

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(VolumeRecord))]
[JsonSerializable(typeof(VolumeSnapshot))]
[JsonSerializable(typeof(VolumeUsers))]
internal sealed partial class VolumeJson : JsonSerializerContext;

/// <summary>Workloads that have a volume mounted, with the boot they belong to.</summary>
internal sealed record VolumeUsers(string BootId, List<string> Workloads);

/// <summary>
/// Volumes below one directory: <c>NAME/volume.json</c>, the content in <c>NAME/_data</c>, <c>NAME/disk.ext4</c> for a
/// volume with a size, <c>NAME/snapshots</c>. A directory without its document is an interrupted creation or removal and is
/// cleared at the start.
/// </summary>
public sealed partial class VolumeManager : IVolumeManager
{
    private readonly string root;
    private readonly TimeProvider clock;
    private readonly string bootId = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
    private readonly Lock gate = new();
    private readonly Dictionary<string, Volume> volumes = [];

    private sealed class Volume(VolumeRecord record, VolumeOptions options)
    {
        public VolumeRecord Record { get; } = record;

        public VolumeOptions Options { get; } = options;

        public HashSet<string> Holders { get; } = [];

        public HashSet<string> Users { get; } = [];

        /// <summary>One operation on the volume's content or mounts at a time.</summary>
        public SemaphoreSlim Gate { get; } = new(1, 1);

        public bool Removed { get; set; }
    }

    /// <param name="directory">Where volumes are kept, such as <c>/var/lib/hull/volumes</c>; made where it is missing.</param>
    /// <param name="log">Receives one line for each volume that cannot be used.</param>
    public VolumeManager(string directory, TimeProvider? clock = null, Action<string>? log = null)
    {
        (root, this.clock) = (Path.GetFullPath(directory), clock ?? TimeProvider.System);
        Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var path in Directory.EnumerateDirectories(root)) Load(path, log ?? (_ => { }));
    }

    public VolumeRecord Get(string name)
    {
        lock (gate) return Find(name).Record;
    }

    public IReadOnlyList<VolumeRecord> List()
    {
        lock (gate) return [.. volumes.Values.Select(v => v.Record).OrderBy(v => v.Name, StringComparer.Ordinal)];
    }

    public Task<VolumeRecord> CreateAsync(VolumeRequest request, CancellationToken cancellationToken)
    {
        if (request.Driver is not ("" or "local")) throw HullException.Unsupported($"no volume driver '{request.Driver}': there is local");
        var name = request.Name.Length > 0 ? request.Name : RandomId.New();
        CheckName(name, "volume name");
        var options = VolumeOptions.Parse(request.Options);
        lock (gate)
        {
            if (volumes.TryGetValue(name, out var existing))
            {
                if (request.Options.Count > 0 && !Same(request.Options, existing.Record.Options)) throw HullException.Conflict($"volume '{name}' exists with other options: remove it or choose another name");
                return Task.FromResult(existing.Record);
            }

            var record = new VolumeRecord
            {
                Name = name, Driver = "local", Mountpoint = Path.Combine(root, name, "_data"), CreatedAt = clock.GetUtcNow(),
                Options = request.Options, Labels = request.Labels, Anonymous = request.Anonymous,
            };
            Make(record, options);
            volumes.Add(name, new Volume(record, options));
            return Task.FromResult(record);
        }
    }

    public async Task RemoveAsync(string name, bool force, CancellationToken cancellationToken)
    {
        Volume volume;
        lock (gate)
        {
            if (force && !volumes.ContainsKey(name)) return;
            volume = Find(name);
        }

        await RemoveAsync(volume, cancellationToken).ConfigureAwait(false);
    }

    public async Task<PruneResult> PruneAsync(Func<VolumeRecord, bool> filter, CancellationToken cancellationToken)
    {
        List<Volume> unused;
        lock (gate) unused = [.. volumes.Values.Where(v => v.Holders.Count == 0 && filter(v.Record))];
        var (removed, reclaimed) = (new List<string>(), 0L);
        foreach (var volume in unused)
        {
            try
            {
                var size = await SizeAsync(volume.Record.Name, cancellationToken).ConfigureAwait(false);
                await RemoveAsync(volume, cancellationToken).ConfigureAwait(false);
                removed.Add(volume.Record.Name);
                reclaimed += size;
            }
            catch (HullException error) when (error.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
            {
                // Somebody took it, or removed it, since the list was made.
            }
        }

        return new PruneResult(removed, reclaimed);
    }

    public void Hold(string name, string workloadId)
    {
        lock (gate) Find(name).Holders.Add(workloadId);
    }

    public void Release(string name, string workloadId)
    {
        lock (gate) volumes.GetValueOrDefault(name)?.Holders.Remove(workloadId);
    }

    public IReadOnlyList<string> HoldersOf(string name)
    {
        lock (gate) return [.. Find(name).Holders];
    }

    public async Task<string> MountAsync(string name, string workloadId, CancellationToken cancellationToken)
    {
        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        var volume = use.Volume;
        if (!volume.Options.NeedsMount) return volume.Record.Mountpoint;
        await Task.Run(() => MountIfNeeded(volume), cancellationToken).ConfigureAwait(false);
        if (volume.Users.Add(workloadId)) SaveUsers(volume);
        return volume.Record.Mountpoint;
    }

    public async Task UnmountAsync(string name, string workloadId, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (!volumes.ContainsKey(name)) return;
        }

        using var use = await UseAsync(name, cancellationToken).ConfigureAwait(false);
        var volume = use.Volume;
        if (!volume.Users.Remove(workloadId)) return;
        SaveUsers(volume);
        await Task.Run(() => UnmountIfUnused(volume), cancellationToken).ConfigureAwait(false);
    }

    private async Task RemoveAsync(Volume volume, CancellationToken cancellationToken)
    {
        var name = volume.Record.Name;
        await volume.Gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            lock (gate)
            {
                if (volume.Removed) throw HullException.NotFound($"no volume '{name}'");
                if (volume.Holders.Count > 0) throw HullException.Conflict($"volume '{name}' is in use by {string.Join(", ", volume.Holders.Select(RandomId.Short))}: remove them first");
                volume.Removed = true;
                volumes.Remove(name);
            }

            volume.Users.Clear();
            await Task.Run(() =>
            {
                try
                {
                    UnmountIfUnused(volume);
                }
                catch
                {
                    lock (gate) (volumes[name], volume.Removed) = (volume, false);
                    throw;
                }

                Clear(Path.Combine(root, name));
            }, CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            volume.Gate.Release();
        }
    }

    /// <summary>A volume locked for one operation.</summary>
    private sealed record Use(Volume Volume) : IDisposable
    {
        public void Dispose() => Volume.Gate.Release();
    }

    private async Task<Use> UseAsync(string name, CancellationToken cancellationToken)
    {
        Volume volume;
        lock (gate) volume = Find(name);
        await volume.Gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (!volume.Removed) return new Use(volume);
        volume.Gate.Release();
        throw HullException.NotFound($"no volume '{name}'");
    }

    /// <summary>Call under the lock.</summary>
    private Volume Find(string name) => volumes.GetValueOrDefault(name) ?? throw HullException.NotFound($"no volume '{name}'");

    private void Make(VolumeRecord record, VolumeOptions options)
    {
        var directory = Path.Combine(root, record.Name);
        const UnixFileMode traverse = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(directory, traverse);
        try
        {
            Directory.CreateDirectory(record.Mountpoint, traverse | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            if (options.HasDisk) VolumeMounts.MakeDisk(DiskOf(record), options.Size);
            AtomicFile.WriteJson(Path.Combine(directory, "volume.json"), record, VolumeJson.Default.VolumeRecord);
        }
        catch
        {
            Clear(directory);
            throw;
        }
    }

    /// <summary>The document goes first: what is left after an interruption is no volume any more.</summary>
    private static void Clear(string directory)
    {
        AtomicFile.Delete(Path.Combine(directory, "volume.json"));
        using var parent = RootDirectory.Open(Path.GetDirectoryName(directory)!, RootScope.Beneath);
        parent.RemoveTree(Path.GetFileName(directory));
    }

    private void Load(string directory, Action<string> log)
    {
        try
        {
            var record = AtomicFile.TryReadJson(Path.Combine(directory, "volume.json"), VolumeJson.Default.VolumeRecord);
            if (record is null)
            {
                if (!VolumeMounts.IsMounted(Path.Combine(directory, "_data"))) Clear(directory);
                return;
            }

            var volume = new Volume(record with { Mountpoint = Path.Combine(directory, "_data") }, VolumeOptions.Parse(record.Options));
            if (AtomicFile.TryReadJson(Path.Combine(directory, "users.json"), VolumeJson.Default.VolumeUsers) is { } users && users.BootId == bootId)
                volume.Users.UnionWith(users.Workloads);
            volumes.Add(record.Name, volume);
        }
        catch (HullException error)
        {
            log($"volume {Path.GetFileName(directory)} is not usable: {error.FullMessage}");
        }
    }

    private void MountIfNeeded(Volume volume)
    {
        // Never twice: two loop devices on one file destroy its file system.
        if (volume.Options.NeedsMount && !VolumeMounts.IsMounted(volume.Record.Mountpoint))
            VolumeMounts.Mount(volume.Options, DiskOf(volume.Record), volume.Record.Mountpoint);
    }

    private static void UnmountIfUnused(Volume volume)
    {
        if (volume.Options.NeedsMount && volume.Users.Count == 0 && VolumeMounts.IsMounted(volume.Record.Mountpoint)) VolumeMounts.Unmount(volume.Record.Mountpoint);
    }

    private void SaveUsers(Volume volume) => AtomicFile.WriteJson(Path.Combine(root, volume.Record.Name, "users.json"),
        new VolumeUsers(bootId, [.. volume.Users]), VolumeJson.Default.VolumeUsers, durable: false);

    private string DiskOf(VolumeRecord record) => Path.Combine(root, record.Name, "disk.ext4");

    private static void CheckName(string name, string what)
    {
        if (name.Length is 0 or > 128 || !char.IsAsciiLetterOrDigit(name[0]) || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-')))
            throw HullException.Invalid($"invalid {what} '{name}': 1 to 128 of [a-zA-Z0-9_.-], beginning with a letter or digit");
    }

    private static bool Same(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out var value) && value == pair.Value);
}
