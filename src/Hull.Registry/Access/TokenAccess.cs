using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Registry.Http;

namespace Hull.Registry.Access;

internal sealed record TokenHeader([property: JsonPropertyName("alg")] string? Algorithm, [property: JsonPropertyName("typ")] string? Type);

/// <summary>The claims of a token (RFC 7519, 4.1, and distribution's <c>access</c>).</summary>
internal sealed record TokenClaims
{
    [JsonPropertyName("iss")]
    public string? Issuer { get; init; }

    /// <summary>A text or a list of texts.</summary>
    [JsonPropertyName("aud")]
    public JsonElement Audience { get; init; }

    [JsonPropertyName("exp")]
    public double? Expires { get; init; }

    [JsonPropertyName("nbf")]
    public double? NotBefore { get; init; }

    [JsonPropertyName("access")]
    public IReadOnlyList<TokenGrant>? Access { get; init; }
}

internal sealed record TokenGrant(
    [property: JsonPropertyName("type")] string? Type, [property: JsonPropertyName("name")] string? Name, [property: JsonPropertyName("actions")] IReadOnlyList<string>? Actions);

/// <summary>
/// Bearer tokens of a token server: JSON web tokens signed with RS256 or ES256 (RFC 7515, RFC 7518) by one of the
/// configured keys. The algorithm is the key's, never the token's choice.
/// </summary>
public sealed class TokenAccess : IAccessPolicy
{
    private const int MaximumToken = 16 << 10;

    /// <summary>How far the clocks of the token server and of this machine may be apart.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromSeconds(60);

    private readonly TokenOptions _options;
    private readonly bool _anonymousPull;
    private readonly TimeProvider _clock;
    private readonly List<(string Algorithm, AsymmetricAlgorithm Key)> _keys;

    public TokenAccess(TokenOptions options, bool anonymousPull, TimeProvider clock)
    {
        (_options, _anonymousPull, _clock) = (options, anonymousPull, clock);
        _keys = LoadKeys(options.KeyFile);
    }

