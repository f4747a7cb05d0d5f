using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Hull.Api.Http;

/// <summary>One place where the API is served.</summary>
/// <param name="Socket">Bound; whoever serves it listens on it and owns it from then on.</param>
/// <param name="Address">As people write it, for messages.</param>
/// <param name="Tls">Certificates for TCP; null for none.</param>
/// <param name="Access">What callers on this listener may do before they prove more.</param>
public sealed record ApiListener(Socket Socket, string Address, SslServerAuthenticationOptions? Tls, AccessScope Access)
{
    /// <summary>File of a unix socket, which the server removes when it stops; null for others.</summary>
    public string? SocketPath { get; init; }

    internal EndPoint EndPoint => Socket.LocalEndPoint ?? throw new InvalidOperationException("the listener is not bound");
}
