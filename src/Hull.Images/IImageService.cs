using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>
/// Everything about images that the engine and the command line ask for. It works directly on the store's directory;
/// any number of processes may do so at once.
/// <para>An image is known by its references (<c>busybox:latest</c>), by its id (the digest of its configuration, as
/// Docker and Podman print it, whole or any unambiguous beginning) and by the digest of its manifest or index.</para>
/// </summary>
public interface IImageService
{
    ContentStore Content { get; }

    /// <summary>Where images are unpacked to when nothing else is said.</summary>
    ISnapshotter Snapshotter { get; }

    /// <summary>
    /// Finds an image by reference, id, beginning of an id, or digest, for the platform (default: this machine's).
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.InvalidArgument"/> for an
    /// ambiguous beginning of an id.</exception>
    Image Resolve(string name, Platform? platform = null);

    /// <summary>The same, or null.</summary>
    Image? Find(string name, Platform? platform = null);

    /// <summary>Every image, newest first, with its references; those without one (dangling) have none.</summary>
    IReadOnlyList<ImageSummary> List();

    /// <summary>What each layer and step of the configuration came from, newest first.</summary>
    IReadOnlyList<ImageHistory> History(Image image);

    /// <summary>Gives <paramref name="image"/> another name; a name that was another image's moves.</summary>
    void Tag(Image image, ImageReference reference);

    /// <summary>
    /// Removes a name, and with the last name the image; by id, the image with all its names.
    /// </summary>
    /// <param name="force">Also where several names point to it or instances use it (their snapshots stay).</param>
    /// <exception cref="HullException"><see cref="ErrorKind.Conflict"/> where it is in use.</exception>
    IReadOnlyList<RemovedImage> Remove(string name, bool force = false);

    /// <summary>Removes dangling images, or with <paramref name="all"/> every image that nothing uses, and collects garbage.</summary>
    PruneResult Prune(bool all = false, Func<ImageSummary, bool>? filter = null, CancellationToken cancellation = default);

    /// <summary>
    /// Fetches an image and stores it under <paramref name="reference"/>. Layers that are there are not fetched. With
    /// <paramref name="options"/>.Unpack, layers are unpacked while they download.
    /// </summary>
    Task<Image> PullAsync(ImageReference reference, IFetcher fetcher, PullOptions? options = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default);

    /// <summary>
    /// Waits until the disk has what pulls fetched at least <paramref name="age"/> ago. A pull does not wait for that itself:
    /// after a crash of the machine, what was lost of it is fetched again.
    /// </summary>
    void Flush(TimeSpan age = default);

    /// <summary>Sends an image, with all platforms where it has several and all are here.</summary>
    Task<Descriptor> PushAsync(string name, ImageReference target, IPusher pusher, Platform? platform = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default);

    /// <summary>Writes images as an archive that docker, podman, skopeo and containerd can load.</summary>
    Task SaveAsync(IReadOnlyList<string> names, ArchiveFormat format, Stream output, CancellationToken cancellation = default);

    /// <summary>Reads a docker archive, an OCI archive, or one that is both; answers what was loaded.</summary>
    Task<IReadOnlyList<Image>> LoadAsync(Stream input, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default);

    /// <summary>Makes an image of one layer from a tar of a root file system (may be compressed).</summary>
    Task<Image> ImportAsync(Stream input, ImageReference? reference, ContainerDefaults? config = null, string? comment = null,
        Platform? platform = null, CancellationToken cancellation = default);

    /// <summary>Writes an image's or a snapshot's whole root file system as one tar.</summary>
    Task ExportAsync(string snapshotKey, Stream output, CancellationToken cancellation = default);

    /// <summary>Makes a new image of what changed in an active snapshot.</summary>
    Task<Image> CommitAsync(string snapshotKey, CommitOptions options, CancellationToken cancellation = default);

    /// <summary>Unpacks every layer that is not there yet; answers the chain ID to prepare snapshots on (null: no layers).</summary>
    Task<ChainId?> EnsureUnpackedAsync(Image image, ISnapshotter? snapshotter = null,
        IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default);

    /// <summary>
    /// Checks every blob against its digest and every reference down to its last layer, and the snapshots.
    /// </summary>
    /// <param name="deep">Reads blobs in full; otherwise only presence and sizes.</param>
    VerifyReport Verify(bool deep = true, CancellationToken cancellation = default);

