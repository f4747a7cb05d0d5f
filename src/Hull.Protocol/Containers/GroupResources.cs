using System.Text.Json.Serialization;

namespace Hull.Protocol.Containers;

/// <summary>Body of <c>POST /hull/v1/groups</c>, and of <c>PUT /hull/v1/groups/{name}</c>, which changes what is given.</summary>
public sealed record GroupRequest(string? Name, ResourceSettings? Resources);

/// <summary>A group of workloads with resources of its own.</summary>
/// <param name="Members">Names of the workloads in it, whether they run or not.</param>
/// <param name="ReservedCpus">Billionths of processors that its running members reserve.</param>
/// <param name="ReservedMemory">Bytes that they reserve.</param>
public sealed record GroupResource(string Name, DateTimeOffset Created, ResourceSettings Resources, List<string> Members, long ReservedCpus, long ReservedMemory);

/// <summary>JSON of groups.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(GroupRequest))]
[JsonSerializable(typeof(List<GroupResource>))]
public sealed partial class GroupProtocolJson : JsonSerializerContext;
