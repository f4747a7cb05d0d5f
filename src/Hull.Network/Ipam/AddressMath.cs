using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Hull.Network;

/// <summary>Addresses as numbers, so that subnets can be counted through. IPv4 takes the low 32 bits.</summary>
internal static class AddressMath
{
    public static UInt128 ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var count);
        return count == 4 ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    public static IPAddress ToAddress(UInt128 number, AddressFamily family)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (family == AddressFamily.InterNetwork)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)number);
            return new IPAddress(bytes[..4]);
        }

        BinaryPrimitives.WriteUInt128BigEndian(bytes, number);
        return new IPAddress(bytes);
    }

    public static int Width(AddressFamily family) => family == AddressFamily.InterNetwork ? 32 : 128;

    public static bool IsV4(this IPNetwork network) => network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;

    public static bool IsV4(this IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork;

    public static UInt128 First(this IPNetwork network) => ToNumber(network.BaseAddress);

    public static UInt128 Last(this IPNetwork network)
    {
        var bits = Width(network.BaseAddress.AddressFamily) - network.PrefixLength;
        var mask = bits >= 128 ? UInt128.MaxValue : (UInt128.One << bits) - 1;
        return network.First() | mask;
    }

    public static IPAddress LastAddress(this IPNetwork network) => ToAddress(network.Last(), network.BaseAddress.AddressFamily);

    public static bool Overlaps(this IPNetwork one, IPNetwork other) =>
        one.BaseAddress.AddressFamily == other.BaseAddress.AddressFamily
        && (one.Contains(other.BaseAddress) || other.Contains(one.BaseAddress));

    public static bool Covers(this IPNetwork outer, IPNetwork inner) =>
        outer.BaseAddress.AddressFamily == inner.BaseAddress.AddressFamily
        && outer.PrefixLength <= inner.PrefixLength && outer.Contains(inner.BaseAddress);
}