    /// <summary>Removes everything that no reference, lease or snapshot needs.</summary>
    GarbageReport CollectGarbage(CancellationToken cancellation = default);
}

/// <summary>One image for one platform, as it lies in the store.</summary>
/// <param name="Id">Digest of the configuration.</param>
/// <param name="Target">What the reference points to: the index where there is one, else the manifest.</param>
/// <param name="Manifest">The manifest of this platform.</param>
/// <param name="References">All names of it, sorted.</param>
public sealed record Image(Digest Id, Descriptor Target, ImageDocument Manifest, ImageConfig Config, IReadOnlyList<ImageReference> References)
{
    /// <summary>The uncompressed digests of the layers, lowest first.</summary>
    public IReadOnlyList<Digest> DiffIds => Config.RootFs.DiffIds;

    /// <summary>The snapshot that all layers together make.</summary>
    public ChainId? Chain => ChainId.Of(DiffIds);

    public Platform Platform => Config.Platform;

    /// <summary>Bytes of manifest, configuration and layers as they are stored and sent.</summary>
    public long Size => Manifest.Bytes.Length + Manifest.Manifest!.Config.Size + Manifest.Manifest.Layers.Sum(layer => layer.Size);
}

/// <summary>A row of <c>hull images</c>.</summary>
/// <param name="Size">Bytes of the layers unpacked where known, else compressed.</param>
/// <param name="Platforms">The platforms whose manifest is in the store.</param>
public sealed record ImageSummary(
    Digest Id, Descriptor Target, IReadOnlyList<ImageReference> References, DateTimeOffset? Created, long Size,
    IReadOnlyDictionary<string, string> Labels, IReadOnlyList<Platform> Platforms, bool Dangling);

/// <param name="Id">The image, for the newest entry; null for the others, whose images were never stored.</param>
/// <param name="Size">Bytes of the step's layer; 0 for a mere change of configuration.</param>
public sealed record ImageHistory(Digest? Id, DateTimeOffset? Created, string CreatedBy, long Size, string Comment, IReadOnlyList<ImageReference> References);

/// <param name="Untagged">The name that went, or null.</param>
/// <param name="Deleted">The image or layer that went, or null.</param>
public sealed record RemovedImage(ImageReference? Untagged, Digest? Deleted);

/// <param name="SpaceReclaimed">Bytes.</param>
public sealed record PruneResult(IReadOnlyList<RemovedImage> Removed, long SpaceReclaimed);

/// <summary>How a pull goes about it.</summary>
public sealed record PullOptions
{
    public static PullOptions Default { get; } = new();

    /// <summary>Default: this machine's.</summary>
    public Platform? Platform { get; init; }

    /// <summary>Fetch every platform of an index, as a mirror does.</summary>
    public bool AllPlatforms { get; init; }

    /// <summary>Unpack the layers while they download.</summary>
    public bool Unpack { get; init; } = true;

    /// <summary>Layers downloaded at once.</summary>
    public int Parallelism { get; init; } = 3;

    /// <summary>Default: the service's.</summary>
    public UnpackLimits? Limits { get; init; }

    /// <summary>Attempts for one blob that fails in transit.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>Keep no name: the image is held by the lease of the caller alone.</summary>
    public bool Anonymous { get; init; }
}

public enum ArchiveFormat
{
    /// <summary>OCI layout plus <c>manifest.json</c>: everything that reads either can read it.</summary>
    Docker,

    /// <summary>OCI layout in a tar.</summary>
    Oci,
}

/// <summary>What a committed image is to say of itself.</summary>
public sealed record CommitOptions
{
    /// <summary>The image the snapshot stands on; null for a snapshot on nothing.</summary>
    public Image? Base { get; init; }

    /// <summary>The new configuration; default: the base's.</summary>
    public ContainerDefaults? Config { get; init; }

    public ImageReference? Reference { get; init; }

    public string? Author { get; init; }

    public string? Comment { get; init; }

    /// <summary>What made the change; shown by <c>history</c>.</summary>
    public string? CreatedBy { get; init; }

    /// <summary>Id of the instance, for Docker's <c>container</c> member.</summary>
    public string? Container { get; init; }
}

/// <param name="Problems">One line each; empty where all is well.</param>
public sealed record VerifyReport(int Blobs, int References, int Snapshots, long Bytes, IReadOnlyList<string> Problems)
{
    public bool Clean => Problems.Count == 0;
}
