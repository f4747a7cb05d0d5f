using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Protocol;

namespace Hull.Api.Docker.Images;

/// <summary>The credentials that a client sends along in X-Registry-Auth: JSON in base64url (RFC 4648, section 5).</summary>
internal static class RegistryAuthHeader
{
    /// <summary>The credentials, or null where the header is absent or says nothing. A garbled header counts as absent, as it does to dockerd.</summary>
    public static RegistryAuth? Parse(string? header)
    {
        if (string.IsNullOrEmpty(header) || header.Length > 64 * 1024) return null;
        try
        {
            // Old clients use the other alphabet, and padding or none.
            var text = header.Trim().Replace('+', '-').Replace('/', '_').TrimEnd('=');
            return JsonSerializer.Deserialize(Base64Url.DecodeFromChars(text), DockerJson.Wire.RegistryAuth);
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return null;
        }
    }

    public static ICredentialSource ToSource(RegistryAuth? auth, ImageReference reference) =>
        ToCredential(auth) is { } credential ? new FixedCredential(reference.Domain, credential) : NoCredentials.Instance;

    public static RegistryCredential? ToCredential(RegistryAuth? auth)
    {
        if (auth is null) return null;
        var (user, password) = (auth.Username ?? "", auth.Password ?? "");
        if (user.Length == 0 && auth.Auth is { Length: > 0 } basic) (user, password) = Split(basic);
        return user.Length == 0 && string.IsNullOrEmpty(auth.IdentityToken) && string.IsNullOrEmpty(auth.RegistryToken)
            ? null
            : new RegistryCredential(user, password, Null(auth.IdentityToken), Null(auth.RegistryToken));
    }

    private static (string User, string Password) Split(string basic)
    {
        try
        {
            var text = Encoding.UTF8.GetString(Convert.FromBase64String(basic));
            var colon = text.IndexOf(':', StringComparison.Ordinal);
            return colon < 0 ? ("", "") : (text[..colon], text[(colon + 1)..]);
        }
        catch (FormatException)
        {
            return ("", "");
        }
    }

    private static string? Null(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
