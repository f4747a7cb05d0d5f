namespace Hull.Engine.Volumes;

/// <summary>
/// Named directories that outlive workloads. A volume is <i>made</i> once, <i>held</i> by every workload that mounts it
/// (a held volume is not removed) and <i>mounted</i> while one of them runs: the first mount makes its directory
/// available (a file system of its own for nfs or a quota), the last unmount puts it away.
/// </summary>
public interface IVolumeManager
{
    /// <summary>Makes a volume, or answers the one of that name if driver and options agree; an empty name gets a random one.</summary>
    Task<VolumeRecord> CreateAsync(VolumeRequest request, CancellationToken cancellationToken);

    /// <summary>By name; throws <see cref="Hull.Core.ErrorKind.NotFound"/>.</summary>
    VolumeRecord Get(string name);

    IReadOnlyList<VolumeRecord> List();

    /// <summary>Throws <see cref="Hull.Core.ErrorKind.Conflict"/> while a workload holds it.</summary>
    Task RemoveAsync(string name, bool force, CancellationToken cancellationToken);

    /// <summary>Removes volumes nobody holds and the filter accepts.</summary>
    Task<Workloads.PruneResult> PruneAsync(Func<VolumeRecord, bool> filter, CancellationToken cancellationToken);

    /// <summary>Says that a workload refers to the volume. Not stored: the engine repeats it at its start.</summary>
    void Hold(string name, string workloadId);

    void Release(string name, string workloadId);

    /// <summary>Ids of the workloads that hold it.</summary>
    IReadOnlyList<string> HoldersOf(string name);

    /// <summary>Makes the directory available for a workload; answers its path. Idempotent per workload.</summary>
    Task<string> MountAsync(string name, string workloadId, CancellationToken cancellationToken);

    Task UnmountAsync(string name, string workloadId, CancellationToken cancellationToken);

    /// <summary>Bytes the volume takes on disk.</summary>
    Task<long> SizeAsync(string name, CancellationToken cancellationToken);

    /// <summary>
    /// Keeps the volume's content as it is now under a name of its own, sharing data with it where the file system can.
    /// Workloads that write meanwhile should be paused: files are copied one after the other.
    /// </summary>
    Task<VolumeSnapshot> SnapshotAsync(string name, string snapshot, CancellationToken cancellationToken);

    /// <summary>Snapshots of a volume, oldest first.</summary>
    IReadOnlyList<VolumeSnapshot> Snapshots(string name);

    /// <summary>Puts a snapshot's content back; throws <see cref="Hull.Core.ErrorKind.Conflict"/> while a workload has the volume mounted.</summary>
    Task RollBackAsync(string name, string snapshot, CancellationToken cancellationToken);

    Task RemoveSnapshotAsync(string name, string snapshot, CancellationToken cancellationToken);

    /// <summary>A new volume with the content of a volume, or of one of its snapshots.</summary>
    Task<VolumeRecord> CloneAsync(string source, string? snapshot, VolumeRequest request, CancellationToken cancellationToken);

    /// <summary>Writes the content as a tar archive (POSIX pax format).</summary>
    Task BackUpAsync(string name, Stream destination, CancellationToken cancellationToken);

    /// <summary>Makes a new volume from an archive; on failure there is none.</summary>
    Task<VolumeRecord> RestoreAsync(VolumeRequest request, Stream archive, CancellationToken cancellationToken);
}

/// <summary>A volume's content kept at a moment.</summary>
/// <param name="Size">Bytes it takes on disk, shared ones included.</param>
public sealed record VolumeSnapshot(string Volume, string Name, DateTimeOffset CreatedAt, long Size);

/// <summary>A volume to make.</summary>
public sealed record VolumeRequest
{
    public string Name { get; init; } = "";
    public string Driver { get; init; } = "local";
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Made for one workload's unnamed mount.</summary>
    public bool Anonymous { get; init; }
}

/// <summary>A volume as stored.</summary>
public sealed record VolumeRecord
{
    public required string Name { get; init; }
    public required string Driver { get; init; }

    /// <summary>Its directory on the host.</summary>
    public required string Mountpoint { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();
    public bool Anonymous { get; init; }
}
