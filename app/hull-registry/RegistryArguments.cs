using System.Globalization;
using System.Net;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Registry;

namespace Hull.RegistryServer;

/// <summary>The command line of the registry; <c>hull registry serve</c> hands its own over unchanged.</summary>
internal static class RegistryArguments
{
    public const string Help =
        """
        Usage: hull registry serve [options]

        Serves images over the OCI distribution protocol.

          --listen ADDRESS:PORT      where to listen (127.0.0.1:5000)
          --root DIRECTORY           where images are kept (/var/lib/hull/registry)
          --tls-cert FILE            certificate and chain, PEM; without it plain HTTP is spoken
          --tls-key FILE             key of the certificate, PEM
          --htpasswd FILE            users and passwords, made by htpasswd -B
          --token-realm URL          token authentication: address of the token server
          --token-service NAME       the audience tokens must have
          --token-issuer NAME        the issuer tokens must have
          --token-key FILE           public keys or certificates of the issuer, PEM (RS256, ES256)
          --anonymous-pull           whoever has no login may pull
          --read-only                nothing can be pushed or deleted
          --no-delete                nothing can be deleted
          --mirror REGISTRY          pull-through mirror of a registry, such as docker.io
          --insecure-upstream        the mirrored registry may speak plain HTTP
          --gc-interval TIME         how often unreferenced content is removed: 6h, 30m, 0 for never (6h)
          --gc-grace TIME            how long unreferenced content stays (1h)
          --access-log               one line per request on standard error

        """;

    /// <summary>Reads the arguments; null where help is wanted. Throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static RegistryOptions? Parse(IReadOnlyList<string> arguments)
    {
        var options = new RegistryOptions { Root = DefaultRoot() };
        var token = new TokenOptions("", "", "", "");
        for (var i = 0; i < arguments.Count; i++)
        {
            var (name, inline) = arguments[i].IndexOf('=', StringComparison.Ordinal) is var equals and > 0
                ? (arguments[i][..equals], arguments[i][(equals + 1)..])
                : (arguments[i], null);
            string Value() => inline ?? (++i < arguments.Count ? arguments[i] : throw HullException.Invalid($"option {name} wants a value"));
            switch (name)
            {
                case "--help" or "-h": return null;
                case "--listen" or "-l": options = options with { Listen = Address(Value()) }; break;
                case "--root": options = options with { Root = Path.GetFullPath(Value()) }; break;
                case "--tls-cert": options = options with { Certificate = Value() }; break;
                case "--tls-key": options = options with { CertificateKey = Value() }; break;
                case "--htpasswd": options = options with { PasswordFile = Value() }; break;
                case "--token-realm": token = token with { Realm = Value() }; break;
                case "--token-service": token = token with { Service = Value() }; break;
                case "--token-issuer": token = token with { Issuer = Value() }; break;
                case "--token-key": token = token with { KeyFile = Value() }; break;
                case "--anonymous-pull": options = options with { AnonymousPull = true }; break;
                case "--read-only": options = options with { ReadOnly = true }; break;
                case "--no-delete": options = options with { AllowDelete = false }; break;
                case "--mirror": options = options with { MirrorOf = Value(), Upstream = DistributionOptions.FromMachine() }; break;
                case "--insecure-upstream": options = options with { Upstream = Insecure(options) }; break;
                case "--gc-interval": options = options with { CollectInterval = Time(name, Value()) }; break;
                case "--gc-grace": options = options with { GracePeriod = Time(name, Value()) }; break;
                case "--access-log": options = options with { AccessLog = true }; break;
                default: throw HullException.Invalid($"unknown argument '{arguments[i]}': see hull registry serve --help");
            }
        }

        return WithToken(options, token);
    }

    private static string DefaultRoot() =>
        Path.Combine(Environment.GetEnvironmentVariable("HULL_ROOT") is { Length: > 0 } root ? root : "/var/lib/hull", "registry");

    private static DistributionOptions Insecure(RegistryOptions options) => options.MirrorOf is { } domain
        ? options.Upstream with { Registries = options.Upstream.Registries.WithInsecure(domain) }
        : throw HullException.Invalid("--insecure-upstream goes after --mirror");

    private static RegistryOptions WithToken(RegistryOptions options, TokenOptions token)
    {
        string[] parts = [token.Realm, token.Service, token.Issuer, token.KeyFile];
        if (parts.All(string.IsNullOrEmpty)) return options;
        if (parts.Any(string.IsNullOrEmpty))
            throw HullException.Invalid("token authentication wants --token-realm, --token-service, --token-issuer and --token-key together");
        if (options.PasswordFile is not null) throw HullException.Invalid("--htpasswd and --token-realm exclude each other");
        return options with { Token = token };
    }

    private static IPEndPoint Address(string text)
    {
        var host = text.StartsWith(':') ? "0.0.0.0" + text : text.StartsWith("localhost:", StringComparison.Ordinal) ? "127.0.0.1" + text["localhost".Length..] : text;
        return IPEndPoint.TryParse(host, out var address) && host.Contains(':', StringComparison.Ordinal)
            ? address
            : throw HullException.Invalid($"invalid address '{text}': expected ADDRESS:PORT such as 127.0.0.1:5000");
    }

    private static TimeSpan Time(string name, string text)
    {
        var unit = text.Length > 0 ? text[^1] : ' ';
        var factor = unit switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        var number = factor == 0 ? text : text[..^1];
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value is >= 0 and < 100_000
            ? TimeSpan.FromSeconds(value * Math.Max(factor, 1))
            : throw HullException.Invalid($"option {name}: '{text}' is not a time such as 30m");
    }
}
