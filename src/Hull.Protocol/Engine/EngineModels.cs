using System.Text.Json.Serialization;

namespace Hull.Protocol;

public sealed class ErrorAnswer
{
    [JsonPropertyName("message")]
    public string Message { get; set; } = "";
}

/// <summary>Answer to <c>GET /version</c>.</summary>
public sealed class VersionAnswer
{
    public PlatformName Platform { get; set; } = new();
    public List<VersionComponent> Components { get; set; } = [];
    public string Version { get; set; } = "";
    public string ApiVersion { get; set; } = "";
    public string MinAPIVersion { get; set; } = "";
    public string GitCommit { get; set; } = "";
    public string GoVersion { get; set; } = "";
    public string Os { get; set; } = "linux";
    public string Arch { get; set; } = "";
    public string KernelVersion { get; set; } = "";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Experimental { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? BuildTime { get; set; }
}

public sealed class PlatformName
{
    public string Name { get; set; } = "";
}

public sealed class VersionComponent
{
    public string Name { get; set; } = "";
    public string Version { get; set; } = "";
    public Dictionary<string, string> Details { get; set; } = [];
}

/// <summary>A line of <c>GET /events</c>.</summary>
public sealed class EventMessage
{
    [JsonPropertyName("status"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Status { get; set; }

    [JsonPropertyName("id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; set; }

    [JsonPropertyName("from"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? From { get; set; }

    public string Type { get; set; } = "";
    public string Action { get; set; } = "";
    public EventActor Actor { get; set; } = new();

    [JsonPropertyName("scope")]
    public string Scope { get; set; } = "local";

    [JsonPropertyName("time")]
    public long Time { get; set; }

    [JsonPropertyName("timeNano")]
    public long TimeNano { get; set; }
}

public sealed class EventActor
{
    public string ID { get; set; } = "";
    public IReadOnlyDictionary<string, string> Attributes { get; set; } = new Dictionary<string, string>();
}

/// <summary>Answer to <c>GET /system/df</c>.</summary>
public sealed class DiskUsageAnswer
{
    public long LayersSize { get; set; }
    public List<ImageSummary>? Images { get; set; }
    public List<ContainerSummary>? Containers { get; set; }
    public List<VolumeInfo>? Volumes { get; set; }
    public List<BuildCacheRecord>? BuildCache { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? BuilderSize { get; set; }
}

public sealed class BuildCacheRecord
{
    public string ID { get; set; } = "";
    public long Size { get; set; }
}

public sealed class BuildPruneAnswer
{
    public IReadOnlyList<string> CachesDeleted { get; set; } = [];
    public long SpaceReclaimed { get; set; }
}

/// <summary>Answer to <c>GET /hull/v1/doctor</c>, and what <c>hulld --diagnose</c> prints.</summary>
public sealed class DoctorAnswer
{
    public List<DoctorFinding> Findings { get; set; } = [];
}

/// <summary>One thing that was looked at.</summary>
public sealed class DoctorFinding
{
    public string Area { get; set; } = "";

    /// <summary><c>ok</c>, <c>warning</c> or <c>error</c>.</summary>
    public string Level { get; set; } = "";

    public string Message { get; set; } = "";

    /// <summary>What to do about it; empty where nothing is to be done.</summary>
    public string Remedy { get; set; } = "";
}
