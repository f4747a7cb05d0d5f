using System.Text.Json.Serialization;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// The document <c>config.json</c> of a workload: what was asked, and what was decided once when it was created. Changes
/// by rename and update only, always as a whole.
/// </summary>
public sealed record WorkloadRecord
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required WorkloadConfig Config { get; init; }
    public required EffectiveProcess Process { get; init; }

    /// <summary>Digest of the image's config; empty without an image.</summary>
    public string ImageId { get; init; } = "";

    /// <summary>Digest of the image's manifest.</summary>
    public string ManifestDigest { get; init; } = "";

    public required string Isolation { get; init; }
    public required string Platform { get; init; }
    public required string LogDriver { get; init; }
    public IReadOnlyDictionary<string, string> LogOptions { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's labels over the image's.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<MountPoint> Mounts { get; init; } = [];

    /// <summary>The ids of its user namespace, for as long as it exists; null in the host's.</summary>
    public Users.UserMap? UserMap { get; init; }

    /// <summary>Id of the workload whose user namespace it is in; null where it has its own or the host's.</summary>
    public string? UserNamespaceOf { get; init; }

    /// <summary>A root snapshot exists under the workload's id.</summary>
    public bool HasSnapshot { get; init; }

    /// <summary>Attachments in force, by network name: those asked for, and those made and broken since.</summary>
    public IReadOnlyDictionary<string, AttachmentConfig> Networks { get; init; } = new Dictionary<string, AttachmentConfig>();
}

/// <summary>The engine's documents.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(WorkloadRecord))]
[JsonSerializable(typeof(WorkloadState))]
[JsonSerializable(typeof(InstanceSpec))]
internal sealed partial class EngineJson : JsonSerializerContext;
