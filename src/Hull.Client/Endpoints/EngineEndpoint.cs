using Hull.Core;

namespace Hull.Client;

/// <summary>How an engine is reached.</summary>
public enum EndpointKind
{
    /// <summary>A unix socket of this machine.</summary>
    Unix,

    /// <summary>TCP, with mutual TLS unless told otherwise.</summary>
    Tcp,

    /// <summary>A command on another machine, started over ssh, that relays to its unix socket.</summary>
    Ssh,
}

/// <summary>Certificates for an engine on TCP, as PEM files; null members are not used.</summary>
/// <param name="Authority">Certificates that the engine's own must descend from; null: the machine's trust store.</param>
/// <param name="Certificate">The client's certificate.</param>
/// <param name="Key">The client's private key.</param>
/// <param name="Verify">Whether the engine's certificate is checked at all.</param>
public sealed record TlsFiles(string? Authority, string? Certificate, string? Key, bool Verify = true);

/// <summary>Address of an engine.</summary>
/// <param name="Kind">How it is reached.</param>
/// <param name="Address">Path of the socket, or host name.</param>
/// <param name="Port">TCP or ssh port; 0 for the usual one.</param>
/// <param name="User">User at an ssh host; null for the usual one.</param>
/// <param name="Tls">Certificates; null for TCP without TLS.</param>
public sealed record EngineEndpoint(EndpointKind Kind, string Address, int Port = 0, string? User = null, TlsFiles? Tls = null)
{
    /// <summary>Where hulld listens unless told otherwise.</summary>
    public const string DefaultSocket = "/run/hull/hull.sock";

    /// <summary>Bearer token that the engine asks of scoped callers; null for none.</summary>
    public string? Token { get; init; }

    /// <summary>Parses <c>unix:///path</c>, <c>tcp://host[:port]</c>, <c>ssh://[user@]host[:port]</c> or a path.</summary>
    public static EngineEndpoint Parse(string text)
    {
        if (text.StartsWith('/')) return new EngineEndpoint(EndpointKind.Unix, text);
        var colon = text.IndexOf("://", StringComparison.Ordinal);
        if (colon < 0) throw Invalid(text);
        var rest = text[(colon + 3)..];
        return text[..colon] switch
        {
            "unix" => new EngineEndpoint(EndpointKind.Unix, rest.Length > 0 ? rest : DefaultSocket),
            "tcp" or "http" or "https" => ParseTcp(text, rest),
            "ssh" => ParseSsh(text, rest),
            _ => throw Invalid(text),
        };
    }

    public override string ToString() => Kind switch
    {
        EndpointKind.Unix => "unix://" + Address,
        EndpointKind.Tcp => $"tcp://{Bracket(Address)}:{Port}",
        _ => "ssh://" + (User is null ? "" : User + "@") + Bracket(Address) + (Port == 0 ? "" : ":" + Port),
    };

    private static EngineEndpoint ParseTcp(string text, string rest)
    {
        var (host, port) = SplitPort(text, rest.TrimEnd('/'));
        return new EngineEndpoint(EndpointKind.Tcp, host.Length == 0 ? "127.0.0.1" : host, port == 0 ? 2376 : port);
    }

    private static EngineEndpoint ParseSsh(string text, string rest)
    {
        rest = rest.TrimEnd('/');
        var at = rest.LastIndexOf('@');
        var user = at < 0 ? null : rest[..at];
        var (host, port) = SplitPort(text, rest[(at + 1)..]);
        // A host or user that starts with a dash would be read as an option by ssh.
        if (host.Length == 0 || host[0] == '-' || user is "" || user?[0] == '-') throw Invalid(text);
        return new EngineEndpoint(EndpointKind.Ssh, host, port, user);
    }

    private static (string Host, int Port) SplitPort(string text, string authority)
    {
        var end = authority.StartsWith('[') ? authority.IndexOf(']', StringComparison.Ordinal) + 1 : authority.LastIndexOf(':');
        if (authority.StartsWith('[') && end == 0) throw Invalid(text);
        if (end < 0 || end >= authority.Length) return (authority.Trim('[', ']'), 0);
        return authority[end] == ':' && ushort.TryParse(authority.AsSpan(end + 1), out var port) && port > 0
            ? (authority[..end].Trim('[', ']'), port)
            : throw Invalid(text);
    }

    private static string Bracket(string host) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host;

    private static HullException Invalid(string text) => HullException.Invalid(
        $"invalid engine address '{text}': expected unix:///path, tcp://host:port or ssh://user@host");
}
