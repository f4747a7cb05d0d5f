using System.Net;
using System.Net.Sockets;
using Hull.Core;

namespace Hull.Network;

/// <summary>
/// Gives out the addresses of one subnet. It goes round: an address that was given back comes up again as late as
/// possible, because neighbours, resolvers and clients remember the one who had it.
/// </summary>
internal sealed class AddressAllocator
{
    private readonly HashSet<UInt128> taken = [];
    private readonly UInt128 first, last;
    private readonly AddressFamily family;
    private readonly NetworkSubnet subnet;
    private UInt128 next;

    public AddressAllocator(NetworkSubnet subnet)
    {
        this.subnet = subnet;
        family = subnet.Subnet.BaseAddress.AddressFamily;
        var range = subnet.Range ?? subnet.Subnet;
        (first, last) = (range.First(), range.Last());
        // The subnet's own address and (IPv4) its broadcast address are nobody's, except in a /31 (RFC 3021), /32, /127 (RFC 6164), /128.
        if (AddressMath.Width(family) - subnet.Subnet.PrefixLength > 1)
        {
            taken.Add(subnet.Subnet.First());
            if (family == AddressFamily.InterNetwork) taken.Add(subnet.Subnet.Last());
        }

        if (subnet.Gateway is { } gateway) taken.Add(AddressMath.ToNumber(gateway));
        foreach (var auxiliary in subnet.Auxiliary.Values)
        {
            if (auxiliary.AddressFamily == family) taken.Add(AddressMath.ToNumber(auxiliary));
        }

        next = first;
    }

    public IPAddress Allocate()
    {
        var candidate = next;
        // At most as many steps as there are taken addresses, plus one: a huge subnet is never walked through.
        for (var step = 0; step <= taken.Count; step++)
        {
            var current = candidate;
            candidate = current == last ? first : current + 1;
            if (!taken.Add(current)) continue;
            next = candidate;
            return AddressMath.ToAddress(current, family);
        }

        throw new HullException(ErrorKind.ResourceExhausted, $"no free address in {subnet.Range ?? subnet.Subnet}: remove endpoints or make a network with a larger subnet");
    }

    /// <summary>Takes a particular address; throws where it is outside the subnet or taken.</summary>
    public void Reserve(IPAddress address)
    {
        if (!subnet.Subnet.Contains(address)) throw HullException.Invalid($"address {address} is not in subnet {subnet.Subnet}");
        if (!taken.Add(AddressMath.ToNumber(address))) throw HullException.Conflict($"address {address} is already in use");
    }

    /// <summary>Takes a particular address; false where it is outside the range that is given out, or taken.</summary>
    public bool TryReserve(IPAddress address)
    {
        if (address.AddressFamily != family) return false;
        var number = AddressMath.ToNumber(address);
        return number >= first && number <= last && taken.Add(number);
    }

    public void Release(IPAddress address) => taken.Remove(AddressMath.ToNumber(address));
}
