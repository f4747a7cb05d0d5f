using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Hull.Api.Http;

/// <summary>
/// Serves requests with Kestrel alone: no host, no dependency injection, no routing middleware. That keeps an idle
/// engine near 10 MB and its start near 20 ms.
/// </summary>
public sealed class ApiServer : IAsyncDisposable
{
    /// <summary>Connections at once; more wait in the kernel's queue. Bounds what idle attaches can cost.</summary>
    public const int MaximumConnections = 8192;

    private readonly KestrelServer server;
    private readonly IReadOnlyList<ApiListener> listeners;
    private readonly Application application;

    public ApiServer(IReadOnlyList<ApiListener> listeners, Func<ApiRequest, Task> handle)
    {
        this.listeners = listeners;
        application = new Application(handle);
        // Archives are read and written by code that blocks, on threads of its own.
        var options = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = true, ApplicationServices = new NoServices() };
        Limit(options.Limits);
        foreach (var listener in listeners) Listen(options, listener);
        server = new KestrelServer(Options.Create(options), new ListenerTransport(SocketOf), NullLoggerFactory.Instance);
    }

    public Task StartAsync(CancellationToken cancellationToken) => server.StartAsync(application, cancellationToken);

    /// <summary>Stops listening, lets requests end until the token says it is time, then closes the connections.</summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        // They last as long as what they follow; nobody would gain by waiting for that.
        application.EndStreams();
        return server.StopAsync(cancellationToken);
    }

    public ValueTask DisposeAsync()
    {
        server.Dispose();
        return ValueTask.CompletedTask;
    }

    private static void Limit(KestrelServerLimits limits)
    {
        limits.MaxConcurrentConnections = MaximumConnections;
        limits.MaxConcurrentUpgradedConnections = MaximumConnections;
        // Archives and images are of any size, and a client may pause between two lines of a stream.
        limits.MaxRequestBodySize = null;
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(20);
        limits.KeepAliveTimeout = TimeSpan.FromMinutes(10);
        limits.MaxRequestHeadersTotalSize = 64 * 1024;
        limits.MaxRequestLineSize = 32 * 1024;
    }

    private static void Listen(KestrelServerOptions options, ApiListener listener)
    {
        void Configure(ListenOptions listen)
        {
            listen.Protocols = HttpProtocols.Http1;
            if (listener.Tls is { } tls) ((IConnectionBuilder)listen).Use(TlsTransport.Wrap(tls));
            ((IConnectionBuilder)listen).Use(next => connection =>
            {
                connection.Features.Set(listener);
                return next(connection);
            });
            ((IConnectionBuilder)listen).Use(HalfCloseTransport.Wrap);
        }

        if (listener.EndPoint is IPEndPoint ip) options.Listen(ip, Configure);
        else options.ListenUnixSocket(listener.EndPoint.ToString()!, Configure);
    }

    private Socket SocketOf(EndPoint endPoint) =>
        listeners.First(l => l.EndPoint.Equals(endPoint) || l.EndPoint.ToString() == endPoint.ToString()).Socket;

    private sealed class Application(Func<ApiRequest, Task> handle) : IHttpApplication<HttpContext>
    {
        private readonly ConcurrentDictionary<ApiRequest, bool> active = new();

        public HttpContext CreateContext(IFeatureCollection features) => new DefaultHttpContext(features);

        public async Task ProcessRequestAsync(HttpContext context)
        {
            var request = new ApiRequest(context);
            active.TryAdd(request, true);
            try
            {
                await handle(request).ConfigureAwait(false);
            }
            finally
            {
                active.TryRemove(request, out _);
            }
        }

        public void EndStreams()
        {
            foreach (var request in active.Keys)
            {
                if (request.IsStream) request.EndStream();
            }
        }

        public void DisposeContext(HttpContext context, Exception? exception)
        {
        }
    }

    /// <summary>Kestrel asks for a logger and a few optional things; there are none.</summary>
    private sealed class NoServices : IServiceProvider
    {
        public object? GetService(Type serviceType) =>
            serviceType == typeof(ILoggerFactory) ? NullLoggerFactory.Instance : null;
    }
}
