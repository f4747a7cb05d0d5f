using System.Net;

namespace Hull.Network;

/// <summary>How a network's endpoints reach anything.</summary>
public enum NetworkDriver
{
    /// <summary>A Linux bridge on this host, routed and masqueraded by the host.</summary>
    Bridge,

    /// <summary>The host's own network namespace.</summary>
    Host,

    /// <summary>A network namespace with a loopback device only.</summary>
    None,

    /// <summary>A MAC address of its own on a parent device of the host (ip-link(8), macvlan).</summary>
    Macvlan,

    /// <summary>An address of its own behind the parent's MAC address (ip-link(8), ipvlan).</summary>
    Ipvlan,
}

/// <summary>One subnet that a new network asks for. What is null is chosen.</summary>
/// <param name="Subnet">The subnet; null takes the next free one from the engine's pools.</param>
/// <param name="Gateway">Address of the bridge (or, for macvlan and ipvlan, of the router outside); null takes the first address.</param>
/// <param name="Range">The part of the subnet from which addresses are given out; null is all of it.</param>
/// <param name="Auxiliary">Addresses that belong to something else and are never given out, by name.</param>
public sealed record SubnetSpec(IPNetwork? Subnet, IPAddress? Gateway = null, IPNetwork? Range = null,
    IReadOnlyDictionary<string, IPAddress>? Auxiliary = null);

/// <summary>A network as it is asked for.</summary>
public sealed record NetworkSpec
{
    /// <summary>1 to 128 of <c>[a-zA-Z0-9_.-]</c>, beginning with a letter or digit; unique in the engine.</summary>
    public required string Name { get; init; }

    public NetworkDriver Driver { get; init; } = NetworkDriver.Bridge;

    /// <summary>At most one subnet for each IP version of a bridge or macvlan; empty takes one from the pools.</summary>
    public IReadOnlyList<SubnetSpec> Subnets { get; init; } = [];

    public bool EnableIPv4 { get; init; } = true;

    public bool EnableIPv6 { get; init; }

    /// <summary>No way out and none in: no default route, no masquerading, no publishing, no names of the outside.</summary>
    public bool Internal { get; init; }

    /// <summary>Device name of the bridge; null makes one from the engine's and the network's id.</summary>
    public string? BridgeName { get; init; }

    /// <summary>MTU in bytes; 0 takes the engine's.</summary>
    public int Mtu { get; init; }

    /// <summary>False keeps this network's endpoints from reaching each other.</summary>
    public bool InterContainer { get; init; } = true;

    /// <summary>False leaves the source address of outgoing packets as it is: somebody else routes the subnet.</summary>
    public bool Masquerade { get; init; } = true;

    /// <summary>Routers in its subnets that endpoints send to in place of the bridge, at most one for each IP version; null for none.</summary>
    public IReadOnlyList<IPAddress>? Routers { get; init; }

    /// <summary>Address on which this network's ports are published when the request names none; null takes the engine's.</summary>
    public IPAddress? PublishAddress { get; init; }

    /// <summary>macvlan and ipvlan: the host's device that carries the network. <c>name.vlan</c> is not made for you.</summary>
    public string? Parent { get; init; }

    /// <summary>macvlan: bridge (default), private, vepa, passthru. ipvlan: l2 (default), l3, l3s.</summary>
    public string? Mode { get; init; }

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Kept and shown as given, never read: what a wire edge wants back in its own words.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>One subnet of an existing network.</summary>
public sealed record NetworkSubnet(IPNetwork Subnet, IPAddress? Gateway, IPNetwork? Range,
    IReadOnlyDictionary<string, IPAddress> Auxiliary);

/// <summary>An existing network, as stored. Everything that the specification left open is decided.</summary>
public sealed record NetworkRecord
{
    /// <summary>64 hexadecimal digits.</summary>
    public required string Id { get; init; }

    public required NetworkSpec Spec { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required IReadOnlyList<NetworkSubnet> Subnets { get; init; }

    /// <summary>The bridge's device name; null for other drivers.</summary>
    public string? BridgeName { get; init; }

    /// <summary>Whether the bridge was there before: it is used, and left in place when the network goes.</summary>
    public bool ForeignBridge { get; init; }

    /// <summary>MTU in bytes.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Whether the engine made it itself (bridge, host, none): it cannot be removed.</summary>
    public bool Predefined { get; init; }

    public string Name => Spec.Name;

    /// <summary>
    /// Whether instances on it find each other by name. The default bridge has none, as with Docker; macvlan and ipvlan
    /// have none, because the host, where the resolver is, cannot be reached from them.
    /// </summary>
    public bool HasNames => Spec.Driver == NetworkDriver.Bridge && !Predefined;
}