    public HttpResponse? Check(HttpRequest request, RegistryAction action, string repository)
    {
        var header = request.Headers["Authorization"];
        if (header is null && _anonymousPull && action == RegistryAction.Pull) return null;
        if (header is null || !header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)) return Challenge(action, repository, "");
        if (Verify(header[7..].Trim()) is not { } claims) return Challenge(action, repository, "invalid_token");
        return Grants(claims, action, repository) ? null : Challenge(action, repository, "insufficient_scope");
    }

    /// <summary>The claims of a token that is signed, meant for this registry and valid now; else null.</summary>
    internal TokenClaims? Verify(string token)
    {
        var parts = token.Split('.');
        if (token.Length > MaximumToken || parts.Length != 3) return null;
        try
        {
            var header = JsonSerializer.Deserialize(Base64Url.DecodeFromChars(parts[0]), RegistryJson.Default.TokenHeader);
            var signed = Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]);
            var signature = Base64Url.DecodeFromChars(parts[2]);
            if (!_keys.Any(key => key.Algorithm == header?.Algorithm && IsSignedBy(key.Key, signed, signature))) return null;
            var claims = JsonSerializer.Deserialize(Base64Url.DecodeFromChars(parts[1]), RegistryJson.Default.TokenClaims);
            return claims is not null && IsValidNow(claims) ? claims : null;
        }
        catch (Exception error) when (error is JsonException or FormatException or CryptographicException)
        {
            return null;
        }
    }

    private static bool IsSignedBy(AsymmetricAlgorithm key, byte[] signed, byte[] signature) => key switch
    {
        RSA rsa => rsa.VerifyData(signed, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        ECDsa ecdsa => ecdsa.VerifyData(signed, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
        _ => false,
    };

    private bool IsValidNow(TokenClaims claims)
    {
        var now = _clock.GetUtcNow().ToUnixTimeSeconds();
        return claims.Issuer == _options.Issuer
            && IsAudience(claims.Audience)
            && claims.Expires is { } expires && now < expires + Skew.TotalSeconds
            && (claims.NotBefore is not { } notBefore || now >= notBefore - Skew.TotalSeconds);
    }

    private bool IsAudience(JsonElement audience) => audience.ValueKind switch
    {
        JsonValueKind.String => audience.GetString() == _options.Service,
        JsonValueKind.Array => audience.EnumerateArray().Any(entry => entry.ValueKind == JsonValueKind.String && entry.GetString() == _options.Service),
        _ => false,
    };

    private static bool Grants(TokenClaims claims, RegistryAction action, string repository)
    {
        if (action == RegistryAction.Enter) return true;
        var (type, name, wanted) = Scope(action, repository);
        return claims.Access?.Any(grant => grant.Type == type && grant.Name == name
            && grant.Actions?.Any(allowed => allowed == wanted || allowed == "*") == true) == true;
    }

    private static (string Type, string Name, string Action) Scope(RegistryAction action, string repository) => action switch
    {
        RegistryAction.Catalog => ("registry", "catalog", "*"),
        RegistryAction.Push => ("repository", repository, "push"),
        RegistryAction.Delete => ("repository", repository, "delete"),
        _ => ("repository", repository, "pull"),
    };

    private HttpResponse Challenge(RegistryAction action, string repository, string error)
    {
        var challenge = $"Bearer realm=\"{_options.Realm}\",service=\"{_options.Service}\"";
        if (action != RegistryAction.Enter)
        {
            var (type, name, wanted) = Scope(action, repository);
            // Whoever pushes also asks what is there already.
            challenge += $",scope=\"{type}:{name}:{(action == RegistryAction.Push ? "pull,push" : wanted)}\"";
        }

        if (error.Length > 0) challenge += $",error=\"{error}\"";
        return new RegistryError(401, "UNAUTHORIZED", "a token is needed").ToResponse().With("WWW-Authenticate", challenge);
    }

    private static List<(string, AsymmetricAlgorithm)> LoadKeys(string path)
    {
        try
        {
            var keys = new List<(string, AsymmetricAlgorithm)>();
            ReadOnlySpan<char> text = File.ReadAllText(path);
            while (PemEncoding.TryFind(text, out var fields))
            {
                var (label, data) = (text[fields.Label].ToString(), Convert.FromBase64String(text[fields.Base64Data].ToString()));
                keys.Add(label == "CERTIFICATE" ? FromCertificate(data) : FromPublicKey(label, data));
                text = text[fields.Location.End..];
            }

            return keys.Count > 0 ? keys : throw HullException.Invalid($"no public key or certificate in {path}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or CryptographicException)
        {
            throw HullException.Invalid($"token keys {path} cannot be read", error);
        }
    }

    private static (string, AsymmetricAlgorithm) FromCertificate(byte[] data)
    {
        using var certificate = X509CertificateLoader.LoadCertificate(data);
        return certificate.GetRSAPublicKey() is { } rsa ? ("RS256", rsa)
            : certificate.GetECDsaPublicKey() is { KeySize: 256 } ecdsa ? ("ES256", ecdsa)
            : throw new CryptographicException("the certificate's key is neither RSA nor P-256");
    }

    private static (string, AsymmetricAlgorithm) FromPublicKey(string label, byte[] data)
    {
        if (label == "RSA PUBLIC KEY")
        {
            var pkcs1 = RSA.Create();
            pkcs1.ImportRSAPublicKey(data, out _);
            return ("RS256", pkcs1);
        }

        if (label != "PUBLIC KEY") throw new CryptographicException($"expected public keys, found {label}");
        try
        {
            var rsa = RSA.Create();
            rsa.ImportSubjectPublicKeyInfo(data, out _);
            return ("RS256", rsa);
        }
        catch (CryptographicException)
        {
            var ecdsa = ECDsa.Create();
            ecdsa.ImportSubjectPublicKeyInfo(data, out _);
            return ecdsa.KeySize == 256 ? ("ES256", ecdsa) : throw new CryptographicException("the key is not on the curve P-256");
        }
    }
}
