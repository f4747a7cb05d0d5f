using System.Net;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

public sealed partial class NetworkManager
{
    /// <summary>Brings kernel and memory to what the documents say; runs once, before anybody else uses the manager.</summary>
    private void Restore(CancellationToken cancellation)
    {
        foreach (var record in store.LoadNetworks(log)) networks.Add(record.Id, new NetworkState(record));
        var stored = store.LoadInstances(log);
        RestorePredefined(stored);
        AdoptInstances(stored);
        RemoveStrangers();

        if (options.Firewall) InstallTable();
        EnableForwarding();
        foreach (var state in networks.Values.ToList())
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                Establish(state);
            }
            catch (HullException error) when (!state.Record.Predefined)
            {
                // One network that cannot be put in place must not keep the engine from starting, nor be taken from its instances.
                log($"network '{state.Record.Name}' is not usable: {error.FullMessage}");
            }
        }

        foreach (var endpoint in instances.Values.SelectMany(i => i.Network.Endpoints.Select(e => (i, e)))) RegisterNames(endpoint.i.Network, endpoint.e);
        if (options.Firewall) watch = new FirewallWatch(host, table, log);
        sandboxes.Fill();
    }

    /// <summary>The networks that every engine has. The default bridge is planned anew when its options changed and nobody is on it.</summary>
    private void RestorePredefined(List<InstanceNetwork> stored)
    {
        foreach (var (name, driver) in new[] { ("bridge", NetworkDriver.Bridge), ("host", NetworkDriver.Host), ("none", NetworkDriver.None) })
        {
            var existing = networks.Values.FirstOrDefault(n => n.Record.Predefined && n.Record.Name == name);
            if (driver == NetworkDriver.Bridge && !options.DefaultNetwork)
            {
                if (existing is not null) networks.Remove(existing.Record.Id);
                continue;
            }

            var spec = driver == NetworkDriver.Bridge ? DefaultBridge() : new NetworkSpec { Name = name, Driver = driver };
            if (existing is not null && (driver != NetworkDriver.Bridge || SameBridge(existing.Record.Spec, spec) || stored.Any(i => i.Endpoints.Any(e => e.NetworkId == existing.Record.Id)))) continue;
            var record = Plan(spec, existing?.Record.Id ?? RandomId.New(), predefined: true);
            store.Save(record);
            networks[record.Id] = new NetworkState(record);
        }
    }

    private NetworkSpec DefaultBridge() => new()
    {
        Name = "bridge",
        Subnets = [.. new[] { DefaultSubnet(v4: true), DefaultSubnet(v4: false) }.OfType<SubnetSpec>()],
        EnableIPv6 = HasDefaultIPv6,
        Routers = options.DefaultRouters.Count > 0 ? options.DefaultRouters : null,
        Masquerade = options.DefaultMasquerade,
        BridgeName = options.DefaultBridgeName,
        Mtu = options.Mtu,
        InterContainer = options.InterContainer,
    };

    private bool HasDefaultIPv6 => options.DefaultIPv6 ?? options.DefaultSubnetV6 is not null;

    private SubnetSpec? DefaultSubnet(bool v4)
    {
        var router = options.DefaultRouters.FirstOrDefault(address => address.IsV4() == v4);
        var subnet = v4 ? options.DefaultSubnet ?? options.DefaultRange : HasDefaultIPv6 ? options.DefaultSubnetV6 : null;
        if (subnet is null)
        {
            return router is null ? null
                : throw HullException.Invalid($"the router {router} of the default network needs that network's {(v4 ? "IPv4" : "IPv6")} subnet: give the subnet too");
        }

        // Nobody else is to get the router's address.
        return new SubnetSpec(subnet, v4 ? options.DefaultBridgeAddress : null, v4 ? options.DefaultRange : null,
            router is null ? null : new Dictionary<string, IPAddress> { ["router"] = router });
    }

    private static bool SameBridge(NetworkSpec one, NetworkSpec other) =>
        one.Subnets.Select(s => (s.Subnet, s.Gateway, s.Range)).SequenceEqual(other.Subnets.Select(s => (s.Subnet, s.Gateway, s.Range)))
        && (one.Routers ?? []).SequenceEqual(other.Routers ?? [])
        && (one.EnableIPv6, one.BridgeName, one.Mtu, one.InterContainer, one.Masquerade)
            == (other.EnableIPv6, other.BridgeName, other.Mtu, other.InterContainer, other.Masquerade);

    /// <summary>Takes over the instances whose sandbox is still there; the others' remains go with the strangers.</summary>
    private void AdoptInstances(List<InstanceNetwork> stored)
    {
        foreach (var network in stored)
        {
            if (!IsAlive(network))
            {
                store.DeleteInstance(network.InstanceId);
                continue;
            }

            foreach (var endpoint in network.Endpoints)
            {
                var state = networks[endpoint.NetworkId];
                state.Endpoints[endpoint.Id] = endpoint;
                plumber.Adopt(endpoint);
                if (endpoint.IPv4Address is { } v4) state.V4?.Reserve(v4);
                if (endpoint.IPv6Address is { } v6) state.V6?.Reserve(v6);
            }

            instances[network.InstanceId] = new InstanceState(network)
            {
                Ports = [.. network.Ports.Select(p => publisher.Retake(MappingOf(network.Spec.Ports, p), p))],
            };
        }
    }

    private bool IsAlive(InstanceNetwork network)
    {
        if (network.Endpoints.Any(e => !networks.ContainsKey(e.NetworkId))) return false;
        if (network is { SandboxPath: { } path, OwnsSandbox: true })
        {
            try
            {
                NetworkNamespace.Open(path).Dispose();
            }
            catch (HullException)
            {
                return false;
            }
        }

        return true;
    }

    private static PortMapping MappingOf(IReadOnlyList<PortMapping> mappings, PublishedPort port) =>
        mappings.FirstOrDefault(m => m.Port == port.Port && m.Protocol == port.Protocol
            && (m.HostAddress is null || m.HostAddress.Equals(port.HostAddress))
            && (m.FirstHostPort == 0 || (port.HostPort >= m.FirstHostPort && port.HostPort <= Math.Max(m.FirstHostPort, m.LastHostPort))))
        ?? new PortMapping(port.Port, port.Protocol, port.HostAddress, port.HostPort);

    /// <summary>Removes devices and namespaces that bear the engine's mark and that no document speaks of: a crash left them.</summary>
    private void RemoveStrangers()
    {
        var known = KnownDevices();
        var batch = new RouteBatch();
        foreach (var link in host.Route.Links().Where(l => names.IsOurs(l.Name) && !known.Contains(l.Name))) batch.DeleteLink(link.Name);
        host.Route.TryExecute(batch);
        var sandboxPaths = instances.Values.Select(i => i.Network.SandboxPath).ToHashSet();
        foreach (var path in Directory.EnumerateFiles(store.Sandboxes))
        {
            if (!sandboxPaths.Contains(path)) NetworkNamespace.Unbind(path);
        }
    }

    private HashSet<string> KnownDevices()
    {
        var endpoints = instances.Values.SelectMany(i => i.Network.Endpoints).ToList();
        return [.. networks.Values.Select(n => n.Record.BridgeName).OfType<string>(),
            .. endpoints.Select(e => e.HostInterface).OfType<string>(),
            .. endpoints.Where(e => e.Limits is { EgressBitsPerSecond: > 0 }).Select(e => names.Ifb(e.Id)),
            .. plumber.SharedDevicesOf(endpoints)];
    }

    private void InstallTable()
    {
        var elements = networks.Values.SelectMany(n => FirewallElements.Of(n.Record))
            .Concat(instances.Values.SelectMany(i => PortElements(i.Network, i.Ports)));
        if (store.HasGuard(v4: true)) elements = elements.Append(FirewallElements.Guard(v4: true));
        if (store.HasGuard(v4: false)) elements = elements.Append(FirewallElements.Guard(v4: false));
        table.Install(elements);
    }
}
