using System.Net;
using Hull.Images.Distribution;
using Hull.Registry.Http;

namespace Hull.Registry;

/// <summary>How a registry is to be run.</summary>
public sealed record RegistryOptions
{
    /// <summary>Directory of the content and of the repositories; one server at a time has it.</summary>
    public required string Root { get; init; }

    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, 5000);

    /// <summary>Nothing can be pushed or deleted.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether tags, manifests and blobs can be deleted by clients.</summary>
    public bool AllowDelete { get; init; } = true;

    /// <summary>A file of <c>htpasswd -B</c>; null asks nobody for a password.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>Token authentication in place of passwords.</summary>
    public TokenOptions? Token { get; init; }

    /// <summary>With passwords or tokens: whoever has none may pull.</summary>
    public bool AnonymousPull { get; init; }

    /// <summary>PEM files of the certificate (with its chain) and its key; null serves plain HTTP.</summary>
    public string? Certificate { get; init; }

    public string? CertificateKey { get; init; }

    /// <summary>
    /// The registry of which this one is a pull-through mirror, as image references write it (<c>docker.io</c>). One only:
    /// repositories of the same name in two registries are different things.
    /// </summary>
    public string? MirrorOf { get; init; }

    /// <summary>How the mirror reaches it.</summary>
    public DistributionOptions Upstream { get; init; } = new();

    /// <summary>How long a mirrored tag is believed before its registry is asked again.</summary>
    public TimeSpan MirrorFreshness { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How often unreferenced content is removed; zero: only when asked.</summary>
    public TimeSpan CollectInterval { get; init; } = TimeSpan.FromHours(6);

    /// <summary>How long content stays that no manifest refers to: a push sends its blobs first.</summary>
    public TimeSpan GracePeriod { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long an upload may rest before it is dropped.</summary>
    public TimeSpan UploadLifetime { get; init; } = TimeSpan.FromHours(24);

    public HttpLimits Limits { get; init; } = new();

    /// <summary>One line per request on standard error.</summary>
    public bool AccessLog { get; init; }
}

/// <summary>Token authentication (distribution's token specification): who issues tokens, and the key that shows it.</summary>
/// <param name="Realm">Address of the token server, told to clients.</param>
/// <param name="Service">This registry's name; tokens must have it as audience.</param>
/// <param name="Issuer">Tokens must have it as issuer.</param>
/// <param name="KeyFile">PEM file of public keys or certificates (RSA or P-256).</param>
public sealed record TokenOptions(string Realm, string Service, string Issuer, string KeyFile);
