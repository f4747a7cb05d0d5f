using System.Net;
using System.Net.Sockets;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests;

public sealed class RestartTests
{
    [Fact]
    public async Task A_new_manager_finds_everything_and_no_connection_breaks()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        var one = await playground.StartAsync("one", "own", new PortMapping(80, HostAddress: IPAddress.Any, FirstHostPort: 8080));
        var networks = playground.Manager.Networks.Select(n => (n.Id, n.Name, n.BridgeName)).ToList();
        using var server = playground.Serve(one.SandboxPath!, 80);
        using var connection = Connect(playground.WorldPath, "198.51.100.1", 8080);
        Assert.Equal("198.51.100.2", Exchange(connection));

        await playground.Manager.DisposeAsync();
        Assert.Equal("198.51.100.2", Exchange(connection));
        Assert.NotNull(playground.Ask(playground.WorldPath, IPAddress.Parse("198.51.100.1"), 8080));
        await playground.OpenAsync();

        Assert.Equal("198.51.100.2", Exchange(connection));
        Assert.Equal(networks, playground.Manager.Networks.Select(n => (n.Id, n.Name, n.BridgeName)));
        Assert.Equal(one.Endpoints[0].IPv4Address, playground.Manager.FindInstance(one.InstanceId)!.Endpoints[0].IPv4Address);
        Assert.NotNull(playground.Ask(playground.WorldPath, IPAddress.Parse("198.51.100.1"), 8080));
        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.NotEqual(one.Endpoints[0].IPv4Address, (await playground.StartAsync("two", "own")).Endpoints[0].IPv4Address);
    }

    [Fact]
    public async Task What_a_crash_left_is_removed_and_what_belongs_to_others_is_not()
    {
        await using var playground = await Playground.CreateAsync();
        var id = playground.Manager.EngineId;
        await playground.Manager.DisposeAsync();
        playground.InHost($"ip link add v{id}00000000 type veth peer name x0; ip link add h{id}-0000000 type bridge; ip link add habcdef-0000000 type bridge; nft add table inet hull_abcdef; nft add element inet hull_{id} publish4 '{{ 127.0.0.1 . tcp . 9 : 10.0.0.1 . 9 }}'");
        File.WriteAllText(playground["run/netns/leftover"], "");
        File.WriteAllText(playground["run/instances/broken.json"], "{");
        File.WriteAllText(playground["state/networks/torn.json"], "");
        await playground.OpenAsync();

        Assert.Empty(await playground.Manager.AuditAsync());
        var links = playground.InHost("ip -o link");
        Assert.DoesNotContain($"v{id}00000000", links, StringComparison.Ordinal);
        Assert.DoesNotContain($"h{id}-0000000", links, StringComparison.Ordinal);
        Assert.Contains("habcdef-0000000", links, StringComparison.Ordinal);
        Assert.Contains("hull_abcdef", playground.InHost("nft list tables"), StringComparison.Ordinal);
        Assert.False(File.Exists(playground["run/netns/leftover"]));
        Assert.Contains(playground.Log, line => line.Contains("broken.json", StringComparison.Ordinal));
        Assert.Contains(playground.Log, line => line.Contains("torn.json", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_audit_sees_what_is_missing_and_what_is_too_much()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 8080));
        var (id, bridge) = (playground.Manager.EngineId, playground.Manager.GetNetwork("bridge").BridgeName);
        playground.InHost($"ip link del {one.Endpoints[0].HostInterface}; ip link add t{id}00000000 type veth peer name x0; ip addr add 10.9.9.9/24 dev {bridge}; nft delete element inet hull_{id} publish4 '{{ 127.0.0.1 . tcp . 8080 }}'; nft add element inet hull_{id} bridges '{{ foreign0 }}'");

        var findings = (await playground.Manager.AuditAsync()).Select(f => (f.Kind, f.Leaked)).ToHashSet();

        Assert.Equal([("veth", false), ("tap", true), ("address", true), ("element", false), ("element", true)], findings.OrderBy(f => f.Kind is "veth" ? 0 : f.Kind is "tap" ? 1 : f.Kind is "address" ? 2 : f.Leaked ? 4 : 3));
    }

    [Fact]
    public async Task A_flushed_rule_set_is_put_back()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 8080));
        using var server = playground.Serve(one.SandboxPath!, 80);
        playground.InHost("nft flush ruleset");

        for (var attempt = 0; attempt < 100 && (await playground.Manager.AuditAsync()).Count > 0; attempt++) await Task.Delay(50);

        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
    }

    [Fact]
    public async Task Two_engines_share_a_host()
    {
        await using var playground = await Playground.CreateAsync();
        await using var other = await NetworkManager.OpenAsync(playground.Options with { StateDirectory = playground["state2"], RuntimeDirectory = playground["run2"] });
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, FirstHostPort: 8080));
        var error = await Assert.ThrowsAsync<Hull.Core.HullException>(() => other.SetUpAsync(playground.Spec("one", "bridge") with { Ports = [new PortMapping(80, FirstHostPort: 8080)] }));
        var two = await other.SetUpAsync(playground.Spec("one", "bridge") with { Ports = [new PortMapping(80, FirstHostPort: 8081)] });
        using var first = playground.Serve(one.SandboxPath!, 80);
        using var second = playground.Serve(two.SandboxPath!, 80);

        Assert.Contains("8080", error.Message, StringComparison.Ordinal);
        Assert.NotEqual(one.Endpoints[0].IPv4Address, two.Endpoints[0].IPv4Address);
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8081));
        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.Empty(await other.AuditAsync());
        await other.TearDownAsync(two.InstanceId);
        Assert.NotNull(playground.Ask(playground.HostPath, IPAddress.Loopback, 8080));
    }

    private static Socket Connect(string namespacePath, string address, int port)
    {
        using var source = NetworkNamespace.Open(namespacePath);
        var socket = source.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        socket.ReceiveTimeout = 5000;
        socket.Connect(IPAddress.Parse(address), port);
        return socket;
    }

    private static string Exchange(Socket socket)
    {
        socket.Send("x"u8);
        var buffer = new byte[256];
        return System.Text.Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }
}
