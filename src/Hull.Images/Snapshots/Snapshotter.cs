using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>What all three snapshotters have in common: layers, committed snapshots, and the bookkeeping of active ones.</summary>
public abstract class Snapshotter : ISnapshotter
{
    private readonly TimeProvider _time;

    private protected Snapshotter(string name, string root, TimeProvider? time, Func<SnapshotCatalog, ILayerStore> layers)
    {
        Name = name;
        _time = time ?? TimeProvider.System;
        Catalog = new SnapshotCatalog(Path.GetFullPath(root));
        LayerStore = layers(Catalog);
    }

    public string Name { get; }

    public abstract SnapshotCapabilities Capabilities { get; }

    private protected SnapshotCatalog Catalog { get; }

    private protected ILayerStore LayerStore { get; }

    public bool HasLayer(Digest diffId) => LayerStore.Has(diffId);

    public async Task<LayerInfo> WriteLayerAsync(Digest diffId, Func<CancellationToken, ValueTask<Stream>> tar, UnpackLimits limits,
        bool flush = true, CancellationToken cancellation = default)
    {
        if (LayerStore.Has(diffId)) return LayerStore.Read(diffId).ToInfo();
        using var taken = await StoreLock.TakeAsync(Catalog.LayerLock(diffId), () => LayerStore.Has(diffId), cancellation).ConfigureAwait(false);
        if (taken is null || LayerStore.Has(diffId)) return LayerStore.Read(diffId).ToInfo();
        // Unpacking waits for nothing but the disk and its own stream, and opening that may wait for the first bytes of a
        // download that the caller is about to start: it has a thread to itself from there on.
        var work = new Task<LayerRecord>(() =>
        {
            using var stream = tar(cancellation).AsTask().GetAwaiter().GetResult();
            return LayerStore.Write(diffId, stream, limits, flush, cancellation);
        }, TaskCreationOptions.LongRunning);
        work.Start(TaskScheduler.Default);
        return (await work.ConfigureAwait(false)).ToInfo();
    }

    public void Commit(ChainId chain, ChainId? parent, Digest diffId)
    {
        if (ChainId.Of(parent, diffId) != chain) throw HullException.Invalid($"{chain} is not the chain ID of {diffId} on {parent?.ToString() ?? "nothing"}");
        using var taken = Catalog.Lock();
        if (Catalog.FindCommitted(chain) is not null) return;
        if (!LayerStore.Has(diffId)) throw HullException.NotFound($"layer {diffId} is not unpacked");
        if (parent is { } below && Catalog.FindCommitted(below) is null) throw HullException.NotFound($"snapshot {below} does not exist");
        Catalog.AddCommitted(new SnapshotRecord
        {
            Key = chain.ToString(), Kind = SnapshotKind.Committed, Parent = parent?.ToString(), Layer = diffId,
            Correction = parent is { } under ? MakeCorrection(under, diffId) : null, Created = _time.GetUtcNow(),
        });
    }

    public SnapshotInfo Prepare(string key, ChainId? parent, PrepareOptions? options = null) =>
        Add(key, SnapshotKind.Active, parent, directory => FillActive(directory, parent, options ?? new PrepareOptions()));

    public SnapshotInfo View(string key, ChainId parent) =>
        Add(key, SnapshotKind.View, parent, directory => FillView(directory, parent));

    public SnapshotInfo? Find(string key) => Catalog.Find(key)?.ToInfo();

    public IReadOnlyList<SnapshotInfo> List() => [.. Catalog.List().Select(record => record.ToInfo())];

    public IReadOnlyList<LayerInfo> Layers() => [.. LayerStore.List().Select(diffId => LayerStore.Read(diffId).ToInfo())];

    public abstract IReadOnlyList<SnapshotMount> Mounts(string key);

    public void Mount(string key, string target)
    {
        using var directory = RootDirectory.Open(target);
        if (IsMountedAt(key, target)) return;
        using var mount = SnapshotMounter.Create(Mounts(key)[0]);
        mount.AttachTo(directory.Descriptor, target);
    }

