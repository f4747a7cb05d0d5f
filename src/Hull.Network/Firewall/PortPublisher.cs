using System.Net;
using System.Net.Sockets;
using Hull.Core;
using Hull.Linux.Netlink;
using Microsoft.Win32.SafeHandles;

namespace Hull.Network;

/// <summary>A published port with the socket that keeps others from taking it.</summary>
internal sealed record HeldPort(PortMapping Mapping, PublishedPort Published, SafeFileHandle? Socket);

/// <summary>
/// Chooses and holds ports of the host. Each published port is held by a bound socket, so the kernel arbitrates: between
/// instances, between engines, and between Hull and every other program. Traffic never reaches the socket.
/// </summary>
internal sealed class PortPublisher(HostStack host)
{
    /// <summary>Ports held by sockets for one instance; beyond it a range costs more descriptors than it is worth.</summary>
    private const int MaximumSockets = 1024;
    private const int MaximumAttempts = 64;

    /// <summary>Takes a host port for each mapping; with an error all taken ones are given back.</summary>
    /// <param name="defaultAddress">Address for mappings that name none; all addresses of one IP version mean those of the other too.</param>
    public List<HeldPort> Take(IReadOnlyList<PortMapping> mappings, Endpoint endpoint, IPAddress defaultAddress, Func<PublishedPort, string?> ownerOf)
    {
        var taken = new List<HeldPort>();
        try
        {
            host.Run(() =>
            {
                foreach (var mapping in mappings) TakeOne(mapping, AddressesFor(mapping, endpoint, defaultAddress), taken, ownerOf);
            });
            return taken;
        }
        catch
        {
            foreach (var held in taken) held.Socket?.Dispose();
            throw;
        }
    }

    /// <summary>Takes back a port that was published before the engine restarted; a port lost to another program stays published, without a socket.</summary>
    public HeldPort Retake(PortMapping mapping, PublishedPort port) => host.Run(() =>
        new HeldPort(mapping, port, PortSocket.TryBind(port.HostAddress, (int)port.Protocol, port.HostPort, out _, out _)));

    private static List<IPAddress> AddressesFor(PortMapping mapping, Endpoint endpoint, IPAddress defaultAddress)
    {
        if (mapping.HostAddress is { } wanted)
        {
            if (wanted.Equals(IPAddress.IPv6Loopback))
                throw HullException.Unsupported($"cannot publish port {mapping.Port} on ::1: the kernel does not translate IPv6 loopback; use 127.0.0.1");
            if (wanted.IsV4() ? endpoint.IPv4Address is null : endpoint.IPv6Address is null)
                throw HullException.Invalid($"cannot publish port {mapping.Port} on {wanted}: the instance has no {(wanted.IsV4() ? "IPv4" : "IPv6")} address on network '{endpoint.NetworkName}'");
            return [wanted];
        }

        var addresses = new List<IPAddress>();
        var counterpart = Counterpart(defaultAddress);
        if (endpoint.IPv4Address is not null && (defaultAddress.IsV4() ? defaultAddress : counterpart) is { } v4) addresses.Add(v4);
        if (endpoint.IPv6Address is not null && (defaultAddress.IsV4() ? counterpart : defaultAddress) is { } v6) addresses.Add(v6);
        return addresses;
    }

    private static IPAddress? Counterpart(IPAddress address) => address switch
    {
        _ when address.Equals(IPAddress.Any) => IPAddress.IPv6Any,
        _ when address.Equals(IPAddress.IPv6Any) => IPAddress.Any,
        _ => null,
    };

    private static void TakeOne(PortMapping mapping, List<IPAddress> addresses, List<HeldPort> taken, Func<PublishedPort, string?> ownerOf)
    {
        var last = mapping.LastHostPort == 0 ? mapping.FirstHostPort : mapping.LastHostPort;
        if (last < mapping.FirstHostPort) throw HullException.Invalid($"host port range {mapping.FirstHostPort}-{last} is upside down");
        string? reason = null;
        var attempts = mapping.FirstHostPort == 0 ? MaximumAttempts : last - mapping.FirstHostPort + 1;
        for (var attempt = 0; attempt < attempts; attempt++)
        {
            var wanted = mapping.FirstHostPort == 0 ? (ushort)0 : (ushort)(mapping.FirstHostPort + attempt);
            if (TryTake(mapping, addresses, wanted, taken, ownerOf, out reason)) return;
        }

        throw HullException.Conflict(attempts > 1
            ? $"no free host port for {Describe(mapping)} in {mapping.FirstHostPort}-{last}: {reason}"
            : $"cannot publish {Describe(mapping)}: {reason}");
    }

    /// <summary>One and the same port on all addresses, or none.</summary>
    private static bool TryTake(PortMapping mapping, List<IPAddress> addresses, ushort wanted, List<HeldPort> taken,
        Func<PublishedPort, string?> ownerOf, out string? reason)
    {
        var before = taken.Count;
        foreach (var address in addresses)
        {
            var port = taken.Count > before ? taken[before].Published.HostPort : wanted;
            if (TryHold(mapping, address, port, taken, ownerOf, out reason)) continue;
            foreach (var held in taken.Skip(before)) held.Socket?.Dispose();
            taken.RemoveRange(before, taken.Count - before);
            return false;
        }

        reason = null;
        return true;
    }

    private static bool TryHold(PortMapping mapping, IPAddress address, ushort port, List<HeldPort> taken,
        Func<PublishedPort, string?> ownerOf, out string? reason)
    {
        var published = new PublishedPort(mapping.Port, mapping.Protocol, address, port);
        if (port != 0 && ownerOf(published) is { } owner)
        {
            reason = $"port {port} of {address} is already published by {owner}";
            return false;
        }

        var socket = PortSocket.TryBind(address, (int)mapping.Protocol, port, out var bound, out var errno);
        // A kernel without SCTP sockets still translates SCTP: nobody else can listen there, so nothing need be held.
        if (socket is null && errno is NetlinkError.EPROTONOSUPPORT or NetlinkError.EOPNOTSUPP && mapping.Protocol == TransportProtocol.Sctp)
            (bound, errno) = (port != 0 ? port : (ushort)Random.Shared.Next(49152, 65536), 0);
        reason = errno switch
        {
            0 => null,
            NetlinkError.EADDRINUSE => $"another program on this host uses port {port} of {address} (see ss -lnp sport = :{port})",
            NetlinkError.EADDRNOTAVAIL => $"{address} is not an address of this host",
            _ => NetlinkError.Create(errno, $"bind {address}").Message,
        };
        if (errno is not (0 or NetlinkError.EADDRINUSE)) throw HullException.Invalid($"cannot publish {Describe(mapping)}: {reason}");
        if (errno != 0) return false;
        if (socket is not null && taken.Count >= MaximumSockets)
        {
            socket.Dispose();
            socket = null;
        }

        taken.Add(new HeldPort(mapping, published with { HostPort = bound }, socket));
        return true;
    }

    private static string Describe(PortMapping mapping) => $"port {mapping.Port}/{mapping.Protocol.ToString().ToLowerInvariant()}";
}
