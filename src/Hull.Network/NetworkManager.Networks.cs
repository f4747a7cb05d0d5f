using System.Net;
using System.Net.Sockets;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

public sealed partial class NetworkManager
{
    /// <summary>Makes a network. Throws <see cref="ErrorKind.AlreadyExists"/> where the name is taken, <see cref="ErrorKind.InvalidArgument"/> for malformed and <see cref="ErrorKind.Conflict"/> for overlapping subnets.</summary>
    public async Task<NetworkRecord> CreateNetworkAsync(NetworkSpec spec, CancellationToken cancellation = default)
    {
        NetworkValidation.Check(spec);
        if (spec.Driver is NetworkDriver.Host or NetworkDriver.None)
            throw new HullException(ErrorKind.PermissionDenied, $"only one network of driver {spec.Driver.ToString().ToLowerInvariant()} exists: use it");
        await networkLock.WaitAsync(cancellation);
        try
        {
            lock (gate)
            {
                if (networks.Values.Any(n => n.Record.Name == spec.Name)) throw HullException.Exists($"network '{spec.Name}' already exists");
            }

            var state = new NetworkState(Plan(spec, RandomId.New(), predefined: false));
            await EstablishNewAsync(state);
            try
            {
                store.Save(state.Record);
            }
            catch
            {
                await DemolishAsync(state);
                throw;
            }

            lock (gate) networks.Add(state.Record.Id, state);
            return state.Record;
        }
        finally
        {
            networkLock.Release();
        }
    }

    /// <summary>Removes a network. Throws <see cref="ErrorKind.Conflict"/> while endpoints are on it, <see cref="ErrorKind.PermissionDenied"/> for a predefined one.</summary>
    public async Task RemoveNetworkAsync(string nameOrId, CancellationToken cancellation = default)
    {
        await networkLock.WaitAsync(cancellation);
        try
        {
            NetworkState state;
            lock (gate)
            {
                state = Find(nameOrId);
                if (state.Record.Predefined) throw new HullException(ErrorKind.PermissionDenied, $"network '{state.Record.Name}' is predefined and cannot be removed");
                if (state.Endpoints.Count + state.Pending > 0)
                    throw HullException.Conflict($"network '{state.Record.Name}' is in use by {string.Join(", ", state.Endpoints.Values.Select(e => instances.GetValueOrDefault(e.InstanceId)?.Network.Name ?? RandomId.Short(e.InstanceId)).DefaultIfEmpty("a starting instance"))}: disconnect them first");
                state.Closing = true;
            }

            await RemoveAsync(state);
        }
        finally
        {
            networkLock.Release();
        }
    }

    /// <summary>Removes each network without endpoints that <paramref name="filter"/> accepts, predefined ones never; answers those removed.</summary>
    public async Task<IReadOnlyList<NetworkRecord>> PruneNetworksAsync(Func<NetworkRecord, bool> filter, CancellationToken cancellation = default)
    {
        await networkLock.WaitAsync(cancellation);
        try
        {
            var removed = new List<NetworkRecord>();
            foreach (var record in Networks.Where(n => !n.Predefined && filter(n)))
            {
                NetworkState state;
                lock (gate)
                {
                    state = networks[record.Id];
                    if (state.Endpoints.Count + state.Pending > 0) continue;
                    state.Closing = true;
                }

                await RemoveAsync(state);
                removed.Add(record);
            }

            return removed;
        }
        finally
        {
            networkLock.Release();
        }
    }

    private async Task RemoveAsync(NetworkState state)
    {
        try
        {
            store.DeleteNetwork(state.Record.Id);
            await DemolishAsync(state);
        }
        finally
        {
            // The document is gone: what may be left in the kernel is cleaned up as a stranger at the next start.
            lock (gate) networks.Remove(state.Record.Id);
        }
    }