    public virtual IReadOnlyList<LayerFile> LayerFiles(string key)
    {
        if (Capabilities.WhyNoLayerFiles is { } reason) throw HullException.Unsupported(reason);
        return [.. LayersOf(Require(key)).Reverse().Select(diffId => LayerStore.File(diffId)!)];
    }

    public abstract RootDirectory OpenTree(string key);

    public abstract string? WritableDirectory(string key);

    public SnapshotUsage Usage(string key)
    {
        var record = Require(key);
        if (record.Kind != SnapshotKind.Committed) return WritableDirectory(key) is { } path ? TreeUsage.Of(path) : new SnapshotUsage(0, 0);
        var layer = LayerStore.Read(record.Layer!.Value);
        return new SnapshotUsage(layer.Size, layer.Entries);
    }

    public abstract Task<IReadOnlyList<SnapshotChange>> ChangesAsync(string key, CancellationToken cancellation = default);

    public abstract Task DiffAsync(string key, Stream output, CancellationToken cancellation = default);

    public void Remove(string key)
    {
        using var taken = Catalog.Lock();
        if (Catalog.Find(key) is not { } record) return;
        if (record.Kind == SnapshotKind.Committed) RemoveCommitted(record);
        else
        {
            var path = Catalog.ActiveDirectory(key);
            DetachMounts(path);
            Catalog.Discard(path);
        }
    }

    public void RemoveLayer(Digest diffId)
    {
        using var taken = Catalog.Lock();
        if (Catalog.List().Find(record => record.Layer == diffId || record.Correction == diffId) is { } user)
            throw HullException.Conflict($"layer {diffId.Short} is part of snapshot {user.Key}");
        using var layer = FileLock.TryAcquire(Catalog.LayerLock(diffId)) ?? throw HullException.Conflict($"layer {diffId.Short} is being unpacked");
        LayerStore.Remove(diffId);
        File.Delete(Catalog.LayerLock(diffId));
    }

    public void FlushLayer(Digest diffId)
    {
        using var layer = FileLock.Acquire(Catalog.LayerLock(diffId));
        if (LayerStore.Has(diffId)) LayerStore.Flush(diffId);
    }

    public void ForgetLayer(Digest diffId)
    {
        using var layer = FileLock.Acquire(Catalog.LayerLock(diffId));
        LayerStore.Remove(diffId);
    }

    public IReadOnlyList<string> Verify()
    {
        using var taken = Catalog.Lock();
        var problems = new List<string>();
        var records = Catalog.List();
        var committed = records.Where(record => record.Kind == SnapshotKind.Committed).Select(record => record.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var record in records)
        {
            if (record.Parent is { } parent && !committed.Contains(parent)) problems.Add($"snapshot {record.Key} stands on {parent}, which does not exist");
            if (record.Correction is { } correction && !LayerStore.Has(correction)) problems.Add($"snapshot {record.Key} needs layer {correction}, which is not there");
            if (record.Layer is { } layer && !LayerStore.Has(layer)) problems.Add($"snapshot {record.Key} is of layer {layer}, which is not unpacked");
        }

        foreach (var diffId in LayerStore.List()) AddLayerProblems(diffId, problems);
        return problems;
    }

    public string? CompareLayer(Digest diffId, Stream tar, UnpackLimits limits, CancellationToken cancellation = default) =>
        LayerStore.Compare(diffId, tar, limits, cancellation);

    public void Recover()
    {
        using var taken = Catalog.Lock();
        foreach (var path in Directory.EnumerateFileSystemEntries(Catalog.IngestDirectory))
        {
            // Whoever writes a layer holds its lock, but the name does not say which: what was written to in the last
            // minutes may be alive.
            if (_time.GetUtcNow() - new DateTimeOffset(File.GetLastWriteTimeUtc(path)) > TimeSpan.FromHours(1)) Catalog.Discard(path);
        }

        Catalog.EmptyTrash();
    }

