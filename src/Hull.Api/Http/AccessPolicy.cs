using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Hull.Core;

namespace Hull.Api.Http;

/// <summary>How a caller proves to be the one a scope was made for.</summary>
/// <param name="Scope">What it may do.</param>
/// <param name="TokenSha256">SHA-256 of a bearer token, as 64 hexadecimal digits; null for none.</param>
/// <param name="Certificate">Common name of a verified client certificate; null for none.</param>
public sealed record AccessGrant(AccessScope Scope, string? TokenSha256, string? Certificate);

/// <summary>
/// Who a request comes from. A token narrows whatever the listener allows; once certificates are named in the
/// configuration, a certificate that is not among them lets nobody in.
/// </summary>
public sealed class AccessPolicy(IReadOnlyList<AccessGrant> grants)
{
    private const string Bearer = "Bearer ";

    public static AccessPolicy Open { get; } = new([]);

    /// <summary>The scope of a request; throws <see cref="ErrorKind.Unauthenticated"/> where nobody vouches for it.</summary>
    internal AccessScope Identify(ApiRequest request)
    {
        var listener = request.Listener;
        if (listener is null) throw Nobody();
        // A registry's credential travels in a header of its own: what is here is meant for the engine.
        if (request.Header("Authorization") is { } header && grants.Any(grant => grant.TokenSha256 is not null))
        {
            return header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) && ByToken(header[Bearer.Length..].Trim()) is { } grant ? grant.Scope
                : throw new HullException(ErrorKind.Unauthenticated, "the token is not known here: ask the operator of this engine for one (HULL_TOKEN)");
        }

        if (listener.Tls is null || !grants.Any(grant => grant.Certificate is not null)) return listener.Access ?? throw Nobody();
        var name = request.Context.Connection.ClientCertificate?.GetNameInfo(X509NameType.SimpleName, false);
        return grants.FirstOrDefault(grant => grant.Certificate is not null && grant.Certificate == name)?.Scope
            ?? throw new HullException(ErrorKind.Unauthenticated, $"the certificate '{name}' is not among those that this engine's configuration lets in");
    }

    private AccessGrant? ByToken(string token)
    {
        var digest = SHA256.HashData(Encoding.UTF8.GetBytes(token));
        // All are compared, each in constant time: how long it takes tells nothing.
        AccessGrant? found = null;
        foreach (var grant in grants.Where(grant => grant.TokenSha256 is not null))
        {
            if (CryptographicOperations.FixedTimeEquals(Convert.FromHexString(grant.TokenSha256!), digest)) found = grant;
        }

        return found;
    }

    private static HullException Nobody() => new(ErrorKind.Unauthenticated, "this address lets nobody in without a client certificate or a token");
}
