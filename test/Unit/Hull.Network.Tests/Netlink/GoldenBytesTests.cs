using System.Net;
using System.Net.NetworkInformation;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests.Netlink;

/// <summary>The bytes that go to the kernel, checked against what iproute2 and nft send for the same (strace -xx).</summary>
public sealed class GoldenBytesTests
{
    private static readonly IPNetwork Everywhere = IPNetwork.Parse("0.0.0.0/0");

    [Fact]
    public void A_veth_with_its_peer() => Check(
        batch => batch.AddVeth(new LinkSettings { Name = "v0", Mtu = 1500, Master = 7 }, new LinkSettings { Name = "eth0", Index = 2, Address = PhysicalAddress.Parse("02:42:ac:11:00:02") }),
        """
        78000000 1000 0506 01000000 00000000
        00 00 0000 00000000 00000000 00000000
        0700 0300 763000 00
        0800 0400 dc050000
        0800 0a00 07000000
        4000 1280
          0900 0100 7665746800 000000
          3000 0280
            2c00 0180
              00 00 0000 02000000 00000000 00000000
              0900 0300 6574683000 000000
              0a00 0100 0242ac110002 0000
        """);

    [Fact]
    public void An_address() => Check(batch => batch.AddAddress(2, IPAddress.Parse("172.17.0.2"), 16), """
        30000000 1400 0505 01000000 00000000
        02 10 00 00 02000000
        0800 0200 ac110002
        0800 0100 ac110002
        0800 0400 ac11ffff
        """);

    [Fact]
    public void A_default_route() => Check(batch => batch.AddRoute(Everywhere, 2, IPAddress.Parse("172.17.0.1")), """
        2c000000 1800 0506 01000000 00000000
        02 00 00 00 fe 03 00 01 00000000
        0800 0500 ac110001
        0800 0400 02000000
        """);

    [Fact]
    public void A_link_set_up() => Check(batch => batch.SetUp(2), """
        20000000 1000 0500 01000000 00000000
        00 00 0000 02000000 01000000 01000000
        """);

    [Fact]
    public void A_map_element_in_a_transaction()
    {
        var batch = new NftBatch("hull_x");
        batch.Add("publish4", [FirewallElements.Of(new PublishedPort(80, TransportProtocol.Tcp, IPAddress.Loopback, 81), IPAddress.Parse("10.0.0.2")).Element]);
        batch.Finish();
        Assert.Equal(Hex("""
            14000000 1000 0100 01000000 00000000 00 00 000a
            5c000000 0c0a 0504 02000000 00000000 01 00 0000
            0b00 0100 68756c6c5f7800 00
            0d00 0200 7075626c6973683400 000000
            2c00 0380
              2800 0180
                1400 0180 1000 0100 7f000001 06000000 00510000
                1000 0280 0c00 0100 0a000002 00500000
            14000000 1100 0100 03000000 00000000 00 00 000a
            """), Convert.ToHexStringLower(batch.Writer.Written));
    }

    [Fact]
    public void A_range_of_a_concatenated_set()
    {
        var network = new NetworkRecord
        {
            Id = new string('0', 64), Created = default, BridgeName = "br1", Spec = new NetworkSpec { Name = "n", Masquerade = false, InterContainer = false },
            Subnets = [new NetworkSubnet(IPNetwork.Parse("10.2.0.0/16"), null, null, new Dictionary<string, IPAddress>())],
        };
        var (set, element) = FirewallElements.Of(network).Last();
        Assert.Equal("local4", set);
        Assert.Equal("62723100000000000000000000000000" + "0a020000", Convert.ToHexStringLower(element.Key));
        Assert.Equal("62723100000000000000000000000000" + "0a02ffff", Convert.ToHexStringLower(element.KeyEnd!));
    }

    [Fact]
    public void More_elements_than_one_message_holds_are_spread()
    {
        var batch = new NftBatch("t");
        batch.Add("s", [.. Enumerable.Range(0, 5000).Select(i => new NftElement(BitConverter.GetBytes(i), new byte[24]))]);
        Assert.Equal(13, batch.Acknowledged);
    }

    [Fact]
    public void Malformed_answers_end_the_walk()
    {
        var random = new Random(11);
        for (var round = 0; round < 20000; round++)
        {
            var bytes = new byte[random.Next(0, 200)];
            random.NextBytes(bytes);
            var steps = 0;
            var messages = new NetlinkMessages(bytes);
            while (messages.Next() && steps++ < 1000)
            {
                var attributes = new NetlinkAttributes(messages.Payload);
                while (attributes.Next()) Assert.True(steps++ < 1000);
            }

            Assert.True(steps < 1000);
        }
    }

    private static void Check(Action<RouteBatch> fill, string expected)
    {
        var batch = new RouteBatch();
        fill(batch);
        batch.Writer.Finish();
        Assert.Equal(Hex(expected), Convert.ToHexStringLower(batch.Writer.Written));
    }

    private static string Hex(string text) => string.Concat(text.Where(c => !char.IsWhiteSpace(c)));
}
