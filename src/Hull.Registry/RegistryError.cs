using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Registry.Http;

namespace Hull.Registry;

/// <summary>A failure in the words of the distribution-spec ("Error Codes"), with the HTTP status it goes out under.</summary>
public sealed class RegistryError(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    public static RegistryError NameInvalid(string name) => new(400, "NAME_INVALID", $"invalid repository name '{Shorten(name)}'");

    public static RegistryError NameUnknown(string name) => new(404, "NAME_UNKNOWN", $"repository {name} does not exist");

    public static RegistryError ManifestUnknown(string name) => new(404, "MANIFEST_UNKNOWN", $"manifest {Shorten(name)} does not exist");

    public static RegistryError ManifestInvalid(string message) => new(400, "MANIFEST_INVALID", message);

    public static RegistryError ManifestBlobUnknown(string digest) => new(404, "MANIFEST_BLOB_UNKNOWN", $"blob {digest} of the manifest is not in the repository");

    public static RegistryError BlobUnknown(string digest) => new(404, "BLOB_UNKNOWN", $"blob {digest} is not in the repository");

    public static RegistryError UploadUnknown(string id) => new(404, "BLOB_UPLOAD_UNKNOWN", $"upload {Shorten(id)} does not exist");

    public static RegistryError UploadInvalid(string message, int status = 400) => new(status, "BLOB_UPLOAD_INVALID", message);

    public static RegistryError DigestInvalid(string message) => new(400, "DIGEST_INVALID", message);

    public static RegistryError SizeInvalid(string message) => new(400, "SIZE_INVALID", message);

    public static RegistryError Unsupported(string message, int status = 405) => new(status, "UNSUPPORTED", message);

    public static RegistryError Denied(string message) => new(403, "DENIED", message);

    /// <summary>The answer that tells a client.</summary>
    public HttpResponse ToResponse() => new HttpResponse(Status)
    {
        Bytes = JsonSerializer.SerializeToUtf8Bytes(new RegistryErrorBody([new RegistryErrorEntry(Code, Message)]), RegistryJson.Default.RegistryErrorBody),
    }.With("Content-Type", "application/json");

    private static string Shorten(string text) => text.Length <= 100 ? text : text[..100] + "…";
}

internal sealed record RegistryErrorBody([property: JsonPropertyName("errors")] IReadOnlyList<RegistryErrorEntry> Errors);

internal sealed record RegistryErrorEntry([property: JsonPropertyName("code")] string Code, [property: JsonPropertyName("message")] string Message);

internal sealed record TagListBody([property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("tags")] IReadOnlyList<string> Tags);

internal sealed record CatalogBody([property: JsonPropertyName("repositories")] IReadOnlyList<string> Repositories);

/// <summary>Serialization of the registry's own small documents, generated at build time.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 16)]
[JsonSerializable(typeof(RegistryErrorBody))]
[JsonSerializable(typeof(TagListBody))]
[JsonSerializable(typeof(CatalogBody))]
[JsonSerializable(typeof(Access.TokenHeader))]
[JsonSerializable(typeof(Access.TokenClaims))]
internal sealed partial class RegistryJson : JsonSerializerContext;
