using System.Net;
using System.Net.Sockets;

namespace Hull.Network;

/// <summary>What the resolver finds for a name of an instance.</summary>
/// <param name="Known">False: nobody here has the name, ask upstream.</param>
internal readonly record struct NameAnswer(bool Known, IReadOnlyList<IPAddress> Addresses);

/// <summary>
/// Names of the instances on all networks. Who asks is told by the network whose gateway was asked and by the source
/// address: an instance sees the names of the networks it is on, and no others.
/// </summary>
internal sealed class NameTable
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, NetworkNames> networks = [];
    private readonly Dictionary<string, InstanceNames> instances = [];

    private sealed class NetworkNames(string name)
    {
        public string Name { get; } = name.ToLowerInvariant();

        public Dictionary<string, List<Endpoint>> ByName { get; } = [];

        public Dictionary<IPAddress, Endpoint> ByAddress { get; } = [];
    }

    private sealed class InstanceNames
    {
        /// <summary>The instance's endpoints on networks with names, in the order in which they came.</summary>
        public List<Endpoint> Endpoints { get; } = [];

        public IReadOnlyList<IPAddress> Servers { get; set; } = [];
    }

    public void AddNetwork(NetworkRecord network)
    {
        lock (gate) networks.TryAdd(network.Id, new NetworkNames(network.Name));
    }

    public void RemoveNetwork(string id)
    {
        lock (gate) networks.Remove(id);
    }

    /// <summary>Makes an endpoint's names known; <paramref name="servers"/> are the instance's own upstream servers.</summary>
    public void Add(Endpoint endpoint, IReadOnlyList<IPAddress> servers)
    {
        lock (gate)
        {
            if (!networks.TryGetValue(endpoint.NetworkId, out var network)) return;
            foreach (var name in endpoint.DnsNames)
            {
                if (!network.ByName.TryGetValue(name.ToLowerInvariant(), out var owners)) network.ByName[name.ToLowerInvariant()] = owners = [];
                owners.Add(endpoint);
            }

            foreach (var address in AddressesOf(endpoint)) network.ByAddress[address] = endpoint;
            if (!instances.TryGetValue(endpoint.InstanceId, out var instance)) instances[endpoint.InstanceId] = instance = new InstanceNames();
            instance.Endpoints.Add(endpoint);
            instance.Servers = servers;
        }
    }

    public void Remove(Endpoint endpoint)
    {
        lock (gate)
        {
            if (instances.TryGetValue(endpoint.InstanceId, out var instance))
            {
                instance.Endpoints.RemoveAll(e => e.Id == endpoint.Id);
                if (instance.Endpoints.Count == 0) instances.Remove(endpoint.InstanceId);
            }

            if (!networks.TryGetValue(endpoint.NetworkId, out var network)) return;
            foreach (var name in endpoint.DnsNames.Select(n => n.ToLowerInvariant()))
            {
                if (!network.ByName.TryGetValue(name, out var owners)) continue;
                owners.RemoveAll(e => e.Id == endpoint.Id);
                if (owners.Count == 0) network.ByName.Remove(name);
            }

            foreach (var address in AddressesOf(endpoint))
            {
                if (network.ByAddress.TryGetValue(address, out var owner) && owner.Id == endpoint.Id) network.ByAddress.Remove(address);
            }
        }
    }

    /// <summary>The upstream servers that the asker's instance named for itself; empty for none.</summary>
    public IReadOnlyList<IPAddress> ServersFor(string networkId, IPAddress asker)
    {
        lock (gate) return FindInstance(networkId, asker)?.Servers ?? [];
    }

    /// <summary>Addresses of a name, in an order that changes from answer to answer where several instances share it.</summary>
    public NameAnswer Find(string networkId, IPAddress asker, string name, ushort type)
    {
        lock (gate)
        {
            List<Endpoint>? owners = null;
            var visible = FindInstance(networkId, asker)?.Endpoints;
            if (visible is null) owners = FindOn(networkId, name);
            else
            {
                foreach (var endpoint in visible) owners ??= FindLinked(endpoint, name);
                foreach (var endpoint in visible) owners ??= FindOn(endpoint.NetworkId, name);
            }

            if (owners is null) return default;
            var family = type == DnsType.Aaaa ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
            var addresses = type is DnsType.A or DnsType.Aaaa or DnsType.Any
                ? owners.SelectMany(AddressesOf).Where(a => type == DnsType.Any || a.AddressFamily == family).Distinct().ToArray()
                : [];
            Random.Shared.Shuffle(addresses);
            return new NameAnswer(true, addresses);
        }
    }

    /// <summary>The name of an address on one of the asker's networks: <c>name.network</c>; null for a stranger's.</summary>
    public string? FindReverse(string networkId, IPAddress asker, IPAddress address)
    {
        lock (gate)
        {
            var ids = FindInstance(networkId, asker)?.Endpoints.Select(e => e.NetworkId) ?? [networkId];
            foreach (var id in ids)
            {
                if (networks.TryGetValue(id, out var network) && network.ByAddress.TryGetValue(address, out var owner))
                    return $"{owner.DnsNames.FirstOrDefault() ?? Hull.Core.RandomId.Short(owner.InstanceId)}.{network.Name}";
            }

            return null;
        }
    }

    private InstanceNames? FindInstance(string networkId, IPAddress asker) =>
        networks.TryGetValue(networkId, out var network) && network.ByAddress.TryGetValue(asker, out var endpoint)
            ? instances.GetValueOrDefault(endpoint.InstanceId)
            : null;

    /// <summary>On one network: the name itself, or with the network's name as a suffix.</summary>
    private List<Endpoint>? FindOn(string networkId, string name)
    {
        if (!networks.TryGetValue(networkId, out var network)) return null;
        if (network.ByName.TryGetValue(name, out var owners)) return owners;
        return name.Length > network.Name.Length + 1 && name.EndsWith("." + network.Name, StringComparison.Ordinal)
            ? network.ByName.GetValueOrDefault(name[..^(network.Name.Length + 1)])
            : null;
    }

    private List<Endpoint>? FindLinked(Endpoint asker, string name)
    {
        foreach (var (alias, target) in asker.Spec.Links)
        {
            if (!alias.Equals(name, StringComparison.OrdinalIgnoreCase)) continue;
            if (instances.GetValueOrDefault(target)?.Endpoints.Where(e => e.NetworkId == asker.NetworkId).ToList() is { Count: > 0 } found) return found;
        }

        return null;
    }

    private static IEnumerable<IPAddress> AddressesOf(Endpoint endpoint)
    {
        if (endpoint.IPv4Address is { } v4) yield return v4;
        if (endpoint.IPv6Address is { } v6) yield return v6;
    }
}
