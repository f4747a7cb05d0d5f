using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hull.Protocol;

/// <summary>
/// JSON of the Docker Engine API. Names are written exactly; they are read without regard to case and null stands
/// for an absent number, as Go's decoder, against which clients are written, has it.
/// </summary>
[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true, GenerationMode = JsonSourceGenerationMode.Metadata,
    MaxDepth = 32, AllowTrailingCommas = false, UseStringEnumConverter = false,
    Converters = [typeof(LenientInt64Converter), typeof(LenientInt32Converter), typeof(LenientBooleanConverter)])]
[JsonSerializable(typeof(ErrorAnswer))]
[JsonSerializable(typeof(VersionAnswer))]
[JsonSerializable(typeof(InfoAnswer))]
[JsonSerializable(typeof(EventMessage))]
[JsonSerializable(typeof(DiskUsageAnswer))]
[JsonSerializable(typeof(BuildPruneAnswer))]
[JsonSerializable(typeof(DoctorAnswer))]
[JsonSerializable(typeof(ContainerCreateRequest))]
[JsonSerializable(typeof(ContainerUpdateRequest))]
[JsonSerializable(typeof(ContainerConfig))]
[JsonSerializable(typeof(ContainerInspect))]
[JsonSerializable(typeof(List<ContainerSummary>))]
[JsonSerializable(typeof(ContainerCreateAnswer))]
[JsonSerializable(typeof(ContainerUpdateAnswer))]
[JsonSerializable(typeof(ContainerWaitAnswer))]
[JsonSerializable(typeof(ContainerTopAnswer))]
[JsonSerializable(typeof(ContainerStats))]
[JsonSerializable(typeof(List<ContainerStats>))]
[JsonSerializable(typeof(List<FilesystemChange>))]
[JsonSerializable(typeof(ContainersPruneAnswer))]
[JsonSerializable(typeof(PathStatInfo))]
[JsonSerializable(typeof(ExecCreateRequest))]
[JsonSerializable(typeof(ExecStartBody))]
[JsonSerializable(typeof(ExecInspect))]
[JsonSerializable(typeof(IdAnswer))]
[JsonSerializable(typeof(List<ImageSummary>))]
[JsonSerializable(typeof(ImageInspect))]
[JsonSerializable(typeof(List<ImageHistoryItem>))]
[JsonSerializable(typeof(List<ImageDeleteItem>))]
[JsonSerializable(typeof(ImagesPruneAnswer))]
[JsonSerializable(typeof(DistributionInspect))]
[JsonSerializable(typeof(RegistryAuth))]
[JsonSerializable(typeof(Dictionary<string, RegistryAuth>))]
[JsonSerializable(typeof(AuthAnswer))]
[JsonSerializable(typeof(ProgressMessage))]
[JsonSerializable(typeof(List<NetworkResource>))]
[JsonSerializable(typeof(NetworkCreateRequest))]
[JsonSerializable(typeof(NetworkCreateAnswer))]
[JsonSerializable(typeof(NetworkConnectRequest))]
[JsonSerializable(typeof(NetworkDisconnectRequest))]
[JsonSerializable(typeof(NetworksPruneAnswer))]
[JsonSerializable(typeof(VolumeList))]
[JsonSerializable(typeof(VolumeInfo))]
[JsonSerializable(typeof(VolumeCreateRequest))]
[JsonSerializable(typeof(VolumesPruneAnswer))]
[JsonSerializable(typeof(VolumeSnapshotInfo))]
[JsonSerializable(typeof(List<VolumeSnapshotInfo>))]
[JsonSerializable(typeof(VolumeSnapshotRequest))]
[JsonSerializable(typeof(VolumeCloneRequest))]
public sealed partial class DockerJson : JsonSerializerContext
{
    /// <summary>As <c>Default</c>, without escaping what only HTML would need escaped.</summary>
    public static DockerJson Wire { get; } = new(new JsonSerializerOptions
    {
        PropertyNameCaseInsensitive = true,
        MaxDepth = 32,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new LenientInt64Converter(), new LenientInt32Converter(), new LenientBooleanConverter() },
    });
}
