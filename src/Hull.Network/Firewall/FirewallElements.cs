using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>Elements of the table's sets in the kernel's form: each part of a key in network order, padded to 4 bytes.</summary>
internal static class FirewallElements
{
    private const int NameSize = 16; // IFNAMSIZ

    /// <summary>All that a bridge network needs, by set.</summary>
    public static IEnumerable<(string Set, NftElement Element)> Of(NetworkRecord network)
    {
        if (network.BridgeName is not { } bridge) yield break;
        var name = Name(bridge);
        yield return (FirewallRules.Bridges, new NftElement(name));
        if (network.Spec.InterContainer) yield return (FirewallRules.Open, new NftElement([.. name, .. name]));
        if (network.Spec.Internal) yield return (FirewallRules.Internal, new NftElement(name));
        foreach (var subnet in network.Subnets.Select(s => s.Subnet))
        {
            var (first, last) = (subnet.BaseAddress.GetAddressBytes(), subnet.LastAddress().GetAddressBytes());
            yield return (subnet.IsV4() ? FirewallRules.Local4 : FirewallRules.Local6,
                new NftElement([.. name, .. first], KeyEnd: [.. name, .. last]));
            if (network.Spec.Internal || !network.Spec.Masquerade) continue;
            var set = subnet.IsV4() ? FirewallRules.Masquerade4 : FirewallRules.Masquerade6;
            yield return (set, new NftElement(first));
            var behind = AddressMath.ToAddress(subnet.Last() + 1, subnet.BaseAddress.AddressFamily);
            yield return (set, new NftElement(behind.GetAddressBytes(), IntervalEnd: true));
        }
    }

    /// <summary>The map entry that leads a port of the host to an endpoint.</summary>
    public static (string Set, NftElement Element) Of(PublishedPort port, IPAddress target)
    {
        byte[] rest = [(byte)port.Protocol, 0, 0, 0, .. Port(port.HostPort)];
        byte[] data = [.. target.GetAddressBytes(), .. Port(port.Port)];
        var v4 = port.HostAddress.AddressFamily == AddressFamily.InterNetwork;
        if (port.HostAddress.Equals(v4 ? IPAddress.Any : IPAddress.IPv6Any))
            return (v4 ? FirewallRules.Any4 : FirewallRules.Any6, new NftElement(rest, data));
        return (v4 ? FirewallRules.Publish4 : FirewallRules.Publish6, new NftElement([.. port.HostAddress.GetAddressBytes(), .. rest], data));
    }

    /// <summary>Makes the table drop what the host would forward between interfaces that are not Hull's.</summary>
    public static (string Set, NftElement Element) Guard(bool v4) =>
        (FirewallRules.Guarded, new NftElement([v4 ? (byte)2 : (byte)10]));

    private static byte[] Name(string device)
    {
        var bytes = new byte[NameSize];
        Encoding.ASCII.GetBytes(device, bytes);
        return bytes;
    }

    private static byte[] Port(ushort port)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        return bytes;
    }
}
