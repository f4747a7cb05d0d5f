using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Core;

namespace Hull.Oci.Image;

/// <summary>
/// A manifest or index as it was received: the bytes that its digest is over, and what they say. Parsing is
/// strict about what a document is, because a document that can be read as two kinds of thing lets two tools
/// see two different images under one digest (CVE-2021-41190).
/// </summary>
public sealed class ImageDocument
{
    /// <summary>What registries agree to accept at most (distribution-spec, "Pushing Manifests").</summary>
    public const int MaxSize = 4 << 20;

    private ImageDocument(byte[] bytes, string mediaType, Digest digest) =>
        (Bytes, MediaType, Digest) = (bytes, mediaType, digest);

    /// <summary>The original bytes.</summary>
    public byte[] Bytes { get; }

    public string MediaType { get; }

    public Digest Digest { get; }

    /// <summary>Set for an index or a Docker manifest list.</summary>
    public ImageIndex? Index { get; private init; }

    /// <summary>Set for a manifest.</summary>
    public ImageManifest? Manifest { get; private init; }

    public Descriptor Descriptor => new() { MediaType = MediaType, Digest = Digest, Size = Bytes.Length };

    /// <summary>What this document says it is about, or null.</summary>
    public Descriptor? Subject => Manifest?.Subject ?? Index?.Subject;

    /// <summary>The type by which the referrers API filters (distribution-spec, "Listing Referrers").</summary>
    public string? ArtifactType => Index is not null ? Index.ArtifactType
        : !string.IsNullOrEmpty(Manifest!.ArtifactType) ? Manifest.ArtifactType
        : Manifest.Config.MediaType;

    public IReadOnlyDictionary<string, string>? Annotations => Manifest?.Annotations ?? Index?.Annotations;

    /// <summary>Everything the document needs to be whole: an index's manifests, or a manifest's config and layers.</summary>
    public IEnumerable<Descriptor> Children => Index is not null ? Index.Manifests : [Manifest!.Config, .. Manifest.Layers];

    /// <summary>
    /// Reads a manifest or index. <paramref name="mediaType"/> is what the transport or the descriptor said, or null
    /// where nothing said so; a document that says something else of itself is refused.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> for anything malformed,
    /// <see cref="ErrorKind.Unsupported"/> for schema 1 and unknown kinds.</exception>
    public static ImageDocument Parse(byte[] bytes, string? mediaType = null)
    {
        if (bytes.Length > MaxSize) throw HullException.Corrupted($"manifest has {bytes.Length} bytes, more than the {MaxSize} allowed");
        var digest = Digest.Sha256(bytes);
        var actual = Kind(bytes, mediaType, digest);
        if (MediaTypes.IsIndex(actual))
        {
            var index = Read(bytes, ImageJson.Default.ImageIndex, digest);
            Check(index.SchemaVersion, index.Manifests, digest);
            return new ImageDocument(bytes, actual, digest) { Index = index };
        }

        var manifest = Read(bytes, ImageJson.Default.ImageManifest, digest);
        manifest = manifest with { Layers = manifest.Layers ?? [] };
        Check(manifest.SchemaVersion, [manifest.Config, .. manifest.Layers], digest);
        return new ImageDocument(bytes, actual, digest) { Manifest = manifest };
    }

    /// <summary>Reads an image configuration; throws <see cref="ErrorKind.DataCorrupted"/>.</summary>
    public static ImageConfig ParseConfig(byte[] bytes)
    {
        var digest = Digest.Sha256(bytes);
        var config = Read(bytes, ImageJson.Default.ImageConfig, digest);
        return config.RootFs?.DiffIds is null || config.RootFs.Type != "layers"
            ? throw HullException.Corrupted($"image configuration {digest.Short} has no rootfs of type 'layers'")
            : config;
    }

