using Hull.Core;
using Hull.Core.Tar;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>
/// Keeps the layers of images as file systems and makes root file systems out of them.
/// <para><b>Vocabulary.</b> A <i>layer</i> is what one layer tar unpacks to; it is known by its diffID (digest of the
/// uncompressed tar) and does not depend on the layers below it, so layers unpack in parallel. A <i>committed</i>
/// snapshot is a stack of layers, known by its chain ID (<see cref="ChainId"/>), and never changes. An <i>active</i>
/// snapshot is a committed one with a writable layer on top; a <i>view</i> is one without. Active snapshots and views
/// have a key of the caller's choice, usually the id of an instance.</para>
/// <para><b>Pulling an image.</b> For every layer, in any order and at once: <see cref="WriteLayerAsync"/> with the tar
/// stream. A layer that is there already is not written twice, whoever wrote it. Then, lowest first,
/// <see cref="Commit(ChainId, ChainId?, Digest)"/>. A layer becomes visible in one step, complete and verified; a
/// process that dies in between leaves nothing that anyone can see.</para>
/// <para><b>Running a container.</b> <see cref="Prepare"/> with the instance's id and the image's chain ID;
/// <see cref="Mounts"/> says how to mount it, or <see cref="Mount"/> mounts it. At the end, unmount and
/// <see cref="Remove"/>. Removal never fails because something is busy: what is still mounted is detached.</para>
/// <para><b>Running a VM.</b> <see cref="LayerFiles"/> gives the layers as files that a guest mounts as read-only block
/// devices, lowest first, with overlay on top; the writable layer is the VM's own disk.</para>
/// <para><b>Making an image.</b> After running, <see cref="ChangesAsync"/> lists what was changed and
/// <see cref="DiffAsync"/> writes it as a layer tar. The tar's digest is the diffID of a new layer.</para>
/// <para><b>What never happens.</b> A committed snapshot never changes. A key never names two snapshots. A layer or
/// committed snapshot that another snapshot stands on is never removed. Every method may be called from several
/// processes at once on the same root.</para>
/// </summary>
public interface ISnapshotter
{
    /// <summary><c>erofs</c>, <c>overlay</c> or <c>copy</c>.</summary>
    string Name { get; }

    /// <summary>What this one can do, and if not, why.</summary>
    SnapshotCapabilities Capabilities { get; }

    /// <summary>Whether the layer is there, complete.</summary>
    bool HasLayer(Digest diffId);

    /// <summary>
    /// Unpacks one uncompressed layer tar. <paramref name="tar"/> is read to its end; its digest must be
    /// <paramref name="diffId"/>, or nothing is kept. Returns at once when the layer is there; waits when another caller or
    /// process is writing it.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> for a wrong digest or a malformed or hostile
    /// tar, <see cref="ErrorKind.ResourceExhausted"/> for one that exceeds <paramref name="limits"/>.</exception>
    /// <param name="flush">Wait until the disk has it. False only after <see cref="Content.UnflushedStore.Mark"/>.</param>
    Task<LayerInfo> WriteLayerAsync(Digest diffId, Func<CancellationToken, ValueTask<Stream>> tar, UnpackLimits limits,
        bool flush = true, CancellationToken cancellation = default);

    /// <summary>Waits until the disk has a layer that was written without. One that is not there is no error.</summary>
    void FlushLayer(Digest diffId);

    /// <summary>
    /// Takes a layer away that is not to be trusted, even from below snapshots: they need it to be written again.
    /// </summary>
    void ForgetLayer(Digest diffId);

    /// <summary>
    /// Makes the committed snapshot <paramref name="chain"/> of <paramref name="parent"/> and the layer
    /// <paramref name="diffId"/>. Doing it again is not an error.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.NotFound"/> where parent or layer are missing;
    /// <see cref="ErrorKind.InvalidArgument"/> where the chain ID is not theirs.</exception>
    void Commit(ChainId chain, ChainId? parent, Digest diffId);

    /// <summary>Makes the active snapshot <paramref name="key"/> on <paramref name="parent"/> (null: on nothing).</summary>
    /// <exception cref="HullException"><see cref="ErrorKind.AlreadyExists"/>, <see cref="ErrorKind.NotFound"/>.</exception>
    SnapshotInfo Prepare(string key, ChainId? parent, PrepareOptions? options = null);

    /// <summary>Makes the read-only view <paramref name="key"/> of <paramref name="parent"/>.</summary>
    SnapshotInfo View(string key, ChainId parent);

    /// <summary>The snapshot of that key, or of the chain ID's text; null where there is none.</summary>
    SnapshotInfo? Find(string key);

    /// <summary>Every snapshot, committed ones first.</summary>
    IReadOnlyList<SnapshotInfo> List();

    /// <summary>Every complete layer.</summary>
    IReadOnlyList<LayerInfo> Layers();

    /// <summary>
    /// How to mount an active snapshot or view: usually one overlay mount. What its sources need to be there (layers
    /// mounted from their files) is there when this returns, and after a reboot calling it again makes it so.
    /// </summary>
    IReadOnlyList<SnapshotMount> Mounts(string key);

