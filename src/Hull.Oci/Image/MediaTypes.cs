namespace Hull.Oci.Image;

/// <summary>How the bytes of a layer are packed. No media type stands for bzip2 and xz: archives that people make have them.</summary>
public enum LayerCompression
{
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// <summary>Media types of OCI image-spec 1.1 (media-types.md) and of Docker's image manifest version 2, schema 2.</summary>
public static class MediaTypes
{
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciConfig = "application/vnd.oci.image.config.v1+json";
    public const string OciLayer = "application/vnd.oci.image.layer.v1.tar";
    public const string OciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    public const string OciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    public const string OciForeignLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    public const string OciForeignLayerGzip = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    public const string OciForeignLayerZstd = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    public const string OciEmpty = "application/vnd.oci.empty.v1+json";

    public const string DockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerManifestV1 = "application/vnd.docker.distribution.manifest.v1+json";
    public const string DockerManifestV1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    public const string DockerConfig = "application/vnd.docker.container.image.v1+json";
    public const string DockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
    public const string DockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    public const string DockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    public const string DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    public const string DockerForeignLayerGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

    /// <summary>What a client that understands everything here puts into its Accept header, best first.</summary>
    public static IReadOnlyList<string> Manifests { get; } = [OciIndex, OciManifest, DockerIndex, DockerManifest];

    public static bool IsIndex(string mediaType) => mediaType is OciIndex or DockerIndex;

    public static bool IsManifest(string mediaType) => mediaType is OciManifest or DockerManifest;

    public static bool IsConfig(string mediaType) => mediaType is OciConfig or DockerConfig;

    /// <summary>Docker's schema 1, which no image of the last years has and which this engine refuses by name.</summary>
    public static bool IsSchema1(string mediaType) => mediaType is DockerManifestV1 or DockerManifestV1Signed;

    /// <summary>A layer of a root file system, as opposed to a blob of an artifact or of an attestation.</summary>
    public static bool IsLayer(string mediaType) => mediaType
        is OciLayer or OciLayerGzip or OciLayerZstd or OciForeignLayer or OciForeignLayerGzip or OciForeignLayerZstd
        or DockerLayer or DockerLayerGzip or DockerLayerZstd or DockerForeignLayer or DockerForeignLayerGzip;

    /// <summary>A layer that its registry need not hold: it is fetched from the descriptor's urls and not pushed by default.</summary>
    public static bool IsForeign(string mediaType) => mediaType
        is OciForeignLayer or OciForeignLayerGzip or OciForeignLayerZstd or DockerForeignLayer or DockerForeignLayerGzip;

    /// <summary>How a layer of this media type is packed; what the bytes start with decides in doubt.</summary>
    public static LayerCompression CompressionOf(string mediaType) => mediaType switch
    {
        OciLayerGzip or OciForeignLayerGzip or DockerLayerGzip or DockerForeignLayerGzip => LayerCompression.Gzip,
        OciLayerZstd or OciForeignLayerZstd or DockerLayerZstd => LayerCompression.Zstd,
        _ => LayerCompression.None,
    };
}

/// <summary>Annotation keys of image-spec annotations.md and the few of other tools that this engine reads.</summary>
public static class AnnotationKeys
{
    public const string RefName = "org.opencontainers.image.ref.name";
    public const string Created = "org.opencontainers.image.created";
    public const string BaseName = "org.opencontainers.image.base.name";
    public const string BaseDigest = "org.opencontainers.image.base.digest";

    /// <summary>containerd's and docker's key for the whole reference in an OCI archive's index.json.</summary>
    public const string ContainerdImageName = "io.containerd.image.name";

    /// <summary>BuildKit marks provenance and SBOM manifests inside an index with this key and the value <c>attestation-manifest</c>.</summary>
    public const string DockerReferenceType = "vnd.docker.reference.type";

    public const string DockerReferenceDigest = "vnd.docker.reference.digest";
}
