using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.Images.Snapshots;

/// <summary>Unpacked layers by diffID, each independent of every other. What is in it is complete.</summary>
internal interface ILayerStore
{
    bool Has(Digest diffId);

    LayerRecord Read(Digest diffId);

    IReadOnlyList<Digest> List();

    /// <summary>Unpacks the tar; publishes the layer if its digest is right. The caller has the layer's lock.</summary>
    /// <param name="flush">Wait until the disk has it, before it has its name.</param>
    LayerRecord Write(Digest diffId, Stream tar, UnpackLimits limits, bool flush, CancellationToken cancellation);

    /// <summary>Waits until the disk has a layer that was written without.</summary>
    void Flush(Digest diffId);

    /// <summary>A directory in which the layer's tree can be seen, to be a lower of an overlay.</summary>
    string LowerPath(Digest diffId);

    /// <summary>The layer as a file; null where this store has none.</summary>
    LayerFile? File(Digest diffId);

    void Remove(Digest diffId);

    /// <summary>Unpacks the tar again and compares; null where what is stored is what the tar says, else what is wrong.</summary>
    string? Compare(Digest diffId, Stream tar, UnpackLimits limits, CancellationToken cancellation);
}

/// <summary>What is kept about a layer beside it.</summary>
internal sealed record LayerRecord
{
    public required Digest DiffId { get; init; }

    /// <summary>Bytes on disk.</summary>
    public required long Size { get; init; }

    public required long Entries { get; init; }

    /// <summary>Nothing of the layers below shows: an opaque whiteout in the root.</summary>
    public bool RootIsOpaque { get; init; }

    /// <summary>
    /// Directories that the layer has something in without saying what they are like; they keep what a layer below says.
    /// </summary>
    public IReadOnlyList<string> Implied { get; init; } = [];

    public LayerInfo ToInfo() => new(DiffId, Size, Entries);
}

/// <summary>What is kept about a snapshot.</summary>
internal sealed record SnapshotRecord
{
    public required string Key { get; init; }

    public required SnapshotKind Kind { get; init; }

    public string? Parent { get; init; }

    public Digest? Layer { get; init; }

    /// <summary>
    /// A small layer above <see cref="Layer"/> that gives directories the latter only implies what the layers below say of
    /// them; an overlay shows a directory as its topmost layer has it.
    /// </summary>
    public Digest? Correction { get; init; }

    public required DateTimeOffset Created { get; init; }

    public SnapshotInfo ToInfo() => new(Key, Kind, Parent is null ? null : ChainId.Parse(Parent), Layer, Created);
}