    /// <summary>Makes the content of an active snapshot's directory.</summary>
    private protected abstract void FillActive(string directory, ChainId? parent, PrepareOptions options);

    private protected virtual void FillView(string directory, ChainId parent)
    {
    }

    /// <summary>See <see cref="SnapshotRecord.Correction"/>; null where none is needed.</summary>
    private protected virtual Digest? MakeCorrection(ChainId parent, Digest diffId) => null;

    private protected SnapshotRecord Require(string key) =>
        Catalog.Find(key) ?? throw HullException.NotFound($"snapshot {key} does not exist");

    private protected SnapshotRecord RequireActive(string key) => Require(key) is { Kind: not SnapshotKind.Committed } record
        ? record
        : throw HullException.Invalid($"snapshot {key} is committed: prepare an active one or a view of it");

    /// <summary>The layers a snapshot stands on, topmost first; none below one that hides all below it.</summary>
    private protected IEnumerable<Digest> LayersOf(SnapshotRecord record)
    {
        var next = record.Kind == SnapshotKind.Committed ? record.Key : record.Parent;
        while (next is not null)
        {
            var committed = Catalog.FindCommitted(ChainId.Parse(next))
                ?? throw HullException.Corrupted($"snapshot {record.Key} stands on {next}, which does not exist: pull or unpack the image again");
            if (committed.Correction is { } correction) yield return correction;
            yield return committed.Layer!.Value;
            next = LayerStore.Read(committed.Layer.Value).RootIsOpaque ? null : committed.Parent;
        }
    }

    /// <summary>Whether the mount is one of the snapshot's that lives at <paramref name="path"/>.</summary>
    private protected static bool IsOf(MountEntry mount, string path) =>
        mount.Root.StartsWith(path + "/", StringComparison.Ordinal)
        || mount.SuperOptions.Contains("upperdir=" + path + "/", StringComparison.Ordinal)
        || mount.Source == "hull-" + Path.GetFileName(path);

    private SnapshotInfo Add(string key, SnapshotKind kind, ChainId? parent, Action<string> fill)
    {
        SnapshotCatalog.CheckKey(key);
        var record = new SnapshotRecord { Key = key, Kind = kind, Parent = parent?.ToString(), Created = _time.GetUtcNow() };
        using var taken = Catalog.Lock();
        if (parent is { } below && Catalog.FindCommitted(below) is null) throw HullException.NotFound($"snapshot {below} does not exist: unpack the image first");
        Catalog.AddActive(record, fill);
        return record.ToInfo();
    }

    private void RemoveCommitted(SnapshotRecord record)
    {
        if (Catalog.List().Find(other => other.Parent == record.Key) is { } user)
            throw HullException.Conflict($"snapshot {record.Key} is in use by {user.Key}");
        Catalog.RemoveCommitted(ChainId.Parse(record.Key));
    }

    private void AddLayerProblems(Digest diffId, List<string> problems)
    {
        try
        {
            var record = LayerStore.Read(diffId);
            if (record.DiffId != diffId) problems.Add($"layer {diffId} has the record of {record.DiffId}");
            if (LayerStore.File(diffId) is { } file && file.Size != record.Size) problems.Add($"layer {diffId} has {file.Size} bytes, expected {record.Size}");
        }
        catch (HullException error)
        {
            problems.Add($"layer {diffId} has no record: {error.FullMessage}");
        }
    }

    private bool IsMountedAt(string key, string target)
    {
        var path = Catalog.ActiveDirectory(key);
        var full = Path.GetFullPath(target);
        return MountInfo.ReadSelf().Exists(mount => mount.Target == full && IsOf(mount, path));
    }

    /// <summary>Lazily, so that nobody's open file or working directory can keep a snapshot from going.</summary>
    private static void DetachMounts(string path)
    {
        foreach (var mount in MountInfo.ReadSelf().Where(mount => IsOf(mount, path)))
            _ = MountCalls.Umount(mount.Target, UmountFlags.MNT_DETACH | UmountFlags.UMOUNT_NOFOLLOW);
    }
}
