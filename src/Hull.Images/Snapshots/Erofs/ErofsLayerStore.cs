using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// One erofs image per layer: <c>layers/ALGORITHM-HEX.erofs</c> with a <c>.json</c> beside it. To be an overlay's lower,
/// an image is mounted once at <c>mounts/HEX</c>, so that all containers share its pages, and stays so until the layer is
/// removed.
/// </summary>
internal sealed class ErofsLayerStore(SnapshotCatalog catalog) : ILayerStore
{
    private readonly Lock _gate = new();
    private readonly HashSet<Digest> _mounted = [];
    private readonly UnchangedFiles<LayerRecord> _records = new();

    public bool Has(Digest diffId) => System.IO.File.Exists(ImagePath(diffId));

    public LayerRecord Read(Digest diffId) => _records.Get(RecordPath(diffId), static path => AtomicFile.ReadJson(path, SnapshotJson.Default.LayerRecord))!;

    public IReadOnlyList<Digest> List() => LayerFiles.List(catalog, ".erofs");

    public LayerRecord Write(Digest diffId, Stream tar, UnpackLimits limits, bool flush, CancellationToken cancellation)
    {
        var temporary = TemporaryPath();
        try
        {
            // The image exists under its name only once it is on the disk whole, since what has the name is trusted from then
            // on; or else it is written down that it may not be (UnflushedStore).
            var record = WriteImage(temporary, diffId, tar, limits, flush, cancellation);
            AtomicFile.WriteJson(RecordPath(diffId), record, SnapshotJson.Default.LayerRecord, durable: flush);
            System.IO.File.Move(temporary, ImagePath(diffId), overwrite: true);
            if (flush) AtomicFile.SyncDirectory(Path.GetDirectoryName(ImagePath(diffId))!);
            return record;
        }
        catch
        {
            System.IO.File.Delete(temporary);
            throw;
        }
    }

    public void Flush(Digest diffId)
    {
        AtomicFile.SyncFile(ImagePath(diffId));
        AtomicFile.SyncFile(RecordPath(diffId));
        AtomicFile.SyncDirectory(Path.GetDirectoryName(ImagePath(diffId))!);
    }

    public string? Compare(Digest diffId, Stream tar, UnpackLimits limits, CancellationToken cancellation)
    {
        var temporary = TemporaryPath();
        try
        {
            WriteImage(temporary, diffId, tar, limits, flush: false, cancellation);
            return FileComparison.FirstDifference(ImagePath(diffId), temporary);
        }
        finally
        {
            System.IO.File.Delete(temporary);
        }
    }

    public string LowerPath(Digest diffId)
    {
        var path = MountPath(diffId);
        lock (_gate)
        {
            if (_mounted.Contains(diffId)) return path;
            EnsureMounted(diffId, path);
            _mounted.Add(diffId);
        }

        return path;
    }

    public LayerFile File(Digest diffId) => new(diffId, ImagePath(diffId), "erofs", new FileInfo(ImagePath(diffId)).Length);

    public void Remove(Digest diffId)
    {
        lock (_gate) _mounted.Remove(diffId);
        Unmount(MountPath(diffId));
        // The image first: a record without an image is no layer.
        System.IO.File.Delete(ImagePath(diffId));
        System.IO.File.Delete(RecordPath(diffId));
    }

    /// <summary>Unmounts every layer, for who wants to remove the store. Containers that run keep theirs.</summary>
    public void UnmountAll()
    {
        lock (_gate) _mounted.Clear();
        var directory = Path.Combine(catalog.Root, "mounts");
        if (!Directory.Exists(directory)) return;
        foreach (var path in Directory.EnumerateDirectories(directory)) Unmount(path);
    }

    private static LayerRecord WriteImage(string path, Digest diffId, Stream tar, UnpackLimits limits, bool flush, CancellationToken cancellation)
    {
        using var file = System.IO.File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        var writer = new ErofsWriter(file, limits);
        var (actual, entries) = LayerUnpacker.Unpack(tar, writer, limits, cancellation);
        if (actual != diffId) throw HullException.Corrupted($"layer unpacks to {actual}, the image says {diffId}");
        writer.Finish(diffId);
        System.IO.File.SetUnixFileMode(file, UnixFileMode.UserRead);
        if (flush) RandomAccess.FlushToDisk(file);
        return new LayerRecord
        {
            DiffId = diffId,
            Size = RandomAccess.GetLength(file),
            Entries = entries,
            RootIsOpaque = writer.RootIsOpaque,
            Implied = [.. writer.ImpliedDirectories.Select(path => NativeText.Decode(path))],
        };
    }

    private string TemporaryPath() => Path.Combine(catalog.IngestDirectory, "layer-" + RandomId.Short(RandomId.New()));

    private void EnsureMounted(Digest diffId, string path)
    {
        using var taken = FileLock.Acquire(catalog.LayerLock(diffId));
        if (!Has(diffId)) throw HullException.NotFound($"layer {diffId} is not unpacked: pull or unpack the image again");
        if (IsMounted(path)) return;
        Directory.CreateDirectory(path);
        using var mount = ErofsMount.Create(ImagePath(diffId));
        using var target = RootDirectory.Open(path);
        mount.AttachTo(target.Descriptor, path);
    }

    private static bool IsMounted(string path)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        if (result == -(nint)Errno.ENOENT) return false;
        using var directory = Check.Descriptor(result, $"open {path}");
        return directory.FileSystemType() == Magic.EROFS_SUPER_MAGIC_V1;
    }

    private static void Unmount(string path)
    {
        while (MountCalls.Umount(path, UmountFlags.MNT_DETACH | UmountFlags.UMOUNT_NOFOLLOW) >= 0)
        {
            // Two processes with mount namespaces of their own may each have mounted it.
        }

        _ = FileCalls.UnlinkAt(Fcntl.AT_FDCWD, path, Fcntl.AT_REMOVEDIR);
    }

    private string ImagePath(Digest diffId) => LayerFiles.PathOf(catalog, diffId, ".erofs");

    private string RecordPath(Digest diffId) => LayerFiles.PathOf(catalog, diffId, ".json");

    private string MountPath(Digest diffId) => Path.Combine(catalog.Root, "mounts", diffId.Hex);
}
