using System.Text.Json.Serialization;

namespace Hull.Protocol.Containers;

/// <summary>Body of <c>POST /hull/v1/groups</c>, and of <c>PUT /hull/v1/groups/{name}</c>, which changes what is given.</summary>
public sealed record GroupRequest(string? Name, ResourceSettings? Resources);

/// <summary>A group of workloads with resources of its own.</summary>
/// <param name="Members">Names of the workloads in it, whether they run or not.</param>
/// <param name="ReservedCpus">Billionths of processors that its running members reserve.</param>
/// <param name="ReservedMemory">Bytes that they reserve.</param>
public sealed record GroupResource(string Name, DateTimeOffset Created, ResourceSettings Resources, List<string> Members, long ReservedCpus, long ReservedMemory);

/// <summary>What a running workload was promised and allowed, and what was taken from it: <c>GET /hull/v1/allocations</c>.</summary>
/// <param name="Group">Empty for none.</param>
/// <param name="Limits">As asked for.</param>
/// <param name="ReservedCpus">Billionths of processors.</param>
/// <param name="ReservedMemory">Bytes; of a virtual machine without a reservation, what counts of its memory.</param>
/// <param name="TakenMemory">Bytes it had to give because memory was short.</param>
/// <param name="TakenFor">The priority that it had to give them for.</param>
public sealed record AllocationResource(string Id, string Name, string Isolation, string Group, int Priority, ResourceSettings Limits, long ReservedCpus, long ReservedMemory,
    long TakenMemory, int TakenFor);

/// <summary>JSON of groups.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(GroupRequest))]
[JsonSerializable(typeof(List<GroupResource>))]
[JsonSerializable(typeof(List<AllocationResource>))]
public sealed partial class GroupProtocolJson : JsonSerializerContext;
