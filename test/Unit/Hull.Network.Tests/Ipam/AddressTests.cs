using System.Net;
using Hull.Core;

namespace Hull.Network.Tests.Ipam;

public sealed class AddressTests
{
    [Fact]
    public void Addresses_go_round_before_one_is_given_again()
    {
        var allocator = Allocator("10.0.0.0/29", "10.0.0.1");
        var first = allocator.Allocate();
        Assert.Equal("10.0.0.2", first.ToString());
        allocator.Release(first);
        Assert.Equal(["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"], Enumerable.Range(0, 5).Select(_ => allocator.Allocate().ToString()));
        Assert.Equal(ErrorKind.ResourceExhausted, Assert.Throws<HullException>(allocator.Allocate).Kind);
    }

    [Theory]
    [InlineData("10.0.0.0/31", "10.0.0.0", "10.0.0.1")]
    [InlineData("fd00::/127", "fd00::", "fd00::1")]
    [InlineData("fd00::/64", "fd00::1", "fd00::2")]
    [InlineData("10.0.0.0/8", "10.0.0.1", "10.0.0.2")]
    public void The_first_free_address(string subnet, string gateway, string expected) =>
        Assert.Equal(expected, Allocator(subnet, gateway).Allocate().ToString());

    [Fact]
    public void A_particular_address_is_taken_once_and_inside_only()
    {
        var allocator = Allocator("10.0.0.0/24", "10.0.0.1");
        allocator.Reserve(IPAddress.Parse("10.0.0.2"));
        Assert.Equal("10.0.0.3", allocator.Allocate().ToString());
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => allocator.Reserve(IPAddress.Parse("10.0.0.2"))).Kind);
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => allocator.Reserve(IPAddress.Parse("10.0.0.255"))).Kind);
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => allocator.Reserve(IPAddress.Parse("10.0.1.2"))).Kind);
    }

    [Fact]
    public void A_subnet_is_taken_from_the_pools_around_what_is_used()
    {
        var used = new[] { "172.17.0.0/16", "172.18.5.0/24", "0.0.0.0/0" }.Select(s => IPNetwork.Parse(s)).ToList();
        var planned = SubnetPlanner.Plan(new NetworkSpec { Name = "n", EnableIPv6 = true }, NetworkManagerOptions.DefaultAddressPools, used, []);
        Assert.Equal("172.19.0.0/16", planned[0].Subnet.ToString());
        Assert.Equal("172.19.0.1", planned[0].Gateway!.ToString());
        Assert.Equal(0xfd, planned[1].Subnet.BaseAddress.GetAddressBytes()[0]);
        Assert.Equal(64, planned[1].Subnet.PrefixLength);
    }

    [Fact]
    public void Full_pools_are_said_to_be_full() =>
        Assert.Equal(ErrorKind.ResourceExhausted, Assert.Throws<HullException>(() =>
            SubnetPlanner.Plan(new NetworkSpec { Name = "n" }, [new AddressPool(IPNetwork.Parse("10.0.0.0/24"), 25)], [IPNetwork.Parse("10.0.0.0/8")], [])).Kind);

    [Theory]
    [InlineData("10.0.0.0/24", "10.0.1.1", null, null)]
    [InlineData("10.0.0.0/24", null, "10.0.1.0/25", null)]
    [InlineData("10.0.0.0/24", null, null, "10.0.1.9")]
    [InlineData("10.0.0.1/32", null, null, null)]
    [InlineData(null, "10.0.0.1", null, null)]
    [InlineData("fd00::/64", null, null, null)]
    public void A_subnet_that_contradicts_itself_is_refused(string? subnet, string? gateway, string? range, string? auxiliary)
    {
        var spec = new SubnetSpec(subnet is null ? null : IPNetwork.Parse(subnet), gateway is null ? null : IPAddress.Parse(gateway), range is null ? null : IPNetwork.Parse(range),
            auxiliary is null ? null : new Dictionary<string, IPAddress> { ["x"] = IPAddress.Parse(auxiliary) });
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() =>
            SubnetPlanner.Plan(new NetworkSpec { Name = "n", Subnets = [spec] }, NetworkManagerOptions.DefaultAddressPools, [], [])).Kind);
    }

    [Fact]
    public void Another_networks_subnet_is_refused() =>
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => SubnetPlanner.Plan(
            new NetworkSpec { Name = "n", Subnets = [new SubnetSpec(IPNetwork.Parse("10.0.0.0/24"))] }, [], [], [IPNetwork.Parse("10.0.0.0/8")])).Kind);

    [Theory]
    [InlineData("net.ipv4.conf.IFNAME.log_martians", true)]
    [InlineData("net.ipv4.ip_forward", false)]
    [InlineData("net.ipv4.conf.all.forwarding", false)]
    [InlineData("net.ipv4.conf.IFNAME.../../x", false)]
    [InlineData("kernel.core_pattern", false)]
    public void Only_sysctls_of_the_interface_are_taken(string name, bool valid)
    {
        if (valid) Assert.Equal("net/ipv4/conf/eth0/log_martians", NetworkValidation.SysctlPath(name, "eth0"));
        else Assert.Throws<HullException>(() => NetworkValidation.SysctlPath(name, "eth0"));
    }

    [Theory]
    [InlineData("01:00:5e:00:00:01")]
    [InlineData("00:00:00:00:00:00")]
    [InlineData("02:42")]
    [InlineData("nonsense")]
    public void A_mac_address_that_is_none_is_refused(string text) => Assert.Throws<HullException>(() => MacAddresses.Parse(text));

    private static AddressAllocator Allocator(string subnet, string gateway) =>
        new(new NetworkSubnet(IPNetwork.Parse(subnet), IPAddress.Parse(gateway), null, new Dictionary<string, IPAddress>()));
}
