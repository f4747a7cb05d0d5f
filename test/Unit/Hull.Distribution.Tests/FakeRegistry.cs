using System.Net;
using System.Text;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Registry.Http;

namespace Hull.Distribution.Tests;

/// <summary>A registry that answers whatever a test wants, over a real socket, and remembers what it was asked.</summary>
internal sealed class FakeRegistry : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly HttpServer _server;
    private readonly Func<HttpRequest, HttpResponse> _answer;

    public FakeRegistry(Func<HttpRequest, HttpResponse> answer)
    {
        _answer = answer;
        _server = new HttpServer(new IPEndPoint(IPAddress.Loopback, 0), HandleAsync, new HttpLimits(), null, _ => { }, TimeProvider.System);
        _ = _server.RunAsync(_stop.Token);
    }

    public string Address => _server.Address.ToString();

    public List<HttpRequest> Requests { get; } = [];

    /// <summary>A client's view of the repository <c>r</c>, impatient as tests are.</summary>
    public RemoteRepository Repository(RegistryCredential? credential = null) => new(ImageReference.Parse(Address + "/r"), new DistributionOptions
    {
        Credentials = credential is null ? NoCredentials.Instance : new FixedCredential(Address, credential),
        Transport = TransportOptions.Default with { RetryDelay = TimeSpan.FromMilliseconds(1), IdleTimeout = TimeSpan.FromSeconds(2), Attempts = 4 },
    });

    public static HttpResponse Text(int status, string text, string type = "application/json") =>
        new HttpResponse(status) { Bytes = Encoding.UTF8.GetBytes(text) }.With("Content-Type", type);

    public void Dispose()
    {
        _stop.Cancel();
        _server.Dispose();
    }

    private Task<HttpResponse> HandleAsync(HttpRequest request, CancellationToken cancellation)
    {
        lock (Requests)
        {
            if (request.Path != "/v2/") Requests.Add(request);
            return Task.FromResult(request.Path == "/v2/" ? new HttpResponse(200) : _answer(request));
        }
    }
}