    /// <summary>Decides everything that a specification leaves open.</summary>
    private NetworkRecord Plan(NetworkSpec spec, string id, bool predefined)
    {
        List<IPNetwork> others;
        lock (gate) others = [.. networks.Values.Where(n => n.Record.Id != id).SelectMany(n => n.Record.Subnets).Select(s => s.Subnet)];
        var bridgeName = spec.Driver != NetworkDriver.Bridge ? null : spec.BridgeName ?? names.Bridge(id);
        var links = host.Route.Links();
        var existing = links.FirstOrDefault(l => l.Name == bridgeName);
        if (existing is not null && existing.Kind != "bridge") throw HullException.Conflict($"interface '{bridgeName}' exists and is not a bridge: choose another name");
        lock (gate)
        {
            if (networks.Values.Any(n => n.Record.Id != id && n.Record.BridgeName == bridgeName && bridgeName is not null))
                throw HullException.Conflict($"bridge '{bridgeName}' belongs to another network");
        }

        if (spec.Parent is { } parent && links.All(l => l.Name != parent))
            throw HullException.NotFound($"no network interface '{parent}' to carry network '{spec.Name}'");
        var ownIndex = existing?.Index ?? 0;
        var used = others.Concat(host.Route.Routes().Where(r => r.Index != ownIndex || ownIndex == 0).Select(r => r.Destination)).ToList();
        var routed = spec.Driver is NetworkDriver.Host or NetworkDriver.None;
        return new NetworkRecord
        {
            Id = id,
            Spec = spec,
            Created = clock.GetUtcNow(),
            Subnets = routed ? [] : SubnetPlanner.Plan(spec, options.AddressPools, used, others),
            BridgeName = bridgeName,
            ForeignBridge = existing is not null && !names.IsOurs(existing.Name),
            Mtu = spec.Mtu != 0 ? spec.Mtu : options.Mtu != 0 ? options.Mtu : MtuOf(links, spec.Parent) ?? 1500,
            Predefined = predefined,
        };
    }

    private static int? MtuOf(IReadOnlyList<LinkInfo> links, string? parent) => links.FirstOrDefault(l => l.Name == parent)?.Mtu;

    /// <summary>Puts a new network into the kernel; undone on failure.</summary>
    private async Task EstablishNewAsync(NetworkState state)
    {
        try
        {
            if (options.Firewall) table.Change([], [.. FirewallElements.Of(state.Record)]);
            Establish(state);
        }
        catch
        {
            await DemolishAsync(state);
            throw;
        }
    }

    /// <summary>Brings bridge, addresses and resolver to what the record says, whatever of it is there.</summary>
    private void Establish(NetworkState state)
    {
        if (state.Record.BridgeName is null) return;
        EstablishBridge(state);
        if (state.SubnetOf(v4: false) is not null) EnableForwardingV6();
        nameTable.AddNetwork(state.Record);
        StartResolver(state);
    }

    private async Task DemolishAsync(NetworkState state)
    {
        if (state.Resolver is { } listener) await listener.DisposeAsync();
        state.Resolver = null;
        nameTable.RemoveNetwork(state.Record.Id);
        if (state.Record.BridgeName is not { } bridge) return;
        if (options.Firewall) table.Change([.. FirewallElements.Of(state.Record), .. state.ResolverElements], []);
        if (state.Record.ForeignBridge) return;
        var batch = new RouteBatch();
        batch.DeleteLink(bridge);
        foreach (var failure in host.Route.TryExecute(batch))
        {
            if (failure.Errno is not (NetlinkError.ENODEV or NetlinkError.EINVAL)) throw NetlinkError.Create(failure.Errno, $"delete bridge {bridge}", failure.Message);
        }
    }

