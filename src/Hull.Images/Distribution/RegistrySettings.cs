using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.Images.Distribution;

/// <summary>How one registry is reached, as <c>registries.json</c> has it.</summary>
public sealed record RegistrySettings
{
    /// <summary>Addresses that are asked first, in this order; the registry itself comes last. A path is put before the repository's.</summary>
    [JsonPropertyName("mirrors")]
    public IReadOnlyList<string> Mirrors { get; init => field = value ?? []; } = [];

    /// <summary>Plain HTTP, and certificates nobody vouches for, are accepted.</summary>
    [JsonPropertyName("insecure")]
    public bool Insecure { get; init; }

    /// <summary>A PEM file with the authorities that vouch for this registry, in place of the system's.</summary>
    [JsonPropertyName("ca")]
    public string? CertificateAuthority { get; init; }

    /// <summary>PEM files of this client's own certificate and key.</summary>
    [JsonPropertyName("clientCertificate")]
    public string? ClientCertificate { get; init; }

    [JsonPropertyName("clientKey")]
    public string? ClientKey { get; init; }
}

/// <summary>What a layer may unpack to, as <c>registries.json</c> has it; what is not said is as in <see cref="UnpackLimits"/>.</summary>
public sealed record LayerSettings
{
    /// <summary>Bytes of one layer's uncompressed tar.</summary>
    [JsonPropertyName("maxSize")]
    public long? MaxSize { get; init; }

    /// <summary>Uncompressed bytes per compressed byte, of layers beyond a gibibyte.</summary>
    [JsonPropertyName("maxRatio")]
    public int? MaxRatio { get; init; }

    public UnpackLimits ToLimits() => MaxSize is <= 0 || MaxRatio is <= 0
        ? throw HullException.Invalid("the limits of layers in the registry settings must be above zero")
        : UnpackLimits.Default with { MaxLayerSize = MaxSize ?? UnpackLimits.Default.MaxLayerSize, MaxRatio = MaxRatio ?? UnpackLimits.Default.MaxRatio };
}

/// <summary>
/// The settings of all registries: <c>/etc/hull/registries.json</c>, or the file HULL_REGISTRIES names. The entry
/// <c>*</c> holds for every registry that has none of its own.
/// </summary>
public sealed record RegistriesConfig
{
    /// <summary>The entry for registries without one of their own.</summary>
    public const string Default = "*";

    public const string DefaultPath = "/etc/hull/registries.json";

    // Reading hands null to what the file leaves out.
    [JsonPropertyName("registries")]
    public IReadOnlyDictionary<string, RegistrySettings> Registries { get; init => field = value ?? new Dictionary<string, RegistrySettings>(); } = new Dictionary<string, RegistrySettings>();

    [JsonPropertyName("layers")]
    public LayerSettings Layers { get; init => field = value ?? new LayerSettings(); } = new();

    /// <summary>Reads the file; one that does not exist is empty. Throws <see cref="ErrorKind.InvalidArgument"/> for one that cannot be read.</summary>
    public static RegistriesConfig Load(string? path = null)
    {
        path ??= Environment.GetEnvironmentVariable("HULL_REGISTRIES") is { Length: > 0 } named ? named : DefaultPath;
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), DistributionJson.Default.RegistriesConfig) ?? new() : new();
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw HullException.Invalid($"registry settings {path} cannot be read", error);
        }
    }

    /// <summary>The settings of a registry as image references write it.</summary>
    public RegistrySettings For(string domain) =>
        Registries.GetValueOrDefault(domain) ?? Registries.GetValueOrDefault(Default) ?? new RegistrySettings();

    /// <summary>This configuration with plain HTTP and unknown certificates accepted for one registry.</summary>
    public RegistriesConfig WithInsecure(string domain) =>
        this with { Registries = new Dictionary<string, RegistrySettings>(Registries) { [domain] = For(domain) with { Insecure = true } } };
}

/// <summary>An address requests go to: the registry itself or one of its mirrors.</summary>
/// <param name="Base">Scheme, host and port.</param>
/// <param name="PathPrefix">What stands before a repository's path on a mirror that keeps several registries; else empty.</param>
/// <param name="Domain">The registry as image references write it; credentials of a mirror are its own.</param>
/// <param name="Insecure">Whether plain HTTP and certificates nobody vouches for are accepted.</param>
internal sealed record RegistryEndpoint(Uri Base, string PathPrefix, string Domain, bool IsMirror, bool Insecure, RegistrySettings Settings)
{
    private const string HubHost = "registry-1.docker.io";

    /// <summary>The name the credentials are kept under.</summary>
    public string CredentialDomain => IsMirror ? Base.Authority : Domain;

    /// <summary>The addresses for a registry, best first. One whose scheme is not known is tried with TLS and then, if insecure, without.</summary>
    public static IReadOnlyList<RegistryEndpoint> For(string domain, RegistriesConfig config, bool withMirrors)
    {
        var settings = config.For(domain);
        var endpoints = new List<RegistryEndpoint>();
        if (withMirrors)
        {
            foreach (var mirror in settings.Mirrors) endpoints.Add(Mirror(mirror, domain, config));
        }

        var host = domain == ImageReference.DefaultDomain ? HubHost : domain;
        // A registry of this very machine is spoken to without TLS as Docker does it: nothing leaves the machine.
        var insecure = settings.Insecure || IsLoopback(host);
        endpoints.Add(new RegistryEndpoint(new Uri("https://" + host), "", domain, IsMirror: false, insecure, settings));
        if (insecure) endpoints.Add(new RegistryEndpoint(new Uri("http://" + host), "", domain, IsMirror: false, insecure, settings));
        return endpoints;
    }

    /// <summary>Whether the host, with or without a port, is this machine's loopback interface.</summary>
    public static bool IsLoopback(string host)
    {
        if (!Uri.TryCreate("http://" + host, UriKind.Absolute, out var address)) return false;
        return address.Host == "localhost" || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));
    }

    private static RegistryEndpoint Mirror(string? text, string domain, RegistriesConfig config)
    {
        if (text is null) throw HullException.Invalid($"a mirror of registry {domain} is null: expected an address such as https://mirror.example");
        var address = text.Contains("://", StringComparison.Ordinal) ? text : "https://" + text;
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Query.Length > 0 || uri.UserInfo.Length > 0)
            throw HullException.Invalid($"mirror '{text}' of registry {domain} is not an address such as https://mirror.example");
        var settings = config.For(uri.Authority);
        var prefix = uri.AbsolutePath.Trim('/');
        if (prefix.StartsWith("v2/", StringComparison.Ordinal) || prefix == "v2") prefix = prefix[2..].Trim('/');
        var insecure = settings.Insecure || uri.Scheme == "http";
        return new RegistryEndpoint(new Uri(uri.GetLeftPart(UriPartial.Authority)), prefix, domain, IsMirror: true, insecure, settings);
    }
}
