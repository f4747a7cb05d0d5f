using System.Net;
using System.Net.Sockets;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests;

public sealed class NameTests
{
    [Fact]
    public async Task Names_aliases_and_addresses_resolve_on_a_user_network()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own", EnableIPv6 = true });
        var web = await playground.Manager.SetUpAsync(playground.Spec("web") with { Endpoints = [new EndpointSpec { Network = "own", Aliases = ["www", "shared"] }] });
        var two = await playground.Manager.SetUpAsync(playground.Spec("two") with { Endpoints = [new EndpointSpec { Network = "own", Aliases = ["shared"] }] });
        var endpoint = web.Endpoints[0];

        Assert.Equal([endpoint.IPv4Address!], Query(playground, two, "web", DnsType.A).Addresses);
        Assert.Equal([endpoint.IPv4Address!], Query(playground, two, "WWW", DnsType.A).Addresses);
        Assert.Equal([endpoint.IPv4Address!], Query(playground, two, "web.own", DnsType.A).Addresses);
        Assert.Equal([endpoint.IPv4Address!], Query(playground, two, web.InstanceId[..12], DnsType.A).Addresses);
        Assert.Equal([endpoint.IPv6Address!], Query(playground, two, "web", DnsType.Aaaa).Addresses);
        Assert.Equal([endpoint.IPv4Address!], Query(playground, two, "web", DnsType.A, tcp: true).Addresses);
        Assert.Equal(2, Query(playground, two, "shared", DnsType.A).Addresses.Count);
        Assert.Equal(DnsCode.NoError, Query(playground, two, "web", 15).Code);
        var reverse = string.Join('.', Enumerable.Reverse(endpoint.IPv4Address!.GetAddressBytes())) + ".in-addr.arpa";
        Assert.Contains("web", Query(playground, two, reverse, DnsType.Ptr).Text, StringComparison.Ordinal);
        var lookup = playground.In(two.SandboxPath!, $"busybox nslookup web {endpoint.IPv4Gateway}");
        Assert.Contains(endpoint.IPv4Address.ToString(), lookup.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shared_names_answer_in_changing_order()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        InstanceNetwork? last = null;
        foreach (var name in new[] { "a", "b", "c" })
            last = await playground.Manager.SetUpAsync(playground.Spec(name) with { Endpoints = [new EndpointSpec { Network = "own", Aliases = ["app"] }] });

        var firsts = Enumerable.Range(0, 40).Select(_ => Query(playground, last!, "app", DnsType.A).Addresses[0]).ToHashSet();

        Assert.Equal(3, firsts.Count);
    }

