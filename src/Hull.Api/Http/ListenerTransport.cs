using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Hull.Api.Http;

/// <summary>
/// Accepts connections on sockets that are bound already, and makes Kestrel's own of them. Kestrel's listener tries again
/// at once whatever an accept failed of, so without a free descriptor (accept(2), EMFILE) it keeps a whole processor busy
/// and leaves none of it to whoever would end a connection.
/// </summary>
internal sealed class ListenerTransport(Func<EndPoint, Socket> socketOf) : IConnectionListenerFactory
{
    /// <summary>Connections that wait in the kernel; see listen(2).</summary>
    private const int Backlog = 512;

    private readonly SocketConnectionContextFactory connections = new(new SocketConnectionFactoryOptions(), NullLogger.Instance);

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = socketOf(endpoint);
        socket.Listen(Backlog);
        return ValueTask.FromResult<IConnectionListener>(new Listener(endpoint, socket, connections));
    }

    private sealed class Listener(EndPoint endPoint, Socket socket, SocketConnectionContextFactory connections) : IConnectionListener
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
        private readonly CancellationTokenSource closing = new();

        public EndPoint EndPoint => endPoint;

        /// <summary>The next connection, or null when there will be no more.</summary>
        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (!closing.IsCancellationRequested)
            {
                try
                {
                    var accepted = await socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                    if (accepted.LocalEndPoint is IPEndPoint) accepted.NoDelay = true;
                    return connections.Create(accepted);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    await Task.Delay(Pause, closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }

            return null;
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await closing.CancelAsync().ConfigureAwait(false);
            socket.Dispose();
        }

        public async ValueTask DisposeAsync()
        {
            await UnbindAsync().ConfigureAwait(false);
            closing.Dispose();
        }
    }
}
