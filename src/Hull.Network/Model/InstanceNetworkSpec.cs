using System.Net;
using System.Text.Json.Serialization;

namespace Hull.Network;

/// <summary>What stands at the instance's end of its endpoints.</summary>
public enum AttachmentKind
{
    /// <summary>A network namespace with interfaces, addresses and routes: containers.</summary>
    Namespace,

    /// <summary>A tap device on the host for each endpoint: virtual machines. Addresses are set in the guest, from <see cref="Endpoint"/>.</summary>
    Tap,
}

/// <summary>Transport protocols that can be published; the value is the IP protocol number.</summary>
public enum TransportProtocol
{
    Tcp = 6,
    Udp = 17,
    Sctp = 132,
}

/// <summary>One port of an instance that is to be reachable through the host.</summary>
/// <param name="Port">The port in the instance.</param>
/// <param name="HostAddress">Address of the host; null takes the network's or engine's default (loopback unless set otherwise).</param>
/// <param name="FirstHostPort">Lowest port of the host that will do; 0 lets the kernel choose a free one.</param>
/// <param name="LastHostPort">Highest port of the host that will do; 0 is <paramref name="FirstHostPort"/>.</param>
public sealed record PortMapping(ushort Port, TransportProtocol Protocol = TransportProtocol.Tcp, IPAddress? HostAddress = null,
    ushort FirstHostPort = 0, ushort LastHostPort = 0);

/// <summary>A port as it is published now.</summary>
public sealed record PublishedPort(ushort Port, TransportProtocol Protocol, IPAddress HostAddress, ushort HostPort);

/// <summary>Bandwidth bounds in bits per second and bytes; 0 is unbounded.</summary>
/// <param name="EgressBitsPerSecond">What the instance may send.</param>
/// <param name="IngressBitsPerSecond">What the instance may receive.</param>
/// <param name="BurstBytes">Size of the token bucket; 0 takes a tenth of a second's worth, at least 64 KiB.</param>
public sealed record BandwidthLimits(long EgressBitsPerSecond = 0, long IngressBitsPerSecond = 0, long BurstBytes = 0)
{
    /// <summary>Bounds of several instances together, over those of its own; null for none.</summary>
    public SharedBandwidth? Shared { get; init; }
}

/// <summary>Bandwidth that everyone who names it has together.</summary>
/// <param name="EgressBitsPerSecond">What they may send; excludes a bound of one's own. 0 is unbounded.</param>
/// <param name="IngressBitsPerSecond">What they may receive; 0 is unbounded.</param>
public sealed record SharedBandwidth(string Name, long EgressBitsPerSecond, long IngressBitsPerSecond);

/// <summary>One attachment that an instance asks for.</summary>
public sealed record EndpointSpec
{
    /// <summary>Name, id or unambiguous id prefix of the network.</summary>
    public required string Network { get; init; }

    /// <summary>Further names on this network, possibly shared with other instances.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>A static address; only on a network whose subnet was given by the user.</summary>
    public IPAddress? IPv4Address { get; init; }

    public IPAddress? IPv6Address { get; init; }

    /// <summary>An address it had before and takes again where it is still free; another one is chosen where it is not.</summary>
    public IPAddress? FormerIPv4Address { get; init; }

    public IPAddress? FormerIPv6Address { get; init; }

    /// <summary>A MAC address such as 02:42:ac:11:00:02; null makes one from the address.</summary>
    public string? MacAddress { get; init; }

    /// <summary>Name of the interface in the instance; null takes the next ethN.</summary>
    public string? InterfaceName { get; init; }

    /// <summary>The endpoint with the highest value gives the default route; equal ones in the order of the list.</summary>
    public int GatewayPriority { get; init; }

    /// <summary>Names that only this instance sees: alias to the id of another instance on the same network.</summary>
    public IReadOnlyDictionary<string, string> Links { get; init; } = new Dictionary<string, string>();

    /// <summary>Values below <c>net.ipv4.conf.IFNAME</c> and the like, by full sysctl name, where IFNAME stands for the interface.</summary>
    public IReadOnlyDictionary<string, string> Sysctls { get; init; } = new Dictionary<string, string>();

    public BandwidthLimits? Limits { get; init; }
}

/// <summary>All that an instance asks of the network when it starts.</summary>
public sealed record InstanceNetworkSpec
{
    public required string InstanceId { get; init; }

    /// <summary>The instance's name: its DNS name on user networks.</summary>
    public required string Name { get; init; }

    public AttachmentKind Kind { get; init; } = AttachmentKind.Namespace;

    /// <summary>Empty makes a sandbox with a loopback device only (network <c>none</c>).</summary>
    public IReadOnlyList<EndpointSpec> Endpoints { get; init; } = [];

    /// <summary>Published through the first endpoint that can (a bridge that is not internal).</summary>
    public IReadOnlyList<PortMapping> Ports { get; init; } = [];

    /// <summary>
    /// An existing network namespace to attach to (<c>/proc/PID/ns/net</c>); null makes one and keeps it under the runtime
    /// directory.
    /// </summary>
    public string? NamespacePath { get; init; }

    /// <summary>User namespace that is to own the network namespace that is made; null for the host's. Needed by the set-up alone.</summary>
    [JsonIgnore]
    public string? UserNamespacePath { get; init; }

    /// <summary>Directory for the instance's <c>hosts</c>, <c>resolv.conf</c> and <c>hostname</c>; null writes none.</summary>
    public string? FilesDirectory { get; init; }

    /// <summary>True where the instance shares the host's namespace: files only, no sandbox.</summary>
    public bool HostNetwork { get; init; }

    public string Hostname { get; init; } = "";

    public string Domainname { get; init; } = "";

    /// <summary>Name servers; empty takes the engine's.</summary>
    public IReadOnlyList<IPAddress> DnsServers { get; init; } = [];

    /// <summary>Search domains; <c>.</c> alone asks for none; empty takes the engine's.</summary>
    public IReadOnlyList<string> DnsSearch { get; init; } = [];

    public IReadOnlyList<string> DnsOptions { get; init; } = [];

    /// <summary>Lines for the hosts file as <c>name:address</c>, where the address may be <c>host-gateway</c>.</summary>
    public IReadOnlyList<string> ExtraHosts { get; init; } = [];
}
