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
}

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
