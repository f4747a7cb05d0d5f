using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>The bounds of a conversation with a registry, which may be slow, broken or hostile.</summary>
public sealed record TransportOptions
{
    public static TransportOptions Default { get; } = new();

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Longest wait for the head of an answer.</summary>
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for the next bytes of a body.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often a request is sent at most before its failure is reported.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>Pause before the second attempt; each further one is twice as long.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Longest pause, whatever the registry asks for in Retry-After.</summary>
    public TimeSpan MaxRetryDelay { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Bytes of a chunk where a registry wants an upload in pieces.</summary>
    public int ChunkSize { get; init; } = 16 << 20;

    /// <summary>Bytes of answers that are read into memory: manifests, lists, tokens, errors.</summary>
    public int MaxDocumentSize { get; init; } = 4 << 20;
}

/// <summary>
/// Makes the connections to one endpoint. Redirects are never followed here, because the layer above decides which
/// host may see credentials; proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
/// </summary>
internal static class RegistryTransport
{
    /// <summary>Where Docker and Podman look for the certificates of a registry.</summary>
    private const string DockerCertificates = "/etc/docker/certs.d";

    public static HttpMessageInvoker Create(RegistryEndpoint endpoint, TransportOptions options)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = options.ConnectTimeout,
            MaxResponseHeadersLength = 64,
            MaxResponseDrainSize = 64 << 10,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            // Digest and length are checked by us; activity headers would only tell a registry about this process.
            ActivityHeadersPropagator = null,
        };
        if (endpoint.Base.Scheme == "https") handler.SslOptions = Tls(endpoint);
        return new HttpMessageInvoker(handler);
    }

    private static SslClientAuthenticationOptions Tls(RegistryEndpoint endpoint)
    {
        var options = new SslClientAuthenticationOptions();
        var files = Path.Combine(DockerCertificates, endpoint.Base.Authority);
        var authority = endpoint.Settings.CertificateAuthority ?? ExistingFile(Path.Combine(files, "ca.crt"));
        if (endpoint.Insecure) options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        else if (authority is not null) options.RemoteCertificateValidationCallback = TrustOnly(LoadAuthorities(authority));

        var certificate = endpoint.Settings.ClientCertificate ?? ExistingFile(Path.Combine(files, "client.cert"));
        if (certificate is null) return options;
        var key = endpoint.Settings.ClientKey ?? ExistingFile(Path.Combine(files, "client.key")) ?? certificate;
        try
        {
            options.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, key)];
        }
        catch (Exception error) when (error is System.Security.Cryptography.CryptographicException or IOException)
        {
            throw HullException.Invalid($"client certificate {certificate} for registry {endpoint.Domain} cannot be read", error);
        }

        return options;
    }

    private static X509Certificate2Collection LoadAuthorities(string path)
    {
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(path);
            return authorities.Count > 0 ? authorities : throw HullException.Invalid($"no certificate in {path}");
        }
        catch (Exception error) when (error is System.Security.Cryptography.CryptographicException or IOException)
        {
            throw HullException.Invalid($"certificate authorities {path} cannot be read", error);
        }
    }

    private static RemoteCertificateValidationCallback TrustOnly(X509Certificate2Collection authorities) => (_, certificate, sent, errors) =>
    {
        if (errors == SslPolicyErrors.None) return true;
        if (certificate is null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        if (sent is not null) chain.ChainPolicy.ExtraStore.AddRange(sent.ChainElements.Select(element => element.Certificate).ToArray());
        using var leaf = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return chain.Build(leaf);
    };

    private static string? ExistingFile(string path) => File.Exists(path) ? path : null;
}