    /// <summary>
    /// Mounts it at <paramref name="target"/>, an existing directory, in this process's mount namespace. Mounting what is
    /// mounted there already is not an error.
    /// </summary>
    void Mount(string key, string target);

    /// <summary>
    /// The layers a snapshot stands on as read-only file system images, lowest first; for <c>virtio-blk</c> and guests.
    /// Whiteouts in them are overlayfs's (character device 0/0, <c>trusted.overlay.opaque</c>).
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.Unsupported"/> where <see cref="Capabilities"/> say so.</exception>
    IReadOnlyList<LayerFile> LayerFiles(string key);

    /// <summary>
    /// The whole tree of an active snapshot or view as it is now, read-only, without mounting it anywhere: for export and
    /// for copying out of an instance that does not run.
    /// </summary>
    RootDirectory OpenTree(string key);

    /// <summary>Where the writable layer's files lie on this machine (overlay's upper, or the copy); null for views.</summary>
    string? WritableDirectory(string key);

    /// <summary>Disk space of the writable layer, or of a committed snapshot's own layer.</summary>
    SnapshotUsage Usage(string key);

    /// <summary>What differs from the parent, sorted by path; the way <c>docker diff</c> lists it.</summary>
    Task<IReadOnlyList<SnapshotChange>> ChangesAsync(string key, CancellationToken cancellation = default);

    /// <summary>
    /// Writes the changes against the parent as an uncompressed layer tar with OCI whiteouts. The same content always
    /// gives the same bytes.
    /// </summary>
    Task DiffAsync(string key, Stream output, CancellationToken cancellation = default);

    /// <summary>
    /// Removes an active snapshot, a view, or (by the text of its chain ID) a committed snapshot. What is mounted is
    /// detached first. A key that does not exist is not an error.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.Conflict"/> where another snapshot stands on it.</exception>
    void Remove(string key);

    /// <summary>Unpacks a layer's tar once more and compares; null where what is stored is the same, else what differs.</summary>
    string? CompareLayer(Digest diffId, Stream tar, UnpackLimits limits, CancellationToken cancellation = default);

    /// <summary>Removes a layer that no committed snapshot uses; otherwise <see cref="ErrorKind.Conflict"/>.</summary>
    void RemoveLayer(Digest diffId);

    /// <summary>
    /// Checks what is stored: every layer named is there and readable, every parent exists. Answers one line per
    /// problem.
    /// </summary>
    IReadOnlyList<string> Verify();

    /// <summary>Clears what dead processes left behind (half-written layers, half-removed snapshots).</summary>
    void Recover();
}

/// <summary>What a snapshotter can do on this machine. A null reason means it can.</summary>
/// <param name="WhyNoLayerFiles">Why layers cannot be given to a VM as block devices.</param>
/// <param name="WhyNoSharing">Why snapshots of one image do not share their files' pages and disk space.</param>
/// <param name="MaxLayers">How many layers one snapshot can have.</param>
public sealed record SnapshotCapabilities(string? WhyNoLayerFiles, string? WhyNoSharing, int MaxLayers);

public enum SnapshotKind
{
    Committed,
    Active,
    View,
}

/// <param name="Key">The caller's key, or the chain ID's text for a committed snapshot.</param>
/// <param name="Parent">The committed snapshot it stands on.</param>
/// <param name="Layer">The topmost layer, for committed snapshots.</param>
public sealed record SnapshotInfo(string Key, SnapshotKind Kind, ChainId? Parent, Digest? Layer, DateTimeOffset Created);

/// <param name="DiffId">Digest of the layer's uncompressed tar.</param>
/// <param name="Size">Bytes the layer takes on disk.</param>
/// <param name="Entries">Files, directories and so on in the layer.</param>
public sealed record LayerInfo(Digest DiffId, long Size, long Entries);

/// <param name="Path">A file with the file system in it, to be opened read-only.</param>
/// <param name="FileSystem">Its type for mount(2), such as <c>erofs</c>.</param>
public sealed record LayerFile(Digest DiffId, string Path, string FileSystem, long Size);

/// <summary>One mount, in the words of mount(8) and of the OCI runtime-spec.</summary>
/// <param name="Lower">
/// overlay only: the lower directories, topmost first, to be given one by one with fsconfig's <c>lowerdir+</c>. They are
/// not in <paramref name="Options"/>, because a long list does not fit into the one page that mount(2) takes.
/// </param>
public sealed record SnapshotMount(string Type, string Source, IReadOnlyList<string> Options, IReadOnlyList<string> Lower);

/// <param name="UserId">Owner of the root directory where there is no parent.</param>
public sealed record PrepareOptions(int UserId = 0, int GroupId = 0);

/// <param name="Size">Bytes on disk.</param>
/// <param name="Inodes">Files, directories and so on; hard links once.</param>
public sealed record SnapshotUsage(long Size, long Inodes);

/// <summary>The numbers are those of the Docker API.</summary>
public enum ChangeKind
{
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// <param name="Path">Absolute inside the root file system.</param>
public sealed record SnapshotChange(string Path, ChangeKind Kind);
