using System.Text.Json.Serialization;
using Hull.Linux.Cgroups;

namespace Hull.Runtime.State;

/// <summary>
/// What a container's state.json holds. It is written before anything outside the state directory is made, so that
/// whoever finds it can undo all of it, and again when init is there.
/// </summary>
internal sealed record StoredState
{
    public required string Id { get; init; }

    public required string OciVersion { get; init; }

    public required string Bundle { get; init; }

    public required string Rootfs { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required uint OwnerUser { get; init; }

    public required CgroupRecord Cgroup { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <summary>Init, or 0 before it was made.</summary>
    public int Pid { get; init; }

    /// <summary>Start time of init in clock ticks since boot, which tells it from a later process of the same number.</summary>
    public ulong StartTime { get; init; }

    /// <summary>Kinds of namespaces the container does not share with the runtime.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = [];

    public bool Rootless { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StoredState))]
internal sealed partial class StateJson : JsonSerializerContext;
