using System.Net;

namespace Hull.Network;

/// <summary>One attachment of one instance to one network, as it stands.</summary>
public sealed record Endpoint
{
    /// <summary>64 hexadecimal digits.</summary>
    public required string Id { get; init; }

    public required string InstanceId { get; init; }

    public required string NetworkId { get; init; }

    public required string NetworkName { get; init; }

    /// <summary>The request, as given.</summary>
    public required EndpointSpec Spec { get; init; }

    /// <summary>Name of the interface in the instance, such as eth0.</summary>
    public required string InterfaceName { get; init; }

    /// <summary>The host's end: a veth or a tap; null for macvlan and ipvlan.</summary>
    public string? HostInterface { get; init; }

    /// <summary>Such as 02:42:ac:11:00:02.</summary>
    public required string MacAddress { get; init; }

    public IPAddress? IPv4Address { get; init; }

    public int IPv4PrefixLength { get; init; }

    /// <summary>Null on internal networks.</summary>
    public IPAddress? IPv4Gateway { get; init; }

    public IPAddress? IPv6Address { get; init; }

    public int IPv6PrefixLength { get; init; }

    public IPAddress? IPv6Gateway { get; init; }

    /// <summary>MTU in bytes.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Whether the default routes go through this endpoint.</summary>
    public bool DefaultRoute { get; init; }

    /// <summary>Names under which others on the network find it: the instance's name, aliases, the short id.</summary>
    public IReadOnlyList<string> DnsNames { get; init; } = [];

    public BandwidthLimits? Limits { get; init; }
}

/// <summary>What goes into an instance's resolv.conf, or into a guest by its agent.</summary>
public sealed record ResolverConfiguration(IReadOnlyList<IPAddress> Servers, IReadOnlyList<string> Search, IReadOnlyList<string> Options);

/// <summary>The network of one running instance, as it stands.</summary>
public sealed record InstanceNetwork
{
    public required string InstanceId { get; init; }

    public required string Name { get; init; }

    public required InstanceNetworkSpec Spec { get; init; }

    /// <summary>Path of the network namespace for the OCI spec; null for taps and the host's network.</summary>
    public string? SandboxPath { get; init; }

    /// <summary>Whether the sandbox was made here and goes with the instance's network.</summary>
    public bool OwnsSandbox { get; init; }

    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [];

    public IReadOnlyList<PublishedPort> Ports { get; init; } = [];

    public required ResolverConfiguration Resolver { get; init; }

    /// <summary>Paths to bind over /etc/hosts, /etc/resolv.conf and /etc/hostname; null where no files were asked for.</summary>
    public string? HostsPath => Spec.FilesDirectory is { } directory ? Path.Combine(directory, "hosts") : null;

    public string? ResolvConfPath => Spec.FilesDirectory is { } directory ? Path.Combine(directory, "resolv.conf") : null;

    public string? HostnamePath => Spec.FilesDirectory is { } directory ? Path.Combine(directory, "hostname") : null;
}

/// <summary>A difference between the kernel and the stored state.</summary>
/// <param name="Kind">bridge, veth, tap, address, element, namespace, qdisc or file.</param>
/// <param name="Subject">What differs, such as a device name.</param>
/// <param name="Leaked">True: the kernel has it and the state does not. False: it is missing from the kernel.</param>
public sealed record AuditFinding(string Kind, string Subject, bool Leaked);

/// <summary>One statement about the host's firewall and network, for those who ask what is wrong.</summary>
/// <param name="Severity">ok, warning or error.</param>
/// <param name="Advice">What to do, as a command where there is one; empty where nothing need be done.</param>
public sealed record NetworkDiagnosis(string Severity, string Message, string Advice);
