using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>One directory per layer, in overlayfs's form: <c>layers/ALGORITHM-HEX.dir</c> with a <c>.json</c> beside it.</summary>
internal sealed class DirectoryLayerStore(SnapshotCatalog catalog) : ILayerStore
{
    private readonly UnchangedFiles<LayerRecord> _records = new();

    public bool Has(Digest diffId) => Directory.Exists(DirectoryPath(diffId));

    public LayerRecord Read(Digest diffId) => _records.Get(RecordPath(diffId), static path => AtomicFile.ReadJson(path, SnapshotJson.Default.LayerRecord))!;

    public IReadOnlyList<Digest> List() => LayerFiles.List(catalog, ".dir");

    public LayerRecord Write(Digest diffId, Stream tar, UnpackLimits limits, bool flush, CancellationToken cancellation)
    {
        var temporary = Path.Combine(catalog.IngestDirectory, "layer-" + RandomId.Short(RandomId.New()));
        Directory.CreateDirectory(temporary);
        try
        {
            using var sink = new DirectoryLayerSink(temporary, limits);
            var (actual, entries) = LayerUnpacker.Unpack(tar, sink, limits, cancellation);
            if (actual != diffId) throw HullException.Corrupted($"layer unpacks to {actual}, the image says {diffId}");
            sink.Finish();
            var record = new LayerRecord
            {
                DiffId = diffId, Size = sink.Size, Entries = entries, RootIsOpaque = sink.RootIsOpaque, Implied = sink.Implied,
            };
            if (flush) AtomicFile.SyncTree(temporary);
            AtomicFile.WriteJson(RecordPath(diffId), record, SnapshotJson.Default.LayerRecord, durable: flush);
            Directory.Move(temporary, DirectoryPath(diffId));
            if (flush) AtomicFile.SyncDirectory(Path.GetDirectoryName(DirectoryPath(diffId))!);
            return record;
        }
        catch
        {
            catalog.Discard(temporary);
            throw;
        }
    }

    public void Flush(Digest diffId) => AtomicFile.SyncTree(DirectoryPath(diffId));

    public string LowerPath(Digest diffId) => Has(diffId)
        ? DirectoryPath(diffId)
        : throw HullException.NotFound($"layer {diffId} is not unpacked: pull or unpack the image again");

    public LayerFile? File(Digest diffId) => null;

    public void Remove(Digest diffId)
    {
        catalog.Discard(DirectoryPath(diffId));
        System.IO.File.Delete(RecordPath(diffId));
    }

    public string? Compare(Digest diffId, Stream tar, UnpackLimits limits, CancellationToken cancellation)
    {
        var temporary = Path.Combine(catalog.IngestDirectory, "layer-" + RandomId.Short(RandomId.New()));
        Directory.CreateDirectory(temporary);
        try
        {
            using var sink = new DirectoryLayerSink(temporary, limits);
            LayerUnpacker.Unpack(tar, sink, limits, cancellation);
            sink.Finish();
            return TreeComparison.FirstDifference(DirectoryPath(diffId), temporary);
        }
        finally
        {
            catalog.Discard(temporary);
        }
    }

    private string DirectoryPath(Digest diffId) => LayerFiles.PathOf(catalog, diffId, ".dir");

    private string RecordPath(Digest diffId) => LayerFiles.PathOf(catalog, diffId, ".json");
}
