using System.Net;
using System.Net.NetworkInformation;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

public sealed partial class NetworkManager
{
    private List<Plumbing> Plan(InstanceNetworkSpec spec) => Plan(spec, spec.Endpoints, []);

    /// <summary>Decides names and addresses of new endpoints and takes the addresses. On failure nothing is taken.</summary>
    private List<Plumbing> Plan(InstanceNetworkSpec spec, IReadOnlyList<EndpointSpec> wanted, IReadOnlyList<Endpoint> existing)
    {
        var planned = new List<Plumbing>();
        try
        {
            lock (gate)
            {
                foreach (var request in wanted) planned.Add(PlanOne(spec, request, [.. existing, .. planned.Select(p => p.Endpoint)]));
            }

            return planned;
        }
        catch
        {
            Abandon(planned);
            throw;
        }
    }

    /// <summary>Call under the lock.</summary>
    private Plumbing PlanOne(InstanceNetworkSpec spec, EndpointSpec request, List<Endpoint> existing)
    {
        var network = Find(request.Network);
        var record = network.Record;
        NetworkValidation.Check(request, record);
        if (network.Closing) throw HullException.NotFound($"no network '{request.Network}'");
        if (record.Spec.Driver is NetworkDriver.Host or NetworkDriver.None) throw HullException.Invalid($"network '{record.Name}' has no endpoints: ask for it alone");
        if (existing.Any(e => e.NetworkId == record.Id)) throw HullException.Conflict($"instance '{spec.Name}' is on network '{record.Name}' already");
        if (spec.Kind == AttachmentKind.Tap && record.Spec.Driver != NetworkDriver.Bridge)
            throw HullException.Unsupported($"a virtual machine attaches to bridge networks: '{record.Name}' is {record.Spec.Driver.ToString().ToLowerInvariant()}");

        var id = RandomId.New();
        var mac = request.MacAddress is { } given ? MacAddresses.Parse(given) : null;
        var v4 = TakeAddress(network.V4, request.IPv4Address, request.FormerIPv4Address, record, "IPv4");
        IPAddress? v6;
        try
        {
            v6 = TakeAddress(network.V6, request.IPv6Address, request.FormerIPv6Address, record, "IPv6");
        }
        catch
        {
            if (v4 is not null) network.V4!.Release(v4);
            throw;
        }

        network.Pending++;
        return new Plumbing(new Endpoint
        {
            Id = id,
            InstanceId = spec.InstanceId,
            NetworkId = record.Id,
            NetworkName = record.Name,
            Spec = request,
            InterfaceName = request.InterfaceName ?? NextInterface(existing),
            HostInterface = record.Spec.Driver != NetworkDriver.Bridge ? null : spec.Kind == AttachmentKind.Tap ? names.Tap(id) : names.Veth(id),
            MacAddress = MacAddresses.Format(mac ?? DefaultMac(record, v4)),
            IPv4Address = v4,
            IPv4PrefixLength = network.SubnetOf(v4: true)?.Subnet.PrefixLength ?? 0,
            IPv4Gateway = RouterOf(network, v4: true),
            IPv6Address = v6,
            IPv6PrefixLength = network.SubnetOf(v4: false)?.Subnet.PrefixLength ?? 0,
            IPv6Gateway = RouterOf(network, v4: false),
            Mtu = record.Mtu,
            DnsNames = [.. new[] { spec.Name }.Concat(request.Aliases).Append(RandomId.Short(spec.InstanceId)).Where(n => n.Length > 0).Distinct()],
            Limits = request.Limits,
        }, network, 0);
    }

    private static IPAddress? RouterOf(NetworkState network, bool v4)
    {
        var spec = network.Record.Spec;
        if (spec.Internal || network.SubnetOf(v4) is not { } subnet) return null;
        return spec.Routers?.FirstOrDefault(router => router.IsV4() == v4) ?? subnet.Gateway;
    }

    /// <summary>Beyond this host a MAC address made of an IP address might be somebody else's.</summary>
    private static PhysicalAddress DefaultMac(NetworkRecord record, IPAddress? v4) =>
        record.Spec.Driver == NetworkDriver.Bridge ? MacAddresses.For(v4) : MacAddresses.Random();

    private static IPAddress? TakeAddress(AddressAllocator? allocator, IPAddress? wanted, IPAddress? former, NetworkRecord record, string version)
    {
        if (allocator is null)
            return wanted is null ? null : throw HullException.Invalid($"cannot give {wanted} on network '{record.Name}': it has no {version} subnet");
        if (wanted is null) return former is not null && allocator.TryReserve(former) ? former : allocator.Allocate();
        allocator.Reserve(wanted);
        return wanted;
    }

    private static string NextInterface(List<Endpoint> existing)
    {
        for (var number = 0; ; number++)
        {
            if (existing.All(e => e.InterfaceName != $"eth{number}")) return $"eth{number}";
        }
    }

    /// <summary>Marks the one endpoint through which the default routes go: the highest priority, then the first, among those with a gateway.</summary>
    private static IReadOnlyList<Endpoint> ElectDefaultRoute(List<Endpoint> endpoints)
    {
        var elected = endpoints.Where(e => e.IPv4Gateway is not null || e.IPv6Gateway is not null).MaxBy(e => e.Spec.GatewayPriority);
        return [.. endpoints.Select(e => e with { DefaultRoute = e.Id == elected?.Id })];
    }

