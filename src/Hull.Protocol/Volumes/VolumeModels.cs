using System.Text.Json.Serialization;

namespace Hull.Protocol;

public sealed class VolumeInfo
{
    public string CreatedAt { get; set; } = Timestamps.Zero;
    public string Driver { get; set; } = "local";
    public IReadOnlyDictionary<string, string>? Labels { get; set; }
    public string Mountpoint { get; set; } = "";
    public string Name { get; set; } = "";
    public IReadOnlyDictionary<string, string>? Options { get; set; }
    public string Scope { get; set; } = "local";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? Status { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public VolumeUsage? UsageData { get; set; }
}

public sealed class VolumeUsage
{
    public long RefCount { get; set; } = -1;
    public long Size { get; set; } = -1;
}

public sealed class VolumeList
{
    public List<VolumeInfo> Volumes { get; set; } = [];
    public IReadOnlyList<string>? Warnings { get; set; }
}

public sealed class VolumeCreateRequest
{
    public string? Name { get; set; }
    public string? Driver { get; set; }
    public Dictionary<string, string>? DriverOpts { get; set; }
    public Dictionary<string, string>? Labels { get; set; }
}

public sealed class VolumesPruneAnswer
{
    public IReadOnlyList<string>? VolumesDeleted { get; set; }
    public long SpaceReclaimed { get; set; }
}

/// <summary>Hull's: a volume's content kept at a moment.</summary>
public sealed class VolumeSnapshotInfo
{
    public string Name { get; set; } = "";
    public string CreatedAt { get; set; } = Timestamps.Zero;

    /// <summary>Bytes it takes on disk, shared ones included.</summary>
    public long Size { get; set; }
}

/// <summary>Hull's: body of <c>POST /hull/v1/volumes/{name}/snapshots</c>.</summary>
public sealed class VolumeSnapshotRequest
{
    public string? Name { get; set; }
}

/// <summary>Hull's: body of <c>POST /hull/v1/volumes/{name}/clone</c>.</summary>
public sealed class VolumeCloneRequest
{
    public string? Name { get; set; }

    /// <summary>Null for the content of now.</summary>
    public string? Snapshot { get; set; }

    public Dictionary<string, string>? DriverOpts { get; set; }
    public Dictionary<string, string>? Labels { get; set; }
}
