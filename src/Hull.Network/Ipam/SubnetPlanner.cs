using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Hull.Core;

namespace Hull.Network;

/// <summary>Decides the subnets of a new network: the user's after checks, or free ones from the pools.</summary>
internal static class SubnetPlanner
{
    /// <summary>The subnets of <paramref name="spec"/>, complete, in the order IPv4, IPv6.</summary>
    /// <param name="used">Subnets of other networks and destinations the host routes: not to be given out.</param>
    /// <param name="forbidden">Subnets of other networks: not even the user may take them.</param>
    public static IReadOnlyList<NetworkSubnet> Plan(NetworkSpec spec, IReadOnlyList<AddressPool> pools,
        IReadOnlyCollection<IPNetwork> used, IReadOnlyCollection<IPNetwork> forbidden)
    {
        var given = spec.Subnets.Where(s => s.Subnet is not null).ToList();
        foreach (var version in new[] { true, false })
        {
            if (given.Count(s => s.Subnet!.Value.IsV4() == version) > 1)
                throw HullException.Invalid($"network '{spec.Name}' asks for several {(version ? "IPv4" : "IPv6")} subnets: give one");
        }

        if (!spec.EnableIPv4 && !spec.EnableIPv6) throw HullException.Invalid($"network '{spec.Name}' has neither IPv4 nor IPv6");
        var planned = new List<NetworkSubnet>();
        if (spec.EnableIPv4) planned.Add(PlanOne(spec, true, pools, used, forbidden));
        else if (given.Any(s => s.Subnet!.Value.IsV4())) throw HullException.Invalid($"network '{spec.Name}' has an IPv4 subnet, but IPv4 is off");
        if (spec.EnableIPv6) planned.Add(PlanOne(spec, false, pools, used, forbidden));
        else if (given.Any(s => !s.Subnet!.Value.IsV4())) throw HullException.Invalid($"network '{spec.Name}' has an IPv6 subnet: turn IPv6 on for it");
        return planned;
    }

    private static NetworkSubnet PlanOne(NetworkSpec spec, bool v4, IReadOnlyList<AddressPool> pools,
        IReadOnlyCollection<IPNetwork> used, IReadOnlyCollection<IPNetwork> forbidden)
    {
        var wish = spec.Subnets.FirstOrDefault(s => s.Subnet?.IsV4() == v4);
        if (wish?.Subnet is not { } subnet)
        {
            // A subnet that is left open may still name a gateway or range, which only fits by chance: refuse it.
            if (spec.Subnets.Any(s => s.Subnet is null && (s.Gateway ?? s.Range?.BaseAddress)?.IsV4() == v4))
                throw HullException.Invalid($"network '{spec.Name}' names a gateway or range without its subnet: give the subnet too");
            var free = FindFree(v4, pools, used);
            return new NetworkSubnet(free, HasGateway(spec) ? FirstHost(free) : null, null, new Dictionary<string, IPAddress>());
        }

        if (AddressMath.Width(subnet.BaseAddress.AddressFamily) - subnet.PrefixLength < 1 && spec.Driver == NetworkDriver.Bridge)
            throw HullException.Invalid($"subnet {subnet} is too small for a bridge: it needs a gateway and at least one address");
        foreach (var other in forbidden)
        {
            if (other.Overlaps(subnet)) throw HullException.Conflict($"subnet {subnet} overlaps with {other} of another network: choose another");
        }

        var gateway = wish.Gateway ?? (HasGateway(spec) ? FirstHost(subnet) : null);
        if (gateway is not null && !subnet.Contains(gateway)) throw HullException.Invalid($"gateway {gateway} is not in subnet {subnet}");
        if (wish.Range is { } range && !subnet.Covers(range)) throw HullException.Invalid($"range {range} is not in subnet {subnet}");
        var auxiliary = wish.Auxiliary ?? new Dictionary<string, IPAddress>();
        foreach (var (name, address) in auxiliary)
        {
            if (!subnet.Contains(address)) throw HullException.Invalid($"auxiliary address {name}={address} is not in subnet {subnet}");
        }

        return new NetworkSubnet(subnet, gateway, wish.Range, auxiliary);
    }

    private static bool HasGateway(NetworkSpec spec) => spec.Driver == NetworkDriver.Bridge || !spec.Internal;

    private static IPAddress FirstHost(IPNetwork subnet) =>
        AddressMath.ToAddress(subnet.First() + (subnet.PrefixLength >= AddressMath.Width(subnet.BaseAddress.AddressFamily) - 1 ? 0u : 1u), subnet.BaseAddress.AddressFamily);

    private static IPNetwork FindFree(bool v4, IReadOnlyList<AddressPool> pools, IReadOnlyCollection<IPNetwork> used)
    {
        foreach (var pool in pools.Where(p => p.Base.IsV4() == v4))
        {
            var step = UInt128.One << (AddressMath.Width(pool.Base.BaseAddress.AddressFamily) - pool.PrefixLength);
            var count = 0;
            for (var start = pool.Base.First(); start <= pool.Base.Last() && count < 65536; start += step, count++)
            {
                var candidate = new IPNetwork(AddressMath.ToAddress(start, pool.Base.BaseAddress.AddressFamily), pool.PrefixLength);
                if (!used.Any(u => u.PrefixLength > 0 && u.Overlaps(candidate))) return candidate;
                if (start > UInt128.MaxValue - step) break;
            }
        }

        if (v4) throw new HullException(ErrorKind.ResourceExhausted, "no free subnet in the address pools: give the network a subnet, or the engine larger pools");
        return UniqueLocal(used);
    }

    /// <summary>A random unique local /64 (RFC 4193, section 3.2.1) where the pools hold no IPv6.</summary>
    private static IPNetwork UniqueLocal(IReadOnlyCollection<IPNetwork> used)
    {
        Span<byte> bytes = stackalloc byte[16];
        while (true)
        {
            bytes.Clear();
            RandomNumberGenerator.Fill(bytes[1..8]);
            bytes[0] = 0xfd;
            var candidate = new IPNetwork(new IPAddress(bytes), 64);
            if (!used.Any(u => u.PrefixLength > 0 && u.Overlaps(candidate))) return candidate;
        }
    }
}
