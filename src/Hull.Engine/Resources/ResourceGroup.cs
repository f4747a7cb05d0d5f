using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Resources;

/// <summary>
/// Workloads and full machines that share one allowance: a cgroup above theirs has the group's weights and limits, and its reservation is kept
/// for its members whether they run or not.
/// </summary>
public sealed record ResourceGroup
{
    public required string Name { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Of all members together.</summary>
    public ResourceLimits Resources { get; init; } = new();

    /// <summary>Name of the group's cgroup below the engine's.</summary>
    internal string CgroupName => CgroupPrefix + Name;

    /// <summary>Tells groups from instances, whose names are ids.</summary>
    internal const string CgroupPrefix = "group-";

    internal static void CheckName(string name)
    {
        if (name.Length is 0 or > 64 || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-'))
            throw HullException.Invalid($"invalid group name '{name}': use 1 to 64 of [a-zA-Z0-9_.-], beginning with a letter or digit");
    }
}

/// <param name="Members">Names of the workloads and full machines in it, whether they run or not.</param>
/// <param name="ReservedByMembers">What the running ones reserve of it.</param>
public sealed record GroupStatus(ResourceGroup Group, IReadOnlyList<string> Members, Reservation ReservedByMembers);

/// <summary>The workloads in groups, as the groups see them.</summary>
internal interface IGroupMembers
{
    /// <summary>Names of those in a group.</summary>
    IReadOnlyList<string> MembersOf(string group);

    /// <summary>Throws where what a group is to be contradicts what a member has.</summary>
    void CheckMembers(ResourceGroup group);

    /// <summary>Lets the running ones have what is not their cgroup's.</summary>
    Task ApplyAsync(ResourceGroup group, CancellationToken cancellationToken);
}

/// <summary>A kind of instances that share the machine with others: full machines beside workloads.</summary>
internal interface IResourceHolders : IGroupMembers
{
    /// <summary>Those that run, and memory can be taken from.</summary>
    IReadOnlyList<IReclaimable> Reclaimables();

    /// <param name="taken">What was taken from one, by its id; null for nothing.</param>
    IReadOnlyList<Allocation> Allocations(Func<string, Taken?> taken);

    /// <summary>Gives it who is to be told of starts, ends and changes of priority.</summary>
    void Attach(Reclaimer reclaimer);
}

/// <summary>The engine's groups.</summary>
public interface IResourceGroups
{
    /// <summary><see cref="ErrorKind.Conflict"/> for a name in use, <see cref="ErrorKind.ResourceExhausted"/> for a reservation that is not to be had.</summary>
    ResourceGroup Create(string name, ResourceLimits limits);

    /// <summary>By name.</summary>
    IReadOnlyList<GroupStatus> List();

    GroupStatus Get(string name);

    /// <summary>Null where there is none of that name.</summary>
    ResourceGroup? TryGet(string name);

    /// <summary>Sees to the cgroup that a member's is made below: it does not outlive a reboot.</summary>
    void Prepare(string name);

    /// <summary>Changes what is not null, at once for all members that run.</summary>
    Task<ResourceGroup> UpdateAsync(string name, ResourceLimits limits, CancellationToken cancellationToken);

    /// <summary><see cref="ErrorKind.Conflict"/> while it has members.</summary>
    void Remove(string name);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ResourceGroup))]
internal sealed partial class ResourceJson : JsonSerializerContext;
