using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Hull.Core;

namespace Hull.Client.Transports;

/// <summary>Opens byte streams to an engine.</summary>
internal static class Connector
{
    public static Connection Open(EngineEndpoint endpoint, LocalDialer? dialer)
    {
        try
        {
            return endpoint.Kind switch
            {
                EndpointKind.Unix => OpenUnix(endpoint, dialer),
                EndpointKind.Tcp => OpenTcp(endpoint),
                _ => SshTransport.Open(endpoint),
            };
        }
        catch (SocketException e)
        {
            throw new HullException(ErrorKind.Unavailable, Explain(endpoint, e));
        }
        catch (AuthenticationException e)
        {
            throw new HullException(ErrorKind.Unauthenticated, $"no trusted connection to the engine at {endpoint}", e);
        }
    }

    private static Connection OpenUnix(EngineEndpoint endpoint, LocalDialer? dialer)
    {
        if (dialer is not null) return new Connection(dialer(endpoint.Address, out var finishSending), finishSending);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(endpoint.Address));
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        return new Connection(new NetworkStream(socket, ownsSocket: true), () => socket.Shutdown(SocketShutdown.Send));
    }

    private static Connection OpenTcp(EngineEndpoint endpoint)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Connect(endpoint.Address, endpoint.Port);
            var network = new NetworkStream(socket, ownsSocket: true);
            if (endpoint.Tls is not { } files) return new Connection(network, () => socket.Shutdown(SocketShutdown.Send));
            var tls = new SslStream(network, leaveInnerStreamOpen: false);
            tls.AuthenticateAsClient(TlsOptions(endpoint.Address, files));
            return new Connection(tls, () => tls.ShutdownAsync().GetAwaiter().GetResult());
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static SslClientAuthenticationOptions TlsOptions(string host, TlsFiles files)
    {
        var options = new SslClientAuthenticationOptions { TargetHost = host };
        if (files is { Certificate: { } certificate, Key: { } key })
            options.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, key)];
        if (!files.Verify)
        {
            options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        }
        else if (files.Authority is { } authority)
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(authority);
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        return options;
    }

    private static string Explain(EngineEndpoint endpoint, SocketException e) => e.SocketErrorCode switch
    {
        SocketError.AccessDenied =>
            $"no permission to use the engine's socket {endpoint.Address}: run as root or join the group that owns it",
        SocketError.ConnectionRefused or SocketError.AddressNotAvailable or SocketError.InvalidArgument when endpoint.Kind == EndpointKind.Unix =>
            $"no engine answers at {endpoint}: start it (systemctl start hulld, or hulld), or choose another with -H or HULL_HOST",
        _ => $"no engine answers at {endpoint} ({e.Message.ToLowerInvariant()}): start hulld there, or choose another with -H or HULL_HOST",
    };
}

/// <summary>
/// Connects to a unix socket by other means than System.Net.Sockets, whose first socket starts a thread: on Linux that takes a
/// tenth of a short program's life.
/// </summary>
/// <param name="path">The socket.</param>
/// <param name="finishSending">Ends the sending half while the other goes on.</param>
/// <exception cref="SocketException">It could not be connected to.</exception>
public delegate Stream LocalDialer(string path, out Action finishSending);

/// <summary>A byte stream to an engine and the way to end its sending half while the other goes on.</summary>
internal sealed class Connection(Stream stream, Action finishSending) : IDisposable
{
    public Stream Stream { get; } = stream;

    public void FinishSending() => finishSending();

    public void Dispose() => Stream.Dispose();
}