    private void EstablishBridge(NetworkState state)
    {
        var record = state.Record;
        var bridge = record.BridgeName!;
        var hasV6 = state.SubnetOf(v4: false) is not null;
        if (host.Route.FindLink(bridge) is null)
        {
            var make = new RouteBatch();
            // An address of its own: without one the bridge takes the lowest of its ports', and changes it as they come and go.
            make.AddBridge(new LinkSettings { Name = bridge, Mtu = record.Mtu, Address = MacAddresses.Random() });
            if (host.HasIPv6(record.Mtu)) make.SetNoLinkLocal(bridge);
            host.Route.Execute(make);
        }

        state.BridgeIndex = host.Route.IndexOf(bridge);
        state.Hairpin = host.ReadSysctl("net/bridge/bridge-nf-call-iptables") == "1";
        // route_localnet lets 127.0.0.1 of the host reach a published port; the table drops such packets from the bridge itself.
        host.WriteSysctl($"net/ipv4/conf/{bridge}/route_localnet", "1");
        host.WriteSysctl($"net/ipv6/conf/{bridge}/accept_ra", "0");
        var configure = new RouteBatch();
        configure.SetUp(state.BridgeIndex);
        foreach (var subnet in record.Subnets)
        {
            if (subnet.Gateway is { } gateway) configure.AddAddress(state.BridgeIndex, gateway, subnet.Subnet.PrefixLength);
        }

        // Given, not generated: while a generated one is checked for duplicates, forwarded packets find no neighbour.
        if (hasV6) configure.AddAddress(state.BridgeIndex, IPAddress.Parse("fe80::1"), 64);
        host.Route.Execute(configure);
    }

    /// <summary>
    /// The resolver listens on the gateway's port 53. Where another program of the host has that port on all addresses, it
    /// listens on a port of its own and the table leads queries there.
    /// </summary>
    private void StartResolver(NetworkState state)
    {
        if (state.ResolverAddress is not { } address) return;
        try
        {
            state.Resolver = new DnsListener(host, address, 53, state.Record, resolver);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse && options.Firewall)
        {
            state.Resolver = new DnsListener(host, address, 0, state.Record, resolver);
            foreach (var protocol in new[] { TransportProtocol.Udp, TransportProtocol.Tcp })
                state.ResolverElements.Add(FirewallElements.Of(new PublishedPort(state.Resolver.Port, protocol, address, 53), address));
            table.Change([], state.ResolverElements);
        }
        catch (SocketException error)
        {
            log($"names do not resolve on network '{state.Record.Name}': cannot listen on {address}: {error.Message}");
        }
    }

    /// <summary>
    /// Turns on forwarding where it is off. The host then forwards between all its interfaces; it did not before, so the
    /// table drops what is not Hull's.
    /// </summary>
    private void EnableForwarding()
    {
        if (!options.EnableForwarding || host.ReadSysctl("net/ipv4/ip_forward") == "1") return;
        if (!host.WriteSysctl("net/ipv4/ip_forward", "1")) log("cannot turn on IP forwarding: instances will not reach the outside");
        else Guard(v4: true);
    }

    private void EnableForwardingV6()
    {
        if (!options.EnableForwarding || host.ReadSysctl("net/ipv6/conf/all/forwarding") == "1") return;
        // A router ignores router advertisements, and with them the host's own default route, unless told otherwise.
        host.Run(() =>
        {
            if (!Directory.Exists("/proc/sys/net/ipv6/conf")) return;
            foreach (var device in Directory.EnumerateDirectories("/proc/sys/net/ipv6/conf"))
            {
                var path = Path.Combine(device, "accept_ra");
                if (File.Exists(path) && File.ReadAllText(path).Trim() == "1") Sysctl.TryWrite(path, "2");
            }
        });
        if (!host.WriteSysctl("net/ipv6/conf/all/forwarding", "1")) log("cannot turn on IPv6 forwarding: instances will not reach the outside over IPv6");
        else Guard(v4: false);
    }

    private void Guard(bool v4)
    {
        if (!options.Firewall) return;
        store.RememberGuard(v4);
        table.Change([], [FirewallElements.Guard(v4)]);
    }
}
