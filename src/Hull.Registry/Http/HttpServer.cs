using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Hull.Linux.Files;

namespace Hull.Registry.Http;

/// <summary>Answers a request. It may throw <see cref="BadRequestException"/>; anything else ends the connection.</summary>
public delegate Task<HttpResponse> HttpHandler(HttpRequest request, CancellationToken cancellation);

/// <summary>Bounds for clients.</summary>
public sealed record HttpLimits
{
    /// <summary>How long a connection may stay without a byte moving.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>Connections at once; further ones wait in the kernel's queue.</summary>
    public int MaximumConnections { get; init; } = 1024;

    /// <summary>Bytes per second below which a client that downloads is given up.</summary>
    public long SlowestRate { get; init; } = 16 << 10;

    /// <summary>Threads that send large files at once; further files are sent without one.</summary>
    public int SenderThreads { get; init; } = Math.Clamp(4 * Environment.ProcessorCount, 8, 64);

    internal long Ticks(TimeSpan time, TimeProvider clock) => (long)(time.TotalSeconds * clock.TimestampFrequency);
}

/// <summary>
/// A small HTTP/1.1 server made for moving blobs: bodies go from the socket straight into the caller's large buffer,
/// files leave by sendfile(2) (<see cref="BlobSender"/>), and an idle connection costs one buffer.
/// </summary>
public sealed class HttpServer : IDisposable
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly Socket _listener;
    private readonly HttpHandler _handler;
    private readonly HttpLimits _limits;
    private readonly SslServerAuthenticationOptions? _tls;
    private readonly Action<string> _log;
    private readonly TimeProvider _clock;
    private readonly ConcurrentDictionary<HttpConnection, byte> _connections = new();
    private readonly SemaphoreSlim _slots;
    private readonly BlobSender _blobs;

    /// <summary>Binds at once; <see cref="RunAsync"/> serves.</summary>
    public HttpServer(IPEndPoint address, HttpHandler handler, HttpLimits limits, SslServerAuthenticationOptions? tls, Action<string> log, TimeProvider clock)
    {
        (_handler, _limits, _tls, _log, _clock) = (handler, limits, tls, log, clock);
        _slots = new SemaphoreSlim(limits.MaximumConnections);
        _blobs = new BlobSender(limits.SenderThreads);
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (address.AddressFamily == AddressFamily.InterNetworkV6) _listener.DualMode = address.Address.Equals(IPAddress.IPv6Any);
        _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _listener.Bind(address);
        _listener.Listen(512);
    }

    /// <summary>The address that was bound, with the port the kernel chose for port 0.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Accepts until cancelled; then breaks what is still open.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var sweeper = _clock.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
        try
        {
            while (true)
            {
                await _slots.WaitAsync(cancellation).ConfigureAwait(false);
                _ = ServeAsync(await AcceptAsync(cancellation).ConfigureAwait(false), cancellation);
            }
        }
        catch (OperationCanceledException)
        {
        }
        finally
        {
            _listener.Dispose();
            foreach (var connection in _connections.Keys) connection.Abort();
        }
    }

    public void Dispose() => _listener.Dispose();

    private async Task<Socket> AcceptAsync(CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                return await _listener.AcceptAsync(cancellation).ConfigureAwait(false);
            }
            catch (SocketException error) when (!cancellation.IsCancellationRequested)
            {
                // The client went away before it was accepted, or descriptors are short for a moment.
                _log($"accept: {error.Message}");
                await Task.Delay(100, cancellation).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        HttpConnection? connection = null;
        try
        {
            socket.NoDelay = true;
            LocalConnection.Tune(socket);
            await using Stream network = new NetworkStream(socket, ownsSocket: true);
            await using var stream = _tls is null ? network : new SslStream(network, leaveInnerStreamOpen: true);
            connection = new HttpConnection(socket, stream, _tls is not null, _handler, _blobs, _limits, _clock);
            _connections[connection] = 0;
            if (stream is SslStream ssl) await ssl.AuthenticateAsServerAsync(_tls!, cancellation).ConfigureAwait(false);
            await connection.RunAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
        {
            // The client is gone or speaks something else; there is nobody to tell.
        }
        catch (Exception error)
        {
            _log($"connection failed: {error}");
        }
        finally
        {
            if (connection is not null) _connections.TryRemove(connection, out _);
            socket.Dispose();
            _slots.Release();
        }
    }

    private void Sweep()
    {
        foreach (var connection in _connections.Keys)
        {
            if (connection.IsOverdue) connection.Abort();
        }
    }
}
