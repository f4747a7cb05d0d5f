using System.Text.Json.Serialization;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>Where a workload is in its life.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<WorkloadStatus>))]
public enum WorkloadStatus
{
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,

    /// <summary>It could not be removed or started cleanly; removing it again is the way out.</summary>
    Dead,
}

/// <summary>What the engine knows about a workload now. Replaced as a whole at each change and stored.</summary>
public sealed record WorkloadState
{
    public WorkloadStatus Status { get; init; }

    /// <summary>Process id of the init on the host; 0 when it does not run.</summary>
    public int ProcessId { get; init; }

    public int ExitCode { get; init; }

    /// <summary>Why it failed to start or was ended; empty otherwise.</summary>
    public string Error { get; init; } = "";

    public bool OutOfMemory { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Restarts by policy since the user last started it.</summary>
    public int RestartCount { get; init; }

    /// <summary>The user stopped it: <c>unless-stopped</c> does not bring it back at boot.</summary>
    public bool StoppedByUser { get; init; }

    public HealthState? Health { get; init; }

    [JsonIgnore]
    public bool IsRunning => Status is WorkloadStatus.Running or WorkloadStatus.Paused;
}

/// <summary>What the health check found last.</summary>
public sealed record HealthState
{
    /// <summary><c>starting</c>, <c>healthy</c> or <c>unhealthy</c>.</summary>
    public string Status { get; init; } = "starting";

    public int FailingStreak { get; init; }

    /// <summary>The last five probes, oldest first.</summary>
    public IReadOnlyList<HealthProbe> Log { get; init; } = [];
}

/// <summary>One run of the check; <see cref="Output"/> holds at most 4096 characters.</summary>
public sealed record HealthProbe(DateTimeOffset Start, DateTimeOffset End, int ExitCode, string Output);

/// <summary>Everything about one workload at one moment: for inspection and lists.</summary>
public sealed record WorkloadSnapshot
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required WorkloadConfig Config { get; init; }
    public required WorkloadState State { get; init; }

    /// <summary>Config of the image merged with the user's: what really runs.</summary>
    public required EffectiveProcess Process { get; init; }

    /// <summary>Id of the image (digest of its config); empty without an image.</summary>
    public required string ImageId { get; init; }

    /// <summary>Digest of the image's manifest; empty when unknown.</summary>
    public string ManifestDigest { get; init; } = "";

    /// <summary>Whether it is made of the image, or mounts it.</summary>
    public bool Uses(string imageId) => ImageId == imageId || Mounts.Any(mount => mount.ImageId == imageId);

    public required string Isolation { get; init; }
    public required string Platform { get; init; }

    /// <summary>Path of the log file; empty for drivers without one.</summary>
    public required string LogPath { get; init; }

    public required string LogDriver { get; init; }

    /// <summary>The workload's own over the engine's.</summary>
    public IReadOnlyDictionary<string, string> LogOptions { get; init; } = new Dictionary<string, string>();
    public required IReadOnlyDictionary<string, string> Labels { get; init; }
    public required IReadOnlyList<MountPoint> Mounts { get; init; }
    public required WorkloadNetworking Networking { get; init; }

    /// <summary>Exec ids that exist now.</summary>
    public IReadOnlyList<string> ExecIds { get; init; } = [];

    /// <summary>Paths of the files the engine mounts over the root's own; empty before the first start.</summary>
    public string HostnamePath { get; init; } = "";

    public string HostsPath { get; init; } = "";
    public string ResolvConfPath { get; init; } = "";

    /// <summary>Directory with this workload's documents.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Bytes of the writable layer; only when asked for.</summary>
    public long? SizeRw { get; init; }

    /// <summary>Bytes of image and writable layer; only when asked for.</summary>
    public long? SizeRoot { get; init; }
}

/// <summary>The process as the image and the user together define it.</summary>
public sealed record EffectiveProcess
{
    public IReadOnlyList<string> Entrypoint { get; init; } = [];
    public IReadOnlyList<string> Command { get; init; } = [];
    public IReadOnlyList<string> Environment { get; init; } = [];
    public string WorkingDirectory { get; init; } = "/";
    public string User { get; init; } = "";
    public string StopSignal { get; init; } = "SIGTERM";
    public HealthConfig? Health { get; init; }
    public IReadOnlyList<string> ExposedPorts { get; init; } = [];

    /// <summary>Volumes the image or user declared without a source.</summary>
    public IReadOnlyList<string> AnonymousVolumes { get; init; } = [];

    [JsonIgnore]
    public IReadOnlyList<string> Arguments => [.. Entrypoint, .. Command];
}

/// <summary>A mount as it was realized.</summary>
public sealed record MountPoint
{
    public required string Type { get; init; }

    /// <summary>Volume name; empty for others.</summary>
    public string Name { get; init; } = "";

    /// <summary>Path on the host.</summary>
    public required string Source { get; init; }

    public required string Target { get; init; }

    /// <summary>Volume driver; empty for others.</summary>
    public string Driver { get; init; } = "";

    /// <summary>Mode as the user wrote it, such as <c>z</c>.</summary>
    public string Mode { get; init; } = "";

    public bool ReadOnly { get; init; }
    public string Propagation { get; init; } = "";

    /// <summary>The volume was made for this workload alone and goes with it.</summary>
    public bool Anonymous { get; init; }

    /// <summary>Id of a mounted image; null for others.</summary>
    public string? ImageId { get; init; }

    /// <summary>Key of the image's view in the snapshot store, which keeps its layers for as long as the workload exists.</summary>
    public string? SnapshotKey { get; init; }

    /// <summary>What of the image is mounted; null for all.</summary>
    public string? ImagePath { get; init; }
}

/// <summary>The network side of a workload as it is now.</summary>
public sealed record WorkloadNetworking
{
    /// <summary>Path of the network namespace; empty when it does not run.</summary>
    public string NamespacePath { get; init; } = "";

    /// <summary>By network name.</summary>
    public IReadOnlyDictionary<string, AttachmentState> Networks { get; init; } = new Dictionary<string, AttachmentState>();

    public IReadOnlyList<PublishedPort> Ports { get; init; } = [];
}

/// <summary>One attachment with the addresses it has; addresses are empty while the workload does not run.</summary>
public sealed record AttachmentState
{
    public required AttachmentConfig Config { get; init; }
    public string NetworkId { get; init; } = "";
    public string EndpointId { get; init; } = "";
    public string InterfaceName { get; init; } = "";
    public string Gateway { get; init; } = "";
    public string IpAddress { get; init; } = "";
    public int PrefixLength { get; init; }
    public string Ipv6Gateway { get; init; } = "";
    public string Ipv6Address { get; init; } = "";
    public int Ipv6PrefixLength { get; init; }
    public string MacAddress { get; init; } = "";

    /// <summary>Names that resolve to this workload on the network.</summary>
    public IReadOnlyList<string> DnsNames { get; init; } = [];
}
