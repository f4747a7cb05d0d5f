using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;

namespace Hull.Oci.Image;

/// <summary>
/// The image configuration (image-spec config.md), with the fields Docker adds. Fields of other tools are kept
/// in <see cref="Other"/>, so that an image committed from another one loses nothing.
/// </summary>
public sealed record ImageConfig
{
    [JsonPropertyName("created")]
    public DateTimeOffset? Created { get; init; }

    [JsonPropertyName("author")]
    public string? Author { get; init; }

    [JsonPropertyName("architecture")]
    public string Architecture { get; init; } = "";

    [JsonPropertyName("os")]
    public string Os { get; init; } = "";

    [JsonPropertyName("os.version")]
    public string? OsVersion { get; init; }

    [JsonPropertyName("os.features")]
    public IReadOnlyList<string>? OsFeatures { get; init; }

    [JsonPropertyName("variant")]
    public string? Variant { get; init; }

    /// <summary>What a container made from the image runs as; defaults that the user can override.</summary>
    [JsonPropertyName("config")]
    public ContainerDefaults? Config { get; init; }

    [JsonPropertyName("rootfs")]
    public RootFileSystem RootFs { get; init; } = new();

    [JsonPropertyName("history")]
    public IReadOnlyList<HistoryEntry>? History { get; init; }

    /// <summary>Docker: the comment given to <c>docker commit</c> or <c>import</c>.</summary>
    [JsonPropertyName("comment")]
    public string? Comment { get; init; }

    /// <summary>Docker: version of the engine that built the image.</summary>
    [JsonPropertyName("docker_version")]
    public string? DockerVersion { get; init; }

    /// <summary>Docker: id of the container the image was committed from.</summary>
    [JsonPropertyName("container")]
    public string? Container { get; init; }

    /// <summary>Docker: configuration of the container the image was committed from.</summary>
    [JsonPropertyName("container_config")]
    public ContainerDefaults? ContainerConfig { get; init; }

    /// <summary>Members nobody here knows, byte for byte.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Other { get; set; }

    [JsonIgnore]
    public Platform Platform => new(Os, Architecture, string.IsNullOrEmpty(Variant) ? null : Variant);
}

/// <summary>The <c>config</c> member of an image configuration, with Docker's additions (health check, on-build, shell).</summary>
public sealed record ContainerDefaults
{
    [JsonPropertyName("Hostname")]
    public string? Hostname { get; init; }

    [JsonPropertyName("Domainname")]
    public string? Domainname { get; init; }

    /// <summary><c>user[:group]</c>, names or numbers.</summary>
    [JsonPropertyName("User")]
    public string? User { get; init; }

    /// <summary>Keys are <c>port/protocol</c>; the values are always empty.</summary>
    [JsonPropertyName("ExposedPorts")]
    public IReadOnlyDictionary<string, Empty>? ExposedPorts { get; init; }

    /// <summary><c>NAME=value</c>.</summary>
    [JsonPropertyName("Env")]
    public IReadOnlyList<string>? Env { get; init; }

    [JsonPropertyName("Entrypoint")]
    public IReadOnlyList<string>? Entrypoint { get; init; }

    [JsonPropertyName("Cmd")]
    public IReadOnlyList<string>? Cmd { get; init; }

    /// <summary>Docker on Windows: the command line is already escaped.</summary>
    [JsonPropertyName("ArgsEscaped")]
    public bool? ArgsEscaped { get; init; }

    /// <summary>Directories that get an anonymous volume.</summary>
    [JsonPropertyName("Volumes")]
    public IReadOnlyDictionary<string, Empty>? Volumes { get; init; }

    [JsonPropertyName("WorkingDir")]
    public string? WorkingDir { get; init; }

    [JsonPropertyName("Labels")]
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    [JsonPropertyName("StopSignal")]
    public string? StopSignal { get; init; }

    /// <summary>Docker: seconds between the stop signal and SIGKILL.</summary>
    [JsonPropertyName("StopTimeout")]
    public int? StopTimeout { get; init; }

    [JsonPropertyName("Healthcheck")]
    public HealthCheck? Healthcheck { get; init; }

    /// <summary>Docker: instructions to run when the image is built upon.</summary>
    [JsonPropertyName("OnBuild")]
    public IReadOnlyList<string>? OnBuild { get; init; }

    /// <summary>Docker: the shell of the shell form of RUN, CMD and ENTRYPOINT.</summary>
    [JsonPropertyName("Shell")]
    public IReadOnlyList<string>? Shell { get; init; }

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Other { get; set; }
}

/// <summary>The empty object that image configurations use as the value of a set's member.</summary>
public sealed record Empty
{
    public static Empty Value { get; } = new();
}

/// <summary>Docker's HEALTHCHECK. Durations are nanoseconds; zero means inherit.</summary>
public sealed record HealthCheck
{
    /// <summary><c>NONE</c>, or <c>CMD</c> and arguments, or <c>CMD-SHELL</c> and a command line; empty inherits.</summary>
    [JsonPropertyName("Test")]
    public IReadOnlyList<string>? Test { get; init; }

    [JsonPropertyName("Interval")]
    public long? Interval { get; init; }

    [JsonPropertyName("Timeout")]
    public long? Timeout { get; init; }

    [JsonPropertyName("StartPeriod")]
    public long? StartPeriod { get; init; }

    [JsonPropertyName("StartInterval")]
    public long? StartInterval { get; init; }

    [JsonPropertyName("Retries")]
    public int? Retries { get; init; }
}

/// <summary>The uncompressed digests of the layers, lowest first.</summary>
public sealed record RootFileSystem
{
    [JsonPropertyName("type")]
    public string Type { get; init; } = "layers";

    [JsonPropertyName("diff_ids")]
    public IReadOnlyList<Digest> DiffIds { get; init; } = [];
}

/// <summary>How a layer, or with <see cref="EmptyLayer"/> a mere change of configuration, came about.</summary>
public sealed record HistoryEntry
{
    [JsonPropertyName("created")]
    public DateTimeOffset? Created { get; init; }

    [JsonPropertyName("created_by")]
    public string? CreatedBy { get; init; }

    [JsonPropertyName("author")]
    public string? Author { get; init; }

    [JsonPropertyName("comment")]
    public string? Comment { get; init; }

    [JsonPropertyName("empty_layer")]
    public bool? EmptyLayer { get; init; }
}

/// <summary>The <c>oci-layout</c> file (image-spec image-layout.md).</summary>
public sealed record LayoutMarker
{
    [JsonPropertyName("imageLayoutVersion")]
    public string ImageLayoutVersion { get; init; } = "1.0.0";
}

/// <summary>One image in the <c>manifest.json</c> of a <c>docker save</c> archive.</summary>
public sealed record DockerArchiveEntry
{
    [JsonPropertyName("Config")]
    public string Config { get; init; } = "";

    [JsonPropertyName("RepoTags")]
    public IReadOnlyList<string>? RepoTags { get; init; }

    [JsonPropertyName("Layers")]
    public IReadOnlyList<string> Layers { get; init; } = [];
}
