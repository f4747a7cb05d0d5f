using System.Net;

namespace Hull.Network;

/// <summary>A range from which subnets are cut when a network is created without one.</summary>
/// <param name="Base">The whole range, such as 172.17.0.0/12.</param>
/// <param name="PrefixLength">Prefix length of each subnet cut from it.</param>
public sealed record AddressPool(IPNetwork Base, int PrefixLength);

/// <summary>What one engine tells its <see cref="NetworkManager"/>. Two engines with different state directories never collide.</summary>
public sealed record NetworkManagerOptions
{
    /// <summary>Where networks are kept, one JSON document each; survives a reboot (under the engine's data root).</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Where sandboxes and endpoints are kept; meaningless after a reboot (under the engine's exec root, best a tmpfs).</summary>
    public required string RuntimeDirectory { get; init; }

    /// <summary>Six hexadecimal digits that tell this engine's table, bridges and veths from another engine's; null derives them from <see cref="StateDirectory"/>.</summary>
    public string? EngineId { get; init; }

    /// <summary>The network namespace that plays the host: null is the caller's. Tests give one of their own so that the machine stays clean.</summary>
    public string? HostNamespacePath { get; init; }

    /// <summary>Address on which a port is published when the request names none. Docker's behaviour is 0.0.0.0.</summary>
    public IPAddress PublishDefaultAddress { get; init; } = IPAddress.Loopback;

    /// <summary>Where subnets come from; ranges that the host routes elsewhere are passed over.</summary>
    public IReadOnlyList<AddressPool> AddressPools { get; init; } = DefaultAddressPools;

    /// <summary>Subnet of the default network (its first address is the gateway); null takes the next free one of the pools.</summary>
    public IPNetwork? DefaultSubnet { get; init; }

    /// <summary>IPv6 subnet of the default network; null leaves it without IPv6.</summary>
    public IPNetwork? DefaultSubnetV6 { get; init; }

    /// <summary>Address of the default network's bridge; null takes the first of the subnet.</summary>
    public IPAddress? DefaultBridgeAddress { get; init; }

    /// <summary>The part of the default network's subnet from which addresses are given out; without a subnet it is the subnet.</summary>
    public IPNetwork? DefaultRange { get; init; }

    /// <summary>Whether the default network has IPv6; null where an IPv6 subnet is given.</summary>
    public bool? DefaultIPv6 { get; init; }

    /// <summary>Routers in the default network's subnets that its endpoints send to in place of the bridge, one for each IP version.</summary>
    public IReadOnlyList<IPAddress> DefaultRouters { get; init; } = [];

    /// <summary>False leaves the source address of what leaves the default network as it is.</summary>
    public bool DefaultMasquerade { get; init; } = true;

    /// <summary>Device name of the default network's bridge; null makes one from the engine id.</summary>
    public string? DefaultBridgeName { get; init; }

    /// <summary>False makes no default network at all (dockerd's <c>--bridge none</c>).</summary>
    public bool DefaultNetwork { get; init; } = true;

    /// <summary>Whether endpoints of the default network reach each other.</summary>
    public bool InterContainer { get; init; } = true;

    /// <summary>MTU of new networks in bytes; 0 takes 1500.</summary>
    public int Mtu { get; init; }

    /// <summary>Name servers for instances that name none; empty takes those of the host's resolv.conf.</summary>
    public IReadOnlyList<IPAddress> DnsServers { get; init; } = [];

    /// <summary>Search domains for instances that name none; empty takes the host's.</summary>
    public IReadOnlyList<string> DnsSearch { get; init; } = [];

    /// <summary>resolv.conf options for instances that name none; empty takes the host's.</summary>
    public IReadOnlyList<string> DnsOptions { get; init; } = [];

    /// <summary>Path of the host's resolver configuration.</summary>
    public string HostResolvConf { get; init; } = "/etc/resolv.conf";

    /// <summary>What <c>host-gateway</c> in an extra host stands for; null takes the gateway of the instance's first network.</summary>
    public IPAddress? HostGateway { get; init; }

    /// <summary>False leaves the firewall alone: no publishing, no masquerading, no isolation (dockerd's <c>--iptables=false</c>).</summary>
    public bool Firewall { get; init; } = true;

    /// <summary>False never turns on the host's IP forwarding.</summary>
    public bool EnableForwarding { get; init; } = true;

    /// <summary>How many empty network namespaces are kept ready so that a start need not make one; 0 makes each when asked.</summary>
    public int ReadySandboxes { get; init; } = 2;

    /// <summary>Receives one line per noteworthy event; null drops them.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Docker's default pools, so that a machine that changes engines keeps its address plan.</summary>
    public static IReadOnlyList<AddressPool> DefaultAddressPools { get; } =
    [
        new(IPNetwork.Parse("172.17.0.0/16"), 16), new(IPNetwork.Parse("172.18.0.0/16"), 16),
        new(IPNetwork.Parse("172.19.0.0/16"), 16), new(IPNetwork.Parse("172.20.0.0/14"), 16),
        new(IPNetwork.Parse("172.24.0.0/14"), 16), new(IPNetwork.Parse("172.28.0.0/14"), 16),
        new(IPNetwork.Parse("192.168.0.0/16"), 20),
    ];
}
