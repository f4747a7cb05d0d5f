using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;

namespace Hull.Oci.Image;

/// <summary>Serialization of the image-spec documents, generated at build time.</summary>
[JsonSourceGenerationOptions(
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(DigestConverter)],
    MaxDepth = 32)]
[JsonSerializable(typeof(Descriptor))]
[JsonSerializable(typeof(ImageIndex))]
[JsonSerializable(typeof(ImageManifest))]
[JsonSerializable(typeof(ImageConfig))]
[JsonSerializable(typeof(ContainerDefaults))]
[JsonSerializable(typeof(LayoutMarker))]
[JsonSerializable(typeof(IReadOnlyList<DockerArchiveEntry>))]
public sealed partial class ImageJson : JsonSerializerContext
{
    /// <summary>The document as the bytes that are stored and hashed.</summary>
    public static byte[] Serialize(ImageIndex index) => JsonSerializer.SerializeToUtf8Bytes(index, Default.ImageIndex);

    public static byte[] Serialize(ImageManifest manifest) => JsonSerializer.SerializeToUtf8Bytes(manifest, Default.ImageManifest);

    public static byte[] Serialize(ImageConfig config) => JsonSerializer.SerializeToUtf8Bytes(config, Default.ImageConfig);
}

/// <summary>A digest as the string <c>algorithm:hex</c>; anything else is a malformed document.</summary>
public sealed class DigestConverter : JsonConverter<Digest>
{
    public override Digest Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var text = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return Digest.TryParse(text, out var digest) ? digest : throw new JsonException($"invalid digest '{Shorten(text)}'");
    }

    public override void Write(Utf8JsonWriter writer, Digest value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());

    private static string Shorten(string? text) => text is null ? "" : text.Length <= 80 ? text : text[..80] + "…";
}
