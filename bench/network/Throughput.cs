using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Hull.Linux.Netlink;
using Hull.Network;

/// <summary>
/// A published port against a plain veth between the same two stacks, in pairs: bytes per second of processor time (both
/// ends and the kernel's path between them run in this process, so a busy machine does not disturb it), and round trips.
/// </summary>
internal static class Throughput
{
    private static readonly IPAddress PlainHost = IPAddress.Parse("10.250.0.1");
    private static readonly IPAddress PlainInside = IPAddress.Parse("10.250.0.2");

    public static async Task RunAsync(NetworkManager manager, int pairs)
    {
        var instance = await manager.SetUpAsync(new InstanceNetworkSpec
        {
            InstanceId = "throughput", Name = "throughput", Endpoints = [new EndpointSpec { Network = "bench" }], Ports = [new PortMapping(80)],
        });
        using var sandbox = NetworkNamespace.Open(instance.SandboxPath!);
        AddPlainVeth(sandbox);
        using var server = sandbox.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        server.Bind(new IPEndPoint(IPAddress.Any, 80));
        server.Listen();
        _ = Task.Run(() => ServeAsync(server));

        var published = new IPEndPoint(IPAddress.Loopback, instance.Ports[0].HostPort);
        var plain = new IPEndPoint(PlainInside, 80);
        var (rates, trips) = (new List<double>(), new List<double>());
        for (var i = 0; i < pairs; i++)
        {
            rates.Add(Stream(published) / Stream(plain));
            trips.Add(RoundTrip(published) / RoundTrip(plain));
        }

        rates.Sort();
        trips.Sort();
        Console.WriteLine($"published port / plain veth: throughput {rates[pairs / 2]:f3}  round trip {trips[pairs / 2]:f3}  (medians of {pairs} pairs)");
        await manager.TearDownAsync("throughput");
    }

    private static void AddPlainVeth(NetworkNamespace sandbox)
    {
        using var host = new RouteSocket();
        using var inside = sandbox.Run(() => new RouteSocket());
        var batch = new RouteBatch();
        batch.AddVeth(new LinkSettings { Name = "plain0" }, new LinkSettings { Name = "plain1", Namespace = sandbox.Handle });
        host.Execute(batch);
        Configure(host, "plain0", PlainHost);
        Configure(inside, "plain1", PlainInside);
    }

    private static void Configure(RouteSocket socket, string device, IPAddress address)
    {
        var batch = new RouteBatch();
        batch.SetUp(device);
        batch.AddAddress(socket.IndexOf(device), address, 24);
        socket.Execute(batch);
    }

    /// <summary>Bytes for each second of processor time, user and system, of both ends.</summary>
    private static double Stream(IPEndPoint target)
    {
        using var socket = Connect(target);
        socket.Send([(byte)'s']);
        var buffer = new byte[256 * 1024];
        var start = Environment.CpuUsage.TotalTime;
        var sum = 0L;
        while (sum < 2L << 30) sum += socket.Send(buffer);
        return sum / (Environment.CpuUsage.TotalTime - start).TotalSeconds;
    }

    /// <summary>Median microseconds of a byte there and back.</summary>
    private static double RoundTrip(IPEndPoint target)
    {
        using var socket = Connect(target);
        socket.NoDelay = true;
        socket.Send([(byte)'e']);
        var buffer = new byte[1];
        var times = new List<double>();
        for (var i = 0; i < 3000; i++)
        {
            var start = Stopwatch.GetTimestamp();
            socket.Send(buffer);
            socket.Receive(buffer);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        times.Sort();
        return times[times.Count / 2];
    }

    private static Socket Connect(IPEndPoint target)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(target);
        return socket;
    }

    /// <summary>The first byte says whether what follows is swallowed or sent back.</summary>
    private static async Task ServeAsync(Socket server)
    {
        while (true)
        {
            var peer = await server.AcceptAsync();
            _ = Task.Factory.StartNew(() =>
            {
                using (peer)
                {
                    peer.NoDelay = true;
                    var buffer = new byte[256 * 1024];
                    peer.Receive(buffer, 0, 1, SocketFlags.None);
                    var echo = buffer[0] == (byte)'e';
                    int count;
                    while ((count = peer.Receive(buffer)) > 0)
                    {
                        if (echo) peer.Send(buffer, 0, count, SocketFlags.None);
                    }
                }
            }, TaskCreationOptions.LongRunning);
        }
    }
}
