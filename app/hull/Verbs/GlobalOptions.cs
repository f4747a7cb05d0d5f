using Hull.Core.CommandLine;
using Hull.Cli.Contexts;
using Hull.Client;
using Hull.Core;

namespace Hull.Cli.Verbs;

/// <summary>The options that stand before the verb, and the engine they choose.</summary>
public sealed class GlobalOptions
{
    private string? host;
    private string? context;
    private bool tls;
    private bool verify;
    private string? authority;
    private string? certificate;
    private string? key;

    /// <summary>Whether only the version was asked for.</summary>
    public bool Version { get; private set; }

    public void Define(FlagSet flags)
    {
        flags.Value("host", 'H', "address", "engine to use: unix:///path, tcp://host:port, ssh://user@host (HULL_HOST)", v => host = v)
            .Value("context", 'c', "name", "context to use (HULL_CONTEXT)", v => context = v)
            .Switch("tls", null, "use TLS on TCP", v => tls = v)
            .Switch("tlsverify", null, "use TLS on TCP and check the engine's certificate", v => tls = verify = v)
            .Value("tlscacert", null, "file", "certificates that the engine's must descend from", v => authority = v)
            .Value("tlscert", null, "file", "client certificate", v => certificate = v)
            .Value("tlskey", null, "file", "key of the client certificate", v => key = v)
            .Value("root", null, "directory", "image store, for commands that need no engine", v => Images.StateRoot.Global = v)
            .Switch("version", 'v', "print the version", v => Version = v);
    }

    /// <summary>
    /// The engine: -H, then --context, then HULL_HOST, then HULL_CONTEXT, then the current context, then the
    /// local socket.
    /// </summary>
    public EngineEndpoint Endpoint()
    {
        var address = host ?? (context is null ? Variable("HULL_HOST") : null);
        if (address is not null) return WithTls(EngineEndpoint.Parse(address));
        var name = context ?? Variable("HULL_CONTEXT") ?? ContextStore.Current();
        return name is null or ContextStore.Default
            ? new EngineEndpoint(EndpointKind.Unix, LocalSocket())
            : ContextStore.Load(name).ToEndpoint();
    }

    private EngineEndpoint WithTls(EngineEndpoint endpoint)
    {
        endpoint = endpoint with { Token = Variable("HULL_TOKEN") };
        if (endpoint.Kind != EndpointKind.Tcp) return endpoint;
        var directory = Variable("HULL_CERT_PATH") ?? Variable("DOCKER_CERT_PATH");
        var files = new TlsFiles(authority ?? In(directory, "ca.pem"), certificate ?? In(directory, "cert.pem"), key ?? In(directory, "key.pem"));
        var wanted = tls || Variable("HULL_TLS_VERIFY") is not null || files is not { Authority: null, Certificate: null };
        if (!wanted) return endpoint;
        return endpoint with { Tls = files with { Verify = verify || files.Authority is not null || Variable("HULL_TLS_VERIFY") is not null } };
    }

    /// <summary>The machine's engine, or the user's own where only that is there.</summary>
    private static string LocalSocket()
    {
        if (Variable("XDG_RUNTIME_DIR") is { } runtime && !File.Exists(EngineEndpoint.DefaultSocket))
        {
            var own = Path.Combine(runtime, "hull", "hull.sock");
            if (File.Exists(own)) return own;
        }

        return EngineEndpoint.DefaultSocket;
    }

    private static string? In(string? directory, string file)
    {
        if (directory is null) return null;
        var path = Path.Combine(directory, file);
        return File.Exists(path) ? path : null;
    }

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
