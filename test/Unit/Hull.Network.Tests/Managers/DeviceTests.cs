using System.Net;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests;

public sealed class DeviceTests
{
    [Fact]
    public async Task A_tap_is_a_port_of_the_bridge_and_can_be_opened()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        var machine = await playground.Manager.SetUpAsync(playground.Spec("machine", "own") with { Kind = AttachmentKind.Tap, Ports = [new PortMapping(80, FirstHostPort: 8080)] });

        Assert.Null(machine.SandboxPath);
        Assert.Contains($"master {playground.Manager.GetNetwork("own").BridgeName}", playground.InHost($"ip link show {machine.Endpoints[0].HostInterface}"), StringComparison.Ordinal);
        using (var tap = playground.Manager.OpenTap(machine.InstanceId, "own"))
        {
            Assert.False(tap.IsInvalid);
            Assert.Contains("LOWER_UP", playground.InHost($"ip link show {machine.Endpoints[0].HostInterface}"), StringComparison.Ordinal);
        }

        Assert.Empty(await playground.Manager.AuditAsync());
        await playground.Manager.DisposeAsync();
        await playground.OpenAsync();
        Assert.Empty(await playground.Manager.AuditAsync());
        await playground.Manager.TearDownAsync(machine.InstanceId);
        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.DoesNotContain(machine.Endpoints[0].HostInterface!, playground.InHost("ip -o link"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Macvlan_endpoints_are_hosts_of_the_parents_network()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec
        {
            Name = "lan", Driver = NetworkDriver.Macvlan, Parent = "uplink",
            Subnets = [new SubnetSpec(IPNetwork.Parse("198.51.100.0/24"), IPAddress.Parse("198.51.100.2"), IPNetwork.Parse("198.51.100.64/28"))],
        });
        var one = await playground.StartAsync("one", "lan");
        using var server = playground.Serve(one.SandboxPath!, 80);

        Assert.NotNull(playground.Ask(playground.WorldPath, one.Endpoints[0].IPv4Address!, 80));
        Assert.StartsWith("default via 198.51.100.2", playground.In(one, "ip route show default"), StringComparison.Ordinal);
        Assert.Empty(await playground.Manager.AuditAsync());
        var missing = await Assert.ThrowsAsync<HullException>(() => playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "x", Driver = NetworkDriver.Macvlan, Parent = "nothing0" }));
        Assert.Equal(ErrorKind.NotFound, missing.Kind);
    }

    [Fact]
    public async Task A_namespace_made_by_another_is_attached_to_and_left_in_place()
    {
        await using var playground = await Playground.CreateAsync();
        using var made = NetworkNamespace.Create();
        var path = playground["foreign"];
        made.BindTo(path);
        try
        {
            var one = await playground.Manager.SetUpAsync(playground.Spec("one", "bridge") with { NamespacePath = path });
            playground.In(one, $"busybox ping -c1 -W2 {one.Endpoints[0].IPv4Gateway}");
            await playground.Manager.TearDownAsync(one.InstanceId);
            Assert.Empty(await playground.Manager.AuditAsync());
            Assert.DoesNotContain("eth0", playground.In(path, "ip -o link").Output, StringComparison.Ordinal);
        }
        finally
        {
            NetworkNamespace.Unbind(path);
        }
    }

    [Fact]
    public async Task Bandwidth_is_bounded_in_both_directions_and_unbounded_again()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.Manager.SetUpAsync(playground.Spec("one") with
        {
            Endpoints = [new EndpointSpec { Network = "bridge", Limits = new BandwidthLimits(8_000_000, 16_000_000) }],
        });
        var device = one.Endpoints[0].HostInterface!;

        Assert.Contains("rate 16Mbit", playground.InHost($"tc qdisc show dev {device}"), StringComparison.Ordinal);
        Assert.Contains("rate 8Mbit", playground.InHost("tc qdisc show | grep ' dev i'"), StringComparison.Ordinal);
        Assert.Contains("mirred (Egress Redirect", playground.InHost($"tc filter show dev {device} ingress"), StringComparison.Ordinal);
        playground.In(one, $"busybox ping -c1 -W2 {one.Endpoints[0].IPv4Gateway}");
        Assert.NotEqual("0", playground.InHost("cat /sys/class/net/lo/mtu; ip -s -o link show type ifb | grep -v ' ifb[01]:' | wc -l"));
        Assert.Empty(await playground.Manager.AuditAsync());

        await playground.Manager.SetLimitsAsync(one.InstanceId, null, new BandwidthLimits());
        Assert.DoesNotContain("tbf", playground.InHost("tc qdisc show"), StringComparison.Ordinal);
        Assert.Empty(await playground.Manager.AuditAsync());
    }

    [Fact]
    public async Task Bandwidth_is_shared_by_all_who_name_it_and_goes_with_the_last()
    {
        await using var playground = await Playground.CreateAsync();
        var limits = new BandwidthLimits(0, 24_000_000) { Shared = new SharedBandwidth("shop", 8_000_000, 16_000_000) };
        var (one, two) = (await SetUpAsync("one"), await SetUpAsync("two"));
        Assert.Equal("2", playground.InHost("tc qdisc show | grep -c ' dev i.* rate \\(8\\|16\\)Mbit'"));
        foreach (var member in new[] { one, two })
        {
            var device = member.Endpoints[0].HostInterface!;
            Assert.Contains("mirred (Egress Redirect", playground.InHost($"tc filter show dev {device} ingress"), StringComparison.Ordinal);
            Assert.Contains("mirred (Egress Redirect", playground.InHost($"tc filter show dev {device} egress"), StringComparison.Ordinal);
            Assert.Contains("rate 24Mbit", playground.InHost($"tc qdisc show dev {device}"), StringComparison.Ordinal);
            playground.In(member, $"busybox ping -c1 -W2 {member.Endpoints[0].IPv4Gateway}");
        }

        playground.In(one, $"busybox ping -c1 -W2 {two.Endpoints[0].IPv4Address}");
        Assert.Empty(await playground.Manager.AuditAsync());

        // Another rate, and a next engine.
        await playground.Manager.SetLimitsAsync(one.InstanceId, null, limits with { Shared = limits.Shared with { EgressBitsPerSecond = 4_000_000 } });
        Assert.Equal("1", playground.InHost("tc qdisc show | grep -c ' dev i.* rate 4Mbit'"));
        await playground.Manager.DisposeAsync();
        await playground.OpenAsync();
        playground.In(two, $"busybox ping -c1 -W2 {one.Endpoints[0].IPv4Address}");
        await playground.Manager.TearDownAsync(one.InstanceId);
        playground.In(two, $"busybox ping -c1 -W2 {two.Endpoints[0].IPv4Gateway}");
        Assert.Empty(await playground.Manager.AuditAsync());
        await playground.Manager.SetLimitsAsync(two.InstanceId, null, new BandwidthLimits());
        Assert.DoesNotContain("tbf", playground.InHost("tc qdisc show"), StringComparison.Ordinal);
        playground.In(two, $"busybox ping -c1 -W2 {two.Endpoints[0].IPv4Gateway}");
        Assert.Empty(await playground.Manager.AuditAsync());
        await Assert.ThrowsAsync<HullException>(() => playground.Manager.SetLimitsAsync(two.InstanceId, null, limits with { EgressBitsPerSecond = 1_000_000 }));

        Task<InstanceNetwork> SetUpAsync(string name) => playground.Manager.SetUpAsync(playground.Spec(name) with
        {
            Endpoints = [new EndpointSpec { Network = "bridge", Limits = limits }],
        });
    }

    [Fact]
    public async Task An_existing_bridge_is_used_and_stays()
    {
        await using var playground = await Playground.CreateAsync();
        playground.InHost("ip link add br-mine type bridge");
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "mine", BridgeName = "br-mine" });
        await playground.Manager.RemoveNetworkAsync("mine");

        Assert.Contains("br-mine", playground.InHost("ip -o link"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_host_network_gets_files_and_nothing_else()
    {
        await using var playground = await Playground.CreateAsync();
        var one = await playground.Manager.SetUpAsync(playground.Spec("one") with { HostNetwork = true, ExtraHosts = ["db:10.1.2.3"] });

        Assert.Null(one.SandboxPath);
        Assert.Contains("10.1.2.3\tdb", File.ReadAllText(one.HostsPath!), StringComparison.Ordinal);
        Assert.Contains("nameserver 198.51.100.2", File.ReadAllText(one.ResolvConfPath!), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_follow_the_endpoints_until_somebody_edits_them()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own" });
        var one = await playground.Manager.SetUpAsync(playground.Spec("one", "bridge") with { Hostname = "box", Domainname = "lan.test", ExtraHosts = ["gate:host-gateway", "six:[2001:db8::9]"] });
        var hosts = File.ReadAllText(one.HostsPath!);
        Assert.Contains($"{one.Endpoints[0].IPv4Address}\tbox.lan.test box\n", hosts, StringComparison.Ordinal);
        Assert.Contains($"{one.Endpoints[0].IPv4Gateway}\tgate\n", hosts, StringComparison.Ordinal);
        Assert.Contains("2001:db8::9\tsix\n", hosts, StringComparison.Ordinal);
        Assert.Equal("box\n", File.ReadAllText(one.HostnamePath!));
        Assert.Contains("nameserver 198.51.100.2\nsearch example.test\n", File.ReadAllText(one.ResolvConfPath!), StringComparison.Ordinal);

        var inode = playground.InHost($"stat -c %i {one.HostsPath}");
        var endpoint = await playground.Manager.ConnectAsync(one.InstanceId, new EndpointSpec { Network = "own" });
        Assert.Contains($"{endpoint.IPv4Address}\tbox", File.ReadAllText(one.HostsPath!), StringComparison.Ordinal);
        Assert.Contains($"nameserver {endpoint.IPv4Gateway}\n", File.ReadAllText(one.ResolvConfPath!), StringComparison.Ordinal);
        Assert.Equal(inode, playground.InHost($"stat -c %i {one.HostsPath}"));

        File.WriteAllText(one.HostsPath!, "127.0.0.1 mine\n");
        await playground.Manager.DisconnectAsync(one.InstanceId, "own");
        Assert.Equal("127.0.0.1 mine\n", File.ReadAllText(one.HostsPath!));
    }

    [Fact]
    public async Task The_doctor_names_firewalls_that_drop_and_the_commands_that_help()
    {
        await using var playground = await Playground.CreateAsync();
        playground.InHost("nft add table inet wall && nft 'add chain inet wall onward { type filter hook forward priority 0; policy drop; }' && nft 'add chain inet wall inward { type filter hook input priority 0; policy drop; }'");
        var one = await playground.StartAsync("one", "bridge", new PortMapping(80, HostAddress: IPAddress.Any, FirstHostPort: 8080));
        using var server = playground.Serve(one.SandboxPath!, 80);
        // The host's firewall has the last word on what comes from outside; the host itself is not concerned.
        Assert.Null(playground.Ask(playground.WorldPath, IPAddress.Parse("198.51.100.1"), 8080));

        var diagnosis = await playground.Manager.DiagnoseAsync();
        var forward = Assert.Single(diagnosis, d => d.Message.Contains("inet wall onward", StringComparison.Ordinal));
        Assert.Single(diagnosis, d => d.Message.Contains("inet wall inward", StringComparison.Ordinal));
        playground.InHost(forward.Advice);
        Assert.NotNull(playground.Ask(playground.WorldPath, IPAddress.Parse("198.51.100.1"), 8080));
    }
}
