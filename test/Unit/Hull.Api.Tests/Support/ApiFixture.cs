using System.Net.Sockets;
using System.Text;
using Hull.Api.Docker;
using Hull.Api.Http;
using Hull.Client;
using Hull.Core;
using Hull.Testing;

namespace Hull.Api.Tests.Support;

/// <summary>The API on a unix socket over an engine in memory.</summary>
public sealed class ApiFixture : IAsyncDisposable
{
    private readonly TemporaryDirectory directory = new("api");
    private readonly ApiServer server;

    public ApiFixture(AccessScope? access = null)
    {
        SocketPath = directory["s"];
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(SocketPath));
        socket.Listen(512);
        var services = new ApiServices
        {
            Engine = Engine,
            Images = Images,
            Transfers = () => Transfers,
            Registries = () => new(),
            CheckLogin = (_, _, _) => throw new HullException(ErrorKind.Unauthenticated, "wrong password"),
            Log = line => { lock (LogLines) LogLines.Add(line); },
        };
        server = new ApiServer([new ApiListener(socket, SocketPath, null, access ?? AccessScope.Full)], new DockerEdge(services).HandleAsync);
        server.StartAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    internal FakeEngine Engine { get; } = new();

    internal FakeImages Images { get; } = new();

    /// <summary>The bounds of transfers from now on.</summary>
    public TransferBounds Transfers { get; set; } = TransferBounds.Default;

    public List<string> LogLines { get; } = [];

    public string SocketPath { get; }

    public EngineClient Client() => new(new EngineEndpoint(EndpointKind.Unix, SocketPath));

    public HttpClient Http() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    }) { BaseAddress = new Uri("http://hull/") };

    /// <summary>A connection to write bytes on as they are.</summary>
    public Socket Raw(string? send = null)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 10_000 };
        socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
        if (send is not null) socket.Send(Encoding.Latin1.GetBytes(send));
        return socket;
    }

    /// <summary>Reads to the end of what the server sends.</summary>
    public static string ReadAll(Socket socket)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        int count;
        while ((count = socket.Receive(buffer)) > 0) text.Append(Encoding.Latin1.GetString(buffer, 0, count));
        return text.ToString();
    }

    /// <summary>Stops serving; requests have so long to end.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        using var soon = new CancellationTokenSource(grace);
        await server.StopAsync(soon.Token);
    }

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await server.StopAsync(soon.Token);
        await server.DisposeAsync();
        directory.Dispose();
    }
}
