using System.Text.Json.Serialization;

namespace Hull.Images.Distribution;

/// <summary>Serialization of the small documents of the distribution protocol, generated at build time.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 32, ReadCommentHandling = System.Text.Json.JsonCommentHandling.Skip, AllowTrailingCommas = true)]
[JsonSerializable(typeof(RegistriesConfig))]
[JsonSerializable(typeof(TokenResponse))]
[JsonSerializable(typeof(RegistryErrors))]
[JsonSerializable(typeof(TagList))]
[JsonSerializable(typeof(HelperCredential))]
internal sealed partial class DistributionJson : JsonSerializerContext;

/// <summary>What a token server answers (distribution's token authentication specification).</summary>
internal sealed record TokenResponse
{
    [JsonPropertyName("token")]
    public string? Token { get; init; }

    [JsonPropertyName("access_token")]
    public string? AccessToken { get; init; }

    [JsonPropertyName("expires_in")]
    public double? ExpiresIn { get; init; }
}

/// <summary>The body of an answer that is an error (distribution-spec, "Error Codes").</summary>
internal sealed record RegistryErrors
{
    [JsonPropertyName("errors")]
    public IReadOnlyList<RegistryError>? Errors { get; init; }
}

internal sealed record RegistryError
{
    [JsonPropertyName("code")]
    public string? Code { get; init; }

    [JsonPropertyName("message")]
    public string? Message { get; init; }
}

internal sealed record TagList
{
    [JsonPropertyName("name")]
    public string? Name { get; init; }

    [JsonPropertyName("tags")]
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>What a credential helper prints for <c>get</c> and reads for <c>store</c>.</summary>
internal sealed record HelperCredential
{
    public string? ServerURL { get; init; }

    public string? Username { get; init; }

    public string? Secret { get; init; }
}
