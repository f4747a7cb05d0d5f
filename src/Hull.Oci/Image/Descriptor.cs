using System.Text.Json.Serialization;
using Hull.Core;

namespace Hull.Oci.Image;

/// <summary>Type, digest and size of a piece of content (image-spec descriptor.md).</summary>
public sealed record Descriptor
{
    [JsonPropertyName("mediaType")]
    public required string MediaType { get; init; }

    [JsonPropertyName("digest")]
    public required Digest Digest { get; init; }

    /// <summary>Bytes of the content as stored and sent.</summary>
    [JsonPropertyName("size")]
    public required long Size { get; init; }

    /// <summary>Where else the content can be fetched; used by foreign layers.</summary>
    [JsonPropertyName("urls")]
    public IReadOnlyList<string>? Urls { get; init; }

    [JsonPropertyName("annotations")]
    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <summary>The content itself, for small content. It is data like any other: its digest is checked before use.</summary>
    [JsonPropertyName("data")]
    public byte[]? Data { get; init; }

    /// <summary>The platform an index says this manifest is for.</summary>
    [JsonPropertyName("platform")]
    public DescriptorPlatform? Platform { get; init; }

    [JsonPropertyName("artifactType")]
    public string? ArtifactType { get; init; }

    /// <summary>The annotation's value, or null.</summary>
    public string? Annotation(string key) => Annotations is not null && Annotations.TryGetValue(key, out var value) ? value : null;

    /// <summary>BuildKit's provenance and SBOM manifests sit in an index beside images and are none themselves.</summary>
    [JsonIgnore]
    public bool IsAttestation => Annotation(AnnotationKeys.DockerReferenceType) == "attestation-manifest";

    /// <summary>Only what identifies the content: type, digest, size.</summary>
    public Descriptor Bare() => new() { MediaType = MediaType, Digest = Digest, Size = Size };
}

/// <summary>The <c>platform</c> object of an index entry (image-spec image-index.md).</summary>
public sealed record DescriptorPlatform
{
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

    public Platform ToPlatform() => new(Os, Architecture, string.IsNullOrEmpty(Variant) ? null : Variant);

    public static DescriptorPlatform From(Platform platform) =>
        new() { Os = platform.Os, Architecture = platform.Architecture, Variant = platform.Variant };
}
