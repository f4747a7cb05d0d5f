using System.Net;
using Hull.Core;

namespace Hull.Network.Tests;

public sealed class PublishTests
{
    private static readonly IPAddress HostUplink = IPAddress.Parse("198.51.100.1");

    [Theory]
    [InlineData(TransportProtocol.Tcp)]
    [InlineData(TransportProtocol.Udp)]
    public async Task A_port_is_on_loopback_unless_asked_otherwise(TransportProtocol protocol)
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, protocol, null, 8080));
        using var server = playground.Serve(one.SandboxPath!, 80, protocol);

        Assert.Equal(new PublishedPort(80, protocol, IPAddress.Loopback, 8080), Assert.Single(one.Ports));
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080, protocol));
        Assert.Null(playground.Ask(playground.HostPath, HostUplink, 8080, protocol));
        Assert.Null(playground.Ask(playground.WorldPath, HostUplink, 8080, protocol));
    }

    [Theory]
    [InlineData(TransportProtocol.Tcp)]
    [InlineData(TransportProtocol.Udp)]
    public async Task A_port_on_all_addresses_is_reached_from_everywhere_with_its_source(TransportProtocol protocol)
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "other" });
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, protocol, IPAddress.Any, 8080));
        var neighbour = await playground.StartAsync("neighbour");
        var stranger = await playground.StartAsync("stranger", "other");
        using var server = playground.Serve(one.SandboxPath!, 80, protocol);

        Assert.Equal("198.51.100.2", playground.Ask(playground.WorldPath, HostUplink, 8080, protocol));
        Assert.Equal(one.Endpoints[0].IPv4Gateway!.ToString(), playground.Ask(playground.HostPath, IPAddress.Loopback, 8080, protocol));
        Assert.Equal("198.51.100.1", playground.Ask(playground.HostPath, HostUplink, 8080, protocol));
        Assert.Equal(stranger.Endpoints[0].IPv4Address!.ToString(), playground.Ask(stranger.SandboxPath!, HostUplink, 8080, protocol));
        Assert.NotNull(playground.Ask(neighbour.SandboxPath!, HostUplink, 8080, protocol));
        Assert.NotNull(playground.Ask(one.SandboxPath!, HostUplink, 8080, protocol));
        Assert.NotNull(playground.Ask(neighbour.SandboxPath!, one.Endpoints[0].IPv4Gateway!, 8080, protocol));
    }

    [Fact]
    public async Task Hairpin_works_without_bridge_netfilter_too()
    {
        await using var playground = await Playground.CreateAsync();
        playground.InHost("sysctl -qw net.bridge.bridge-nf-call-iptables=0");
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "plain" });
        var one = await playground.StartAsync("one", "plain", new PortMapping(80, HostAddress: IPAddress.Any, FirstHostPort: 8080));
        var neighbour = await playground.StartAsync("neighbour", "plain");
        using var server = playground.Serve(one.SandboxPath!, 80);

        Assert.NotNull(playground.Ask(neighbour.SandboxPath!, HostUplink, 8080));
        Assert.NotNull(playground.Ask(one.SandboxPath!, HostUplink, 8080));
    }

    [Fact]
    public async Task IPv6_ports_are_reached_from_the_host_and_the_world()
    {
        await using var playground = await Playground.CreateAsync(o => o with { PublishDefaultAddress = IPAddress.Any });
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "six", EnableIPv6 = true });
        var one = await playground.StartAsync("one", "six", new PortMapping(80));
        using var server = playground.Serve(one.SandboxPath!, 80, v6: true);

        Assert.Equal(2, one.Ports.Count);
        Assert.Equal(one.Ports[0].HostPort, one.Ports[1].HostPort);
        var port = one.Ports[0].HostPort;
        Assert.Equal("2001:db8::2", playground.Ask(playground.WorldPath, IPAddress.Parse("2001:db8::1"), port));
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Parse("2001:db8::1"), port));
        // Refused at once, so that "localhost" goes on to 127.0.0.1.
        Assert.Contains("refused", playground.In(playground.HostPath, $"busybox nc -w 5 ::1 {port} < /dev/null").Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_forged_packet_to_loopback_from_outside_is_not_translated()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, TransportProtocol.Udp, null, 8080));
        using var server = playground.Serve(one.SandboxPath!, 80, TransportProtocol.Udp);
        playground.InWorld("sysctl -qw net.ipv4.conf.eth0.route_localnet=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0; ip addr del 127.0.0.1/8 dev lo; ip route del local 127.0.0.0/8 dev lo table local 2>/dev/null; ip route add 127.0.0.1/32 via 198.51.100.1 src 198.51.100.2");

        Assert.Null(playground.Ask(playground.WorldPath, IPAddress.Loopback, 8080, TransportProtocol.Udp));
    }

    [Fact]
    public async Task A_range_takes_the_first_free_port()
    {
        await using var playground = await Playground.CreateAsync();
        using var occupied = playground.Serve(playground.HostPath, 9000);
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 9000, LastHostPort: 9002));
        var two = await playground.StartAsync("two", "bridge", new PortMapping(80, FirstHostPort: 9000, LastHostPort: 9002));

        Assert.Equal(9001, one.Ports[0].HostPort);
        Assert.Equal(9002, two.Ports[0].HostPort);
        var error = await Assert.ThrowsAsync<HullException>(() => playground.StartAsync("three", "bridge", new PortMapping(80, FirstHostPort: 9000, LastHostPort: 9002)));
        Assert.Equal(ErrorKind.Conflict, error.Kind);
    }

    [Fact]
    public async Task A_published_port_is_kept_from_other_programs_and_named_on_conflict()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 8080));

        Assert.Throws<System.Net.Sockets.SocketException>(() => playground.Serve(playground.HostPath, 8080).Dispose());
        var error = await Assert.ThrowsAsync<HullException>(() => playground.StartAsync("two", "bridge", new PortMapping(80, FirstHostPort: 8080)));
        Assert.Contains("'one'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Thousands_of_ports_are_published_in_one_transaction()
    {
        await using var playground = await Playground.CreateAsync();
        var mappings = Enumerable.Range(0, 3000).Select(i => new PortMapping((ushort)(10000 + i), TransportProtocol.Udp, null, (ushort)(20000 + i))).ToArray();
        var one = await playground.StartAsync("one", "bridge", mappings);
        using var server = playground.Serve(one.SandboxPath!, 12999, TransportProtocol.Udp);

        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 22999, TransportProtocol.Udp));
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task Editing_ports_keeps_connections_of_those_that_stay()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 8080));
        using var server = playground.Serve(one.SandboxPath!, 80);

        await playground.Manager.PublishAsync(one.InstanceId, [new PortMapping(80, FirstHostPort: 8080), new PortMapping(80, FirstHostPort: 8081)]);
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8081));
        await playground.Manager.PublishAsync(one.InstanceId, [new PortMapping(80, FirstHostPort: 8081)]);
        Assert.Null(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8081));
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task Sctp_is_translated()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.StartAsync("one", "bridge", new PortMapping(80, TransportProtocol.Sctp, null, 8080));
        Assert.Contains("127.0.0.1 . sctp . 8080", playground.InHost("nft list ruleset"), StringComparison.Ordinal);
    }
}