    /// <summary>Decides what the document is from its shape, its own word and the transport's, which must all agree.</summary>
    private static string Kind(byte[] bytes, string? claimed, Digest digest)
    {
        var shape = DocumentShape.Of(bytes, digest);
        if (shape.SchemaVersion == 1)
            throw HullException.Unsupported($"manifest {digest.Short} is of Docker's schema 1, which was withdrawn in 2017: push the image again with a current tool");
        claimed = string.IsNullOrEmpty(claimed) || claimed is "application/json" or "application/octet-stream" ? null : claimed;
        if (claimed is not null && shape.MediaType is not null && claimed != shape.MediaType)
            throw HullException.Corrupted($"manifest {digest.Short} was announced as {claimed} and says of itself {shape.MediaType}");
        if (shape.HasManifests && (shape.HasConfig || shape.HasLayers))
            throw HullException.Corrupted($"manifest {digest.Short} is both an index and a manifest");

        var actual = shape.MediaType ?? claimed ?? (shape.HasManifests ? MediaTypes.OciIndex : MediaTypes.OciManifest);
        if (MediaTypes.IsIndex(actual))
        {
            return shape.HasConfig || shape.HasLayers
                ? throw HullException.Corrupted($"index {digest.Short} has the members of a manifest")
                : actual;
        }

        if (!MediaTypes.IsManifest(actual))
            throw HullException.Unsupported($"document {digest.Short} has the media type {actual}, which is neither a manifest nor an index");
        return shape.HasManifests || !shape.HasConfig
            ? throw HullException.Corrupted($"manifest {digest.Short} has no config")
            : actual;
    }

    private static T Read<T>(byte[] bytes, JsonTypeInfo<T> type, Digest digest)
    {
        try
        {
            return JsonSerializer.Deserialize(bytes, type) ?? throw HullException.Corrupted($"document {digest.Short} is null");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException or FormatException or InvalidOperationException)
        {
            throw HullException.Corrupted($"document {digest.Short} cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    private static void Check(int schemaVersion, IReadOnlyList<Descriptor>? children, Digest digest)
    {
        if (schemaVersion != 2) throw HullException.Corrupted($"manifest {digest.Short} has the schema version {schemaVersion}, expected 2");
        if (children is null) throw HullException.Corrupted($"index {digest.Short} has no manifests");
        foreach (var child in children)
        {
            if (child is null || child.MediaType is null || child.Digest.Hex is null || child.Size < 0)
                throw HullException.Corrupted($"manifest {digest.Short} has an incomplete descriptor");
        }
    }

    /// <summary>The top-level members by which kinds of document are told apart.</summary>
    private readonly record struct DocumentShape(int SchemaVersion, string? MediaType, bool HasManifests, bool HasConfig, bool HasLayers)
    {
        public static DocumentShape Of(byte[] bytes, Digest digest)
        {
            try
            {
                return Scan(new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = 32 }));
            }
            catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
            {
                throw HullException.Corrupted($"document {digest.Short} is not valid JSON", error);
            }
        }

        private static DocumentShape Scan(Utf8JsonReader reader)
        {
            var shape = default(DocumentShape);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new JsonException("not an object");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                reader.Read();
                // Go's decoder, which most peers use, matches names without regard to case. Two spellings of one
                // member would be two documents under one digest.
                if (IsShadow(name)) throw new JsonException($"member '{name}' differs only in case from a member of the specification");
                shape = name switch
                {
                    "schemaVersion" => shape with { SchemaVersion = reader.GetInt32() },
                    "mediaType" => shape.MediaType is null ? shape with { MediaType = NullIfEmpty(reader.GetString()) } : throw Twice(name),
                    "manifests" => !shape.HasManifests ? shape with { HasManifests = true } : throw Twice(name),
                    "config" => !shape.HasConfig ? shape with { HasConfig = true } : throw Twice(name),
                    "layers" or "fsLayers" => !shape.HasLayers ? shape with { HasLayers = true } : throw Twice(name),
                    _ => shape,
                };
                reader.Skip();
            }

            return shape;
        }

        private static string? NullIfEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;

        private static JsonException Twice(string name) => new($"member '{name}' is there twice");

        private static bool IsShadow(string name)
        {
            foreach (var known in (ReadOnlySpan<string>)["schemaVersion", "mediaType", "manifests", "config", "layers", "subject"])
            {
                if (name != known && name.Equals(known, StringComparison.OrdinalIgnoreCase)) return true;
            }

            return false;
        }
    }
}
