using System.Net;

namespace Hull.Network;

/// <summary>A network as it lives in the manager: its record, its addresses, its endpoints. Guarded by the manager's lock.</summary>
internal sealed class NetworkState(NetworkRecord record)
{
    public NetworkRecord Record { get; } = record;

    /// <summary>Interface index of the bridge.</summary>
    public int BridgeIndex { get; set; }

    /// <summary>Whether ports need hairpin mode.</summary>
    public bool Hairpin { get; set; }

    /// <summary>Being removed: no new endpoint.</summary>
    public bool Closing { get; set; }

    public Dictionary<string, Endpoint> Endpoints { get; } = [];

    /// <summary>Endpoints that are being made and hold the network as those that exist do.</summary>
    public int Pending { get; set; }

    public DnsListener? Resolver { get; set; }

    /// <summary>Elements of the firewall table that exist only while the engine runs: the resolver's port, where it is not 53.</summary>
    public List<(string Set, Hull.Linux.Netlink.NftElement Element)> ResolverElements { get; } = [];

    public AddressAllocator? V4 { get; } = AllocatorOf(record, v4: true);

    public AddressAllocator? V6 { get; } = AllocatorOf(record, v4: false);

    public NetworkSubnet? SubnetOf(bool v4) => Record.Subnets.FirstOrDefault(s => s.Subnet.IsV4() == v4);

    /// <summary>The address of the resolver for endpoints: the gateway.</summary>
    public IPAddress? ResolverAddress => Record.Spec.Driver == NetworkDriver.Bridge ? (SubnetOf(true) ?? SubnetOf(false))?.Gateway : null;

    public void Release(Endpoint endpoint)
    {
        if (endpoint.IPv4Address is { } v4) V4?.Release(v4);
        if (endpoint.IPv6Address is { } v6) V6?.Release(v6);
    }

    private static AddressAllocator? AllocatorOf(NetworkRecord record, bool v4) =>
        record.Subnets.FirstOrDefault(s => s.Subnet.IsV4() == v4) is { } subnet ? new AddressAllocator(subnet) : null;
}

/// <summary>An instance's network as it lives in the manager. Changed under the instance's own lock.</summary>
internal sealed class InstanceState(InstanceNetwork network)
{
    public InstanceNetwork Network { get; set; } = network;

    public List<HeldPort> Ports { get; set; } = [];
}
