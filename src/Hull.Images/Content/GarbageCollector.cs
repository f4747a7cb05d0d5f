using Hull.Core;
using Hull.Images.Snapshots;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Images.Content;

/// <param name="Blobs">Blobs removed.</param>
/// <param name="Snapshots">Committed snapshots removed.</param>
/// <param name="Layers">Unpacked layers removed.</param>
/// <param name="Bytes">Bytes of disk space freed.</param>
public sealed record GarbageReport(int Blobs, int Snapshots, int Layers, long Bytes);

/// <summary>
/// Removes what nothing leads to. Roots are references, leases, and snapshots in use; from them everything reachable is
/// kept, and every manifest whose subject is kept (signatures, SBOMs).
/// <para>While it decides and removes it has the garbage lock alone, so nobody can pin or be about to use what goes. Each
/// removal is a rename or unlink of its own; it may be killed between any two, and what it was at stays valid.</para>
/// </summary>
public sealed class GarbageCollector(ContentStore content, ISnapshotter? snapshotter = null)
{
    private static readonly TimeSpan IngestGrace = TimeSpan.FromDays(3);

    private readonly HashSet<Digest> _blobs = [];
    private readonly HashSet<ChainId> _chains = [];
    private readonly HashSet<Digest> _layers = [];

    public GarbageReport Collect(CancellationToken cancellation = default)
    {
        GarbageReport report;
        using (FileLock.Acquire(content.GarbageLock))
        {
            Mark(cancellation);
            var (blobs, bytes) = SweepBlobs();
            var (snapshots, layers, layerBytes) = snapshotter is null ? (0, 0, 0) : SweepSnapshots(snapshotter);
            report = new GarbageReport(blobs, snapshots, layers, bytes + layerBytes);
            SweepIngests();
        }

        EmptyTrash();
        snapshotter?.Recover();
        return report;
    }

    private void Mark(CancellationToken cancellation)
    {
        foreach (var reference in content.References.List()) Visit(reference.Target, 0);
        foreach (var digest in content.Leases.Roots())
        {
            _layers.Add(digest);
            if (AsDocument(digest) is { } document) Visit(document.Descriptor, 0);
            else _blobs.Add(digest);
        }

        while (MarkReferrers(cancellation))
        {
            // Signatures of signatures.
        }

        foreach (var snapshot in snapshotter?.List() ?? [])
        {
            if (snapshot.Kind != SnapshotKind.Committed && snapshot.Parent is { } parent) KeepChain(parent);
        }
    }

    private void Visit(Descriptor descriptor, int depth)
    {
        if (!_blobs.Add(descriptor.Digest) || depth > ImageCatalog.MaxNesting) return;
        if (!MediaTypes.IsIndex(descriptor.MediaType) && !MediaTypes.IsManifest(descriptor.MediaType)) return;
        if (TryRead(descriptor) is not { } document) return;
        foreach (var child in document.Children) Visit(child, depth + 1);
        if (document.Manifest is { IsImage: true } manifest) KeepLayers(manifest);
    }

    private void KeepLayers(ImageManifest manifest)
    {
        if (!content.Contains(manifest.Config.Digest)) return;
        try
        {
            ChainId? chain = null;
            foreach (var diffId in content.ReadConfig(manifest.Config).RootFs.DiffIds)
            {
                _layers.Add(diffId);
                _chains.Add((chain = ChainId.Of(chain, diffId)).Value);
            }
        }
        catch (HullException error) when (error.Kind is ErrorKind.DataCorrupted)
        {
            // verify tells; here it only means that there are no layers to keep for it.
        }
    }

    private void KeepChain(ChainId chain)
    {
        ChainId? next = chain;
        while (next is { } current && snapshotter!.Find(current.ToString()) is { } snapshot)
        {
            _chains.Add(current);
            if (snapshot.Layer is { } layer) _layers.Add(layer);
            next = snapshot.Parent;
        }
    }

