using System.Text.Json.Serialization;

namespace Hull.Protocol.Containers;

/// <summary>Body of <c>POST /hull/v1/workloads/{name}/fork</c>.</summary>
public sealed record ForkWorkloadRequest(int Count, List<string> Names);

/// <param name="Names">Of the forks, in the order they were made.</param>
/// <param name="PauseMilliseconds">How long the programs of the source stood still.</param>
public sealed record ForkWorkloadAnswer(List<string> Names, double PauseMilliseconds);

/// <summary>Body of <c>POST /hull/v1/workloads/{name}/snapshots</c>.</summary>
public sealed record WorkloadSnapshotRequest(string Name);

/// <param name="PauseMilliseconds">How long the programs stood still; 0 in lists.</param>
public sealed record WorkloadSnapshotResource(string Name, DateTimeOffset Created, double PauseMilliseconds);

/// <summary>JSON of the engine's own API for workloads.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ForkWorkloadRequest))]
[JsonSerializable(typeof(ForkWorkloadAnswer))]
[JsonSerializable(typeof(WorkloadSnapshotRequest))]
[JsonSerializable(typeof(List<WorkloadSnapshotResource>))]
public sealed partial class WorkloadProtocolJson : JsonSerializerContext;