    /// <summary>
    /// The resolver of an instance: the gateway of a network with names; otherwise the outside's servers directly. A server
    /// on the host's loopback cannot be reached from an instance, so the gateway passes queries on to it.
    /// </summary>
    private ResolverConfiguration ResolverOf(InstanceNetwork network)
    {
        var spec = network.Spec;
        List<NetworkState> states;
        lock (gate) states = [.. network.Endpoints.OrderByDescending(e => e.DefaultRoute).Select(e => networks[e.NetworkId])];
        var servers = spec.DnsServers.Count > 0 ? spec.DnsServers : upstream.Current;
        if (states.FirstOrDefault(n => n.Record.HasNames && n.Resolver is not null)?.ResolverAddress is { } names) servers = [names];
        else if (!spec.HostNetwork)
        {
            var reachable = servers.Where(s => !IPAddress.IsLoopback(s)).ToList();
            if (reachable.Count == 0 && states.FirstOrDefault(n => n.Resolver is not null && !n.Record.Spec.Internal)?.ResolverAddress is { } gateway) reachable = [gateway];
            servers = reachable;
        }

        var search = spec.DnsSearch.Count > 0 ? spec.DnsSearch : options.DnsSearch.Count > 0 ? options.DnsSearch : upstream.Host.Search;
        var flags = spec.DnsOptions.Count > 0 ? spec.DnsOptions : options.DnsOptions.Count > 0 ? options.DnsOptions : upstream.Host.Options;
        return new ResolverConfiguration([.. servers.Take(3)], search is ["."] ? [] : search, flags);
    }

    /// <summary>The endpoint that carries published ports: a bridge with a way out, the default route's before others.</summary>
    private Endpoint? PublishingEndpoint(InstanceNetwork network)
    {
        lock (gate)
        {
            return network.Endpoints.OrderByDescending(e => e.DefaultRoute)
                .FirstOrDefault(e => networks[e.NetworkId].Record is { Spec: { Driver: NetworkDriver.Bridge, Internal: false } });
        }
    }

    /// <summary>Replaces an instance's published ports. A port that stays keeps its place and its connections.</summary>
    private void Publish(InstanceState state, IReadOnlyList<PortMapping> mappings)
    {
        var endpoint = PublishingEndpoint(state.Network);
        if (endpoint is null || (mappings.Count == 0 && state.Ports.Count == 0)) return;
        if (!options.Firewall) throw HullException.Unsupported("ports cannot be published: this engine leaves the firewall alone");
        IPAddress address;
        lock (gate) address = networks[endpoint.NetworkId].Record.Spec.PublishAddress ?? options.PublishDefaultAddress;

        var kept = state.Ports.Where(p => mappings.Contains(p.Mapping)).ToList();
        var gone = state.Ports.Except(kept).ToList();
        var added = publisher.Take([.. mappings.Where(m => kept.All(k => k.Mapping != m))], endpoint, address, port => OwnerOf(port, state));
        try
        {
            table.Change([.. PortElements(state.Network, gone)], [.. PortElements(state.Network, added)]);
        }
        catch
        {
            foreach (var held in added) held.Socket?.Dispose();
            throw;
        }

        foreach (var held in gone) held.Socket?.Dispose();
        state.Ports = [.. kept, .. added];
        state.Network = state.Network with { Ports = [.. state.Ports.Select(p => p.Published)] };
        ForgetConnections(endpoint, gone);
    }

    private void Unpublish(InstanceState state)
    {
        if (state.Ports.Count == 0) return;
        var endpoint = PublishingEndpoint(state.Network);
        table.Change([.. PortElements(state.Network, state.Ports)], []);
        var gone = state.Ports;
        foreach (var held in gone) held.Socket?.Dispose();
        state.Ports = [];
        state.Network = state.Network with { Ports = [] };
        if (endpoint is not null) ForgetConnections(endpoint, gone);
    }

    /// <summary>
    /// A client that goes on sending to a port that is gone must not reach whoever has the address next. TCP takes care of
    /// itself: the next owner answers a stray segment with a reset.
    /// </summary>
    private void ForgetConnections(Endpoint endpoint, List<HeldPort> gone)
    {
        if (gone.All(p => p.Published.Protocol == TransportProtocol.Tcp)) return;
        if (endpoint.IPv4Address is { } v4) host.Connections.Forget(v4);
        if (endpoint.IPv6Address is { } v6) host.Connections.Forget(v6);
    }

    private string? OwnerOf(PublishedPort port, InstanceState asker)
    {
        lock (gate)
        {
            var owner = instances.Values.FirstOrDefault(i => i != asker && i.Network.Ports.Any(p => p.HostPort == port.HostPort && p.Protocol == port.Protocol && Clash(p.HostAddress, port.HostAddress)));
            return owner is null ? null : $"instance '{owner.Network.Name}'";
        }

        static bool Clash(IPAddress one, IPAddress other) =>
            one.AddressFamily == other.AddressFamily && (one.Equals(other) || IsAny(one) || IsAny(other));
        static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
    }

    private IEnumerable<(string Set, NftElement Element)> PortElements(InstanceNetwork network, IEnumerable<HeldPort> ports)
    {
        if (PublishingEndpoint(network) is not { } endpoint) yield break;
        foreach (var port in ports.Select(p => p.Published))
        {
            if ((port.HostAddress.IsV4() ? endpoint.IPv4Address : endpoint.IPv6Address) is { } target) yield return FirewallElements.Of(port, target);
        }
    }
}