    [Fact]
    public async Task An_instance_sees_the_names_of_its_networks_only()
    {
        await using var playground = await Playground.CreateAsync();
        foreach (var name in new[] { "left", "right" }) await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = name, Internal = true });
        var one = await playground.StartAsync("one", "left");
        var two = await playground.StartAsync("two", "right");
        var both = await playground.Manager.SetUpAsync(playground.Spec("both", "left", "right"));

        Assert.Equal(DnsCode.NameError, Query(playground, one, "two", DnsType.A).Code);
        Assert.Equal([two.Endpoints[0].IPv4Address!], Query(playground, both, "two", DnsType.A).Addresses);
        Assert.Equal([one.Endpoints[0].IPv4Address!], Query(playground, both, "one", DnsType.A).Addresses);

        await playground.Manager.ConnectAsync(one.InstanceId, new EndpointSpec { Network = "right" });
        Assert.Equal([two.Endpoints[0].IPv4Address!], Query(playground, one, "two", DnsType.A).Addresses);
        await playground.Manager.RenameAsync(two.InstanceId, "zwei");
        Assert.Equal([two.Endpoints[0].IPv4Address!], Query(playground, one, "zwei", DnsType.A).Addresses);
        Assert.Equal(DnsCode.NameError, Query(playground, one, "two", DnsType.A).Code);
        await playground.Manager.TearDownAsync(two.InstanceId);
        Assert.Equal(DnsCode.NameError, Query(playground, one, "zwei", DnsType.A).Code);
    }

    [Fact]
    public async Task Other_names_are_asked_upstream_except_from_internal_networks()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "open" });
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "inner", Internal = true });
        using var upstream = new FakeNameServer(playground.WorldPath, IPAddress.Parse("203.0.113.7"));
        var open = await playground.StartAsync("open1", "open");
        var inner = await playground.StartAsync("inner1", "inner");
        var own = await playground.Manager.SetUpAsync(playground.Spec("own", "open") with { DnsServers = [IPAddress.Parse("198.51.100.77")] });

        Assert.Equal([IPAddress.Parse("203.0.113.7")], Query(playground, open, "elsewhere.test", DnsType.A).Addresses);
        Assert.Equal(1, upstream.Queries);
        Assert.Equal(DnsCode.NameError, Query(playground, inner, "elsewhere.test", DnsType.A).Code);
        Assert.Equal(DnsCode.ServerFailure, Query(playground, own, "elsewhere.test", DnsType.A).Code);
        Assert.Equal(1, upstream.Queries);
    }

    [Fact]
    public async Task Names_survive_a_restart_and_links_are_private()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own", Internal = true });
        var db = await playground.StartAsync("db", "own");
        var app = await playground.Manager.SetUpAsync(playground.Spec("app") with
        {
            Endpoints = [new EndpointSpec { Network = "own", Links = new Dictionary<string, string> { ["store"] = db.InstanceId } }],
        });
        await playground.Manager.DisposeAsync();
        await playground.OpenAsync();

        Assert.Equal([db.Endpoints[0].IPv4Address!], Query(playground, app, "db", DnsType.A).Addresses);
        Assert.Equal([db.Endpoints[0].IPv4Address!], Query(playground, app, "store", DnsType.A).Addresses);
        Assert.Equal(DnsCode.NameError, Query(playground, db, "store", DnsType.A).Code);
    }

    [Fact]
    public async Task A_taken_port_53_is_gone_around()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.DisposeAsync();
        using var taken = playground.Serve(playground.HostPath, 53, TransportProtocol.Udp);
        await playground.OpenAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        var one = await playground.StartAsync("one", "own");

        Assert.Equal([one.Endpoints[0].IPv4Address!], Query(playground, one, "one", DnsType.A).Addresses);
        Assert.Equal([one.Endpoints[0].IPv4Address!], Query(playground, one, "one", DnsType.A, tcp: true).Addresses);
        Assert.Empty(await playground.Manager.AuditAsync());
        await playground.Manager.TearDownAsync(one.InstanceId);
        await playground.Manager.RemoveNetworkAsync("own");
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task A_flood_of_garbage_leaves_the_resolver_answering()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        var one = await playground.StartAsync("one", "own");
        using var inside = NetworkNamespace.Open(one.SandboxPath!);
        using var socket = inside.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        socket.Connect(one.Endpoints[0].IPv4Gateway!, 53);
        var random = new Random(7);
        for (var i = 0; i < 2000; i++)
        {
            var bytes = new byte[random.Next(1, 600)];
            random.NextBytes(bytes);
            socket.Send(bytes);
        }

        var idle = Enumerable.Range(0, 100).Select(_ => inside.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))).ToList();
        foreach (var connection in idle) connection.Connect(one.Endpoints[0].IPv4Gateway!, 53);
        Assert.Equal([one.Endpoints[0].IPv4Address!], Query(playground, one, "one", DnsType.A).Addresses);
        foreach (var connection in idle) connection.Dispose();
    }

    private static DnsAnswer Query(Playground playground, InstanceNetwork from, string name, ushort type, bool tcp = false) =>
        DnsClient.Query(from.SandboxPath!, playground.Manager.FindInstance(from.InstanceId)!.Resolver.Servers[0], name, type, tcp);
}
