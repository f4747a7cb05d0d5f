using System.Net;
using Hull.Core;

namespace Hull.Network.Tests;

public sealed class BridgeTests
{
    [Fact]
    public async Task Instances_on_the_default_bridge_reach_each_other_the_host_and_the_world()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one");
        var two = await playground.StartAsync("two");

        Assert.NotEqual(one.Endpoints[0].IPv4Address, two.Endpoints[0].IPv4Address);
        playground.In(one, $"busybox ping -c1 -W2 {two.Endpoints[0].IPv4Address}");
        playground.In(one, $"busybox ping -c1 -W2 {one.Endpoints[0].IPv4Gateway}");
        // The world has no route back: only masqueraded packets are answered.
        playground.In(one, "busybox ping -c1 -W2 198.51.100.2");
        Assert.Equal(["lo", "eth0"], playground.In(one, "ip -o link | awk -F': ' '{print $2}' | cut -d@ -f1").Split('\n'));
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task Tear_down_leaves_nothing()
    {
        await using var playground = await Playground.CreateAsync();
        var before = playground.InHost("ip -o link; nft list ruleset");
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80), new PortMapping(53, TransportProtocol.Udp, null, 5353));
        Assert.NotEqual(before, playground.InHost("ip -o link; nft list ruleset"));

        await playground.Manager.TearDownAsync(one.InstanceId);
        await playground.Manager.TearDownAsync(one.InstanceId);

        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.False(File.Exists(one.SandboxPath));
        // The bridge loses its carrier: everything else is as it was.
        Assert.Equal(StateFree(before), StateFree(playground.InHost("ip -o link; nft list ruleset")));
        static string StateFree(string text) => System.Text.RegularExpressions.Regex.Replace(text, "<[A-Z,_-]*>|state [A-Z]+", "");
    }

    [Fact]
    public async Task Networks_are_isolated_from_each_other()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "left" });
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "right" });
        var one = await playground.StartAsync("one", "left");
        var two = await playground.StartAsync("two", "right");
        using var server = playground.Serve(two.SandboxPath!, 80);

        Assert.Null(playground.Ask(one.SandboxPath!, two.Endpoints[0].IPv4Address!, 80));
        Assert.NotNull(playground.Ask(playground.HostPath, two.Endpoints[0].IPv4Address!, 80));
    }

    [Fact]
    public async Task A_host_outside_does_not_reach_an_unpublished_port()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one");
        using var server = playground.Serve(one.SandboxPath!, 80);
        playground.InWorld($"ip route add {playground.Manager.GetNetwork("bridge").Subnets[0].Subnet} via 198.51.100.1");

        Assert.Null(playground.Ask(playground.WorldPath, one.Endpoints[0].IPv4Address!, 80));
    }

    [Fact]
    public async Task Without_inter_container_communication_instances_reach_only_the_gateway()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "lonely", InterContainer = false });
        var one = await playground.StartAsync("one", "lonely");
        var two = await playground.StartAsync("two", "lonely");
        using var server = playground.Serve(two.SandboxPath!, 80);

        Assert.Null(playground.Ask(one.SandboxPath!, two.Endpoints[0].IPv4Address!, 80));
        playground.In(one, "busybox ping -c1 -W2 198.51.100.2");
    }

    [Fact]
    public async Task An_internal_network_has_no_way_out_and_none_in()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "inner", Internal = true });
        var one = await playground.StartAsync("one", "inner", new PortMapping(80, HostAddress: IPAddress.Any, FirstHostPort: 8080));
        var two = await playground.StartAsync("two", "inner");
        using var server = playground.Serve(one.SandboxPath!, 80);

        Assert.Equal("", playground.In(one, "ip route show default"));
        Assert.NotNull(playground.Ask(two.SandboxPath!, one.Endpoints[0].IPv4Address!, 80));
        Assert.Empty(one.Ports);
        playground.In(one, $"ip route add default via {playground.Manager.GetNetwork("inner").Subnets[0].Gateway}");
        Assert.NotEqual(0, playground.In(one.SandboxPath!, "busybox ping -c1 -W1 198.51.100.2").ExitCode);
    }

    [Fact]
    public async Task Static_addresses_aliases_and_interface_names_are_as_asked()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec
        {
            Name = "own",
            Subnets = [new SubnetSpec(IPNetwork.Parse("10.77.0.0/24"), IPAddress.Parse("10.77.0.254"), IPNetwork.Parse("10.77.0.128/26"), new Dictionary<string, IPAddress> { ["router"] = IPAddress.Parse("10.77.0.128") })],
        });
        var one = await playground.Manager.SetUpAsync(playground.Spec("one") with
        {
            Endpoints = [new EndpointSpec { Network = "own", IPv4Address = IPAddress.Parse("10.77.0.9"), MacAddress = "02:00:00:00:00:09", InterfaceName = "lan0" }],
        });
        var two = await playground.StartAsync("two", "own");

        Assert.Equal("10.77.0.9/24", playground.In(one, "ip -o -4 addr show lan0 | awk '{print $4}'"));
        Assert.Contains("02:00:00:00:00:09", playground.In(one, "ip link show lan0"), StringComparison.Ordinal);
        Assert.StartsWith("default via 10.77.0.254", playground.In(one, "ip route show default"), StringComparison.Ordinal);
        Assert.Equal(IPAddress.Parse("10.77.0.129"), two.Endpoints[0].IPv4Address);
        var error = await Assert.ThrowsAsync<HullException>(() => playground.Manager.SetUpAsync(playground.Spec("three") with
        {
            Endpoints = [new EndpointSpec { Network = "own", IPv4Address = IPAddress.Parse("10.77.0.9") }],
        }));
        Assert.Equal(ErrorKind.Conflict, error.Kind);
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task IPv6_works_inside_and_through_masquerading()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "six", EnableIPv6 = true });
        var one = await playground.StartAsync("one", "six");
        var two = await playground.StartAsync("two", "six");

        playground.In(one, $"busybox ping -6 -c1 -W2 {two.Endpoints[0].IPv6Address}");
        playground.In(one, $"busybox ping -6 -c1 -W2 {one.Endpoints[0].IPv6Gateway}");
        playground.In(one, "busybox ping -6 -c1 -W2 2001:db8::2");
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task Connecting_and_disconnecting_move_the_default_route()
    {
        await using var playground = await Playground.CreateAsync();
        var first = await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "first" });
        var second = await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "second" });
        var one = await playground.StartAsync("one", "first", new PortMapping(80, FirstHostPort: 8080));
        using var server = playground.Serve(one.SandboxPath!, 80);

        await playground.Manager.ConnectAsync(one.InstanceId, new EndpointSpec { Network = "second", GatewayPriority = 1 });
        Assert.Contains($"via {second.Subnets[0].Gateway} dev eth1", playground.In(one, "ip route show default"), StringComparison.Ordinal);
        await playground.Manager.DisconnectAsync(one.InstanceId, "second");
        Assert.Contains($"via {first.Subnets[0].Gateway} dev eth0", playground.In(one, "ip route show default"), StringComparison.Ordinal);
        await playground.Manager.ConnectAsync(one.InstanceId, new EndpointSpec { Network = "second" });
        await playground.Manager.DisconnectAsync(one.InstanceId, "first");
        Assert.Contains($"via {second.Subnets[0].Gateway}", playground.In(one, "ip route show default"), StringComparison.Ordinal);

        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
        Assert.Empty(await playground.Manager.AuditAsync());
        await Assert.ThrowsAsync<HullException>(() => playground.Manager.RemoveNetworkAsync("second"));
        await playground.Manager.RemoveNetworkAsync("first");
    }

    [Fact]
    public async Task An_mtu_too_small_for_ipv6_works_for_ipv4()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "narrow", Mtu = 1000 });
        var one = await playground.StartAsync("one", "narrow");

        Assert.Equal("1000", playground.In(one, "ip -o link show eth0 | sed 's/.* mtu \\([0-9]*\\).*/\\1/'"));
        playground.In(one, $"busybox ping -c1 -W2 {one.Endpoints[0].IPv4Gateway}");
    }

    [Fact]
    public async Task A_failed_start_leaves_nothing()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "one" });
        using var occupied = playground.Serve(playground.HostPath, 8080);

        var error = await Assert.ThrowsAsync<HullException>(() => playground.Manager.SetUpAsync(playground.Spec("x", "bridge", "one") with { Ports = [new PortMapping(80, FirstHostPort: 8080)] }));

        Assert.Equal(ErrorKind.Conflict, error.Kind);
        Assert.Contains("8080", error.Message, StringComparison.Ordinal);
        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.Empty(playground.Manager.EndpointsOf("one"));
        await playground.Manager.RemoveNetworkAsync("one");
    }
}
