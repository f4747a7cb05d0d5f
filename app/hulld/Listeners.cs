using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Hull.Api.Http;
using Hull.Core;

namespace Hull.Daemon;

/// <summary>Makes the sockets that the API is served on.</summary>
internal static class Listeners
{
    public const string DefaultSocket = "/run/hull/hull.sock";
    private const int FirstActivatedDescriptor = 3;

    /// <summary>id-kp-clientAuth (RFC 5280, 4.2.1.12).</summary>
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    public static IReadOnlyList<ApiListener> Open(DaemonConfig config)
    {
        var activated = TakeActivated();
        var hosts = config.Hosts.Count > 0 ? config.Hosts : activated.Count > 0 ? ["fd://"] : ["unix://" + DefaultSocket];
        var listeners = new List<ApiListener>();
        foreach (var host in hosts)
        {
            if (host.StartsWith("fd://", StringComparison.Ordinal)) listeners.AddRange(Activated(activated));
            else if (host.StartsWith("unix://", StringComparison.Ordinal)) listeners.Add(Unix(host["unix://".Length..], config.Group));
            else if (host.StartsWith("tcp://", StringComparison.Ordinal)) listeners.Add(Tcp(host["tcp://".Length..], config));
            else throw HullException.Invalid($"invalid address '{host}': expected unix:///path, tcp://address:port or fd://");
        }

        listeners.AddRange(config.Access.Where(entry => entry.Socket is not null)
            .Select(entry => Unix(entry.Socket!, entry.Group ?? "0") with { Access = entry.ToScope() }));
        return listeners;
    }

    /// <summary>
    /// A unix socket that is never reachable with wider rights than it ends up with: made under another name, given
    /// its mode and group, and only then moved to its place.
    /// </summary>
    private static ApiListener Unix(string path, string? group)
    {
        if (path.Length == 0) path = DefaultSocket;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        RefuseServed(path);
        var temporary = $"{path}.{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}";
        File.Delete(temporary);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(temporary));
            File.SetUnixFileMode(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            if (GroupId(group) is { } id)
            {
                SocketOwner.SetGroup(temporary, id);
                File.SetUnixFileMode(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
            }

            socket.Listen(1024);
            File.Move(temporary, path, overwrite: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new HullException(ErrorKind.Unavailable, $"cannot listen on {path}", e);
        }

        return new ApiListener(socket, "unix://" + path, null, AccessScope.Full) { SocketPath = path };
    }

    private static ApiListener Tcp(string address, DaemonConfig config)
    {
        var tls = Tls(config) ?? throw HullException.Invalid(
            $"tcp://{address} needs --tlscacert, --tlscert and --tlskey: without client certificates anybody who reaches the port owns the machine");
        var (ip, port) = ParseAddress(address, "host");
        var socket = BindTcp(ip, port, address);
        // A verified certificate is the proof; what it may do is decided per request.
        return new ApiListener(socket, "tcp://" + address, tls, AccessScope.Full);
    }

    /// <summary>Metrics alone, which may be read by whoever reaches the address.</summary>
    public static ApiListener Metrics(string address)
    {
        var (ip, port) = ParseAddress(address, "metrics-addr");
        return new ApiListener(BindTcp(ip, port, address), "http://" + address, null, new AccessScope("metrics", ReadOnly: true));
    }

    private static (IPAddress Address, ushort Port) ParseAddress(string text, string key)
    {
        var colon = text.LastIndexOf(':');
        if (colon < 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
            throw HullException.Invalid($"invalid {key} '{text}': expected address:port");
        var host = text[..colon].Trim('[', ']');
        return (host.Length == 0 || host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(host, out var parsed) ? parsed
            : throw HullException.Invalid($"invalid {key} '{text}': '{host}' is no IP address"), port);
    }

    private static Socket BindTcp(IPAddress ip, ushort port, string address)
    {
        var socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(ip, port));
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new HullException(ErrorKind.Unavailable, $"cannot listen on {address}", e);
        }
    }

    private static SslServerAuthenticationOptions? Tls(DaemonConfig config)
    {
        if (config is not { TlsAuthority: { } authority, TlsCertificate: { } certificate, TlsKey: { } key }) return null;
        try
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(authority);
            return new SslServerAuthenticationOptions
            {
                ServerCertificate = X509Certificate2.CreateFromPemFile(certificate, key),
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, client, _, _) => client is X509Certificate2 certificate && DescendsFrom(certificate, roots),
            };
        }
        catch (Exception e) when (e is CryptographicException or IOException)
        {
            throw HullException.Invalid($"the certificates {authority}, {certificate} and {key} cannot be used", e);
        }
    }

    /// <summary>Only the authority that was named counts, whatever the machine itself trusts.</summary>
    private static bool DescendsFrom(X509Certificate2 client, X509Certificate2Collection roots)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        // The same authority certifies servers, whose keys open nothing here.
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return chain.Build(client);
    }

    /// <summary>Sockets that systemd passed (sd_listen_fds(3)); the variables are cleared so that no child takes them for its own.</summary>
    private static List<Socket> TakeActivated()
    {
        var mine = Environment.GetEnvironmentVariable("LISTEN_PID") == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var count = mine && int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 0;
        foreach (var name in new[] { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" }) Environment.SetEnvironmentVariable(name, null);
        return [.. Enumerable.Range(FirstActivatedDescriptor, Math.Clamp(count, 0, 64)).Select(fd => new Socket(new SafeSocketHandle(fd, ownsHandle: true)))];
    }

    private static IEnumerable<ApiListener> Activated(List<Socket> sockets)
    {
        if (sockets.Count == 0) throw HullException.Invalid("fd:// needs sockets from systemd, and none were passed: start the engine through its unit");
        foreach (var socket in sockets)
        {
            if (socket.AddressFamily != AddressFamily.Unix)
                throw HullException.Invalid("systemd passed a TCP socket: only unix sockets are taken over, use -H tcp:// with certificates");
            yield return new ApiListener(socket, "fd://", null, AccessScope.Full);
        }
    }

    private static void RefuseServed(string path)
    {
        if (!File.Exists(path)) return;
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            return;
        }

        throw HullException.Conflict($"another engine answers at {path}: stop it, or choose another address with -H");
    }

    private static uint? GroupId(string? group)
    {
        if (uint.TryParse(group, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return number;
        var name = string.IsNullOrEmpty(group) ? "hull" : group;
        if (!File.Exists("/etc/group")) return null;
        foreach (var line in File.ReadLines("/etc/group"))
        {
            var fields = line.Split(':');
            if (fields.Length >= 3 && fields[0] == name && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var id)) return id;
        }

        return string.IsNullOrEmpty(group) ? null : throw HullException.NotFound($"group '{group}' does not exist on this machine");
    }
}
