using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Registry.Http;
using Hull.Testing;

namespace Hull.Registry.Tests;

/// <summary>The HTTP server with one file of random bytes, of which requests name the part they want, and a clock that can be put on.</summary>
internal sealed class FileServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new("hullreg");
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HttpServer _server;
    private readonly Task _serving;

    public FileServer(int size, HttpLimits limits)
    {
        Content = new byte[size];
        new Random(3).NextBytes(Content);
        File.WriteAllBytes(_directory["file"], Content);
        _server = new HttpServer(new IPEndPoint(IPAddress.Loopback, 0), Serve, limits, null, _ => { }, Clock);
        _serving = _server.RunAsync(_stop.Token);
    }

    public byte[] Content { get; }

    public SkippingClock Clock { get; } = new();

    /// <summary>Ends once an answer has been sent, or could not be, and its file is closed.</summary>
    public Task FileClosed => _closed.Task;

    public static byte[] Request(int from = 0, int? count = null) => Encoding.ASCII.GetBytes($"GET /{from}/{count} HTTP/1.1\r\nHost: x\r\n\r\n");

    /// <summary>Connects and asks for a part of the file.</summary>
    public async Task<Socket> AskAsync(int from = 0, int? count = null)
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(_server.Address);
        await client.SendAsync(Request(from, count));
        return client;
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _serving.WaitAsync(TimeSpan.FromSeconds(20));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _server.Dispose();
        _stop.Dispose();
        _directory.Dispose();
    }

    private Task<HttpResponse> Serve(HttpRequest request, CancellationToken cancellation)
    {
        var words = request.Path.Split('/');
        var from = int.Parse(words[1]);
        var count = words[2].Length == 0 ? Content.Length - from : int.Parse(words[2]);
        return Task.FromResult(new HttpResponse(200) { File = new FileBody(File.OpenHandle(_directory["file"]), from, count), Ended = () => _closed.TrySetResult() });
    }

    /// <summary>Goes as time does, but for what is skipped; its timers fire at each skip only.</summary>
    internal sealed class SkippingClock : TimeProvider
    {
        private long _skipped;
        private Action _timers = () => { };

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _skipped);

        public void Pass(TimeSpan time)
        {
            Interlocked.Add(ref _skipped, (long)(time.TotalSeconds * TimestampFrequency));
            _timers();
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _timers += () => callback(state);
            return base.CreateTimer(_ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
