using System.Net;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using Hull.Core;

namespace Hull.Network;

/// <summary>MAC addresses of endpoints and bridges: locally administered, unicast (IEEE 802, section 8.4).</summary>
internal static class MacAddresses
{
    /// <summary>
    /// Made of the IPv4 address, so that an address that is given to the next endpoint keeps its MAC address and no
    /// neighbour's ARP cache is wrong; random where there is none.
    /// </summary>
    public static PhysicalAddress For(IPAddress? address) => address is { } v4 && v4.IsV4()
        ? new PhysicalAddress([0x02, 0x42, .. v4.GetAddressBytes()])
        : Random();

    public static PhysicalAddress Random()
    {
        var bytes = RandomNumberGenerator.GetBytes(6);
        bytes[0] = (byte)((bytes[0] & 0xfe) | 0x02);
        return new PhysicalAddress(bytes);
    }

    /// <summary>The link-local address that the kernel would generate (RFC 4291, appendix A); unique as its MAC address is, so it needs no check.</summary>
    public static IPAddress LinkLocal(PhysicalAddress address)
    {
        var mac = address.GetAddressBytes();
        return new IPAddress([0xfe, 0x80, 0, 0, 0, 0, 0, 0, (byte)(mac[0] ^ 2), mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]);
    }

    public static PhysicalAddress Parse(string text)
    {
        if (!PhysicalAddress.TryParse(text, out var address) || address.GetAddressBytes() is not { Length: 6 } bytes)
            throw HullException.Invalid($"invalid MAC address '{text}': expected six pairs of hexadecimal digits such as 02:42:ac:11:00:02");
        if ((bytes[0] & 1) != 0) throw HullException.Invalid($"invalid MAC address '{text}': it is a multicast address");
        return bytes.All(b => b == 0) ? throw HullException.Invalid($"invalid MAC address '{text}': it is zero") : address;
    }

    public static string Format(PhysicalAddress address) =>
        string.Join(':', address.GetAddressBytes().Select(b => b.ToString("x2", System.Globalization.CultureInfo.InvariantCulture)));
}