    private bool MarkReferrers(CancellationToken cancellation)
    {
        var found = false;
        foreach (var digest in content.Blobs())
        {
            cancellation.ThrowIfCancellationRequested();
            if (_blobs.Contains(digest) || AsDocument(digest) is not { Subject: { } subject } document || !_blobs.Contains(subject.Digest)) continue;
            Visit(document.Descriptor, 0);
            found = true;
        }

        return found;
    }

    private (int, long) SweepBlobs()
    {
        var (count, bytes) = (0, 0L);
        foreach (var digest in content.Blobs())
        {
            if (_blobs.Contains(digest)) continue;
            var size = content.SizeOf(digest) ?? 0;
            if (!content.MoveToTrash(digest)) continue;
            (count, bytes) = (count + 1, bytes + size);
        }

        return (count, bytes);
    }

    private (int Snapshots, int Layers, long Bytes) SweepSnapshots(ISnapshotter store)
    {
        var (snapshots, layers, bytes) = (0, 0, 0L);
        var unused = store.List().Where(snapshot => snapshot.Kind == SnapshotKind.Committed && !_chains.Contains(ChainId.Parse(snapshot.Key))).ToList();
        while (unused.Count > 0)
        {
            // The topmost first: nothing is removed that another stands on.
            var parents = unused.Select(snapshot => snapshot.Parent).ToHashSet();
            var tops = unused.Where(snapshot => !parents.Contains(ChainId.Parse(snapshot.Key))).ToList();
            if (tops.Count == 0) break;
            foreach (var top in tops)
            {
                if (Try(() => store.Remove(top.Key))) snapshots++;
                unused.Remove(top);
            }
        }

        foreach (var layer in store.Layers())
        {
            if (_layers.Contains(layer.DiffId) || !Try(() => store.RemoveLayer(layer.DiffId))) continue;
            (layers, bytes) = (layers + 1, bytes + layer.Size);
        }

        return (snapshots, layers, bytes);
    }

    /// <summary>Unfinished downloads that nobody came back for.</summary>
    private void SweepIngests()
    {
        foreach (var path in Directory.EnumerateFiles(content.IngestDirectory, "*.part"))
        {
            if (content.Time.GetUtcNow() - new DateTimeOffset(File.GetLastWriteTimeUtc(path)) < IngestGrace) continue;
            var lockPath = Path.ChangeExtension(path, ".lock");
            using var taken = FileLock.TryAcquire(lockPath);
            if (taken is null) continue;
            File.Delete(path);
            File.Delete(lockPath);
        }
    }

    private void EmptyTrash()
    {
        foreach (var path in Directory.EnumerateFiles(content.TrashDirectory)) File.Delete(path);
    }

    private ImageDocument? TryRead(Descriptor descriptor)
    {
        try
        {
            return content.Contains(descriptor.Digest) ? content.ReadDocument(descriptor) : null;
        }
        catch (HullException error) when (error.Kind is ErrorKind.DataCorrupted or ErrorKind.Unsupported or ErrorKind.NotFound)
        {
            return null;
        }
    }

    /// <summary>A blob of unknown type read as a manifest or index; null where it is neither.</summary>
    private ImageDocument? AsDocument(Digest digest)
    {
        if (content.SizeOf(digest) is not (> 0 and <= ImageDocument.MaxSize)) return null;
        try
        {
            using var file = content.OpenRead(digest);
            if (file.ReadByte() != '{') return null;
            file.Position = 0;
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return ImageDocument.Parse(bytes);
        }
        catch (HullException)
        {
            return null;
        }
    }

    /// <summary>False where something came to use it meanwhile.</summary>
    private static bool Try(Action remove)
    {
        try
        {
            remove();
            return true;
        }
        catch (HullException error) when (error.Kind is ErrorKind.Conflict || error.InnerException is ErrnoException)
        {
            return false;
        }
    }
}
