using Hull.Core;
using Microsoft.Win32.SafeHandles;

namespace Hull.Network;

/// <summary>
/// Networks, endpoints, published ports and names of one engine.
/// <para>
/// A <i>network</i> is stored and outlives everything. An <i>instance network</i> is the sandbox (network namespace or
/// taps) of one running instance with its endpoints, ports, names and files: made by <see cref="SetUpAsync"/> before the
/// instance's first process, gone with <see cref="TearDownAsync"/> after its last. In between endpoints come and go by
/// <see cref="ConnectAsync"/> and <see cref="DisconnectAsync"/>. All of it survives the death of the engine: a manager
/// opened on the same directories finds it as it was, and what no record speaks of is removed.
/// </para>
/// <para>
/// An operation that throws has left nothing behind. Operations may run in parallel, those on one instance are ordered.
/// </para>
/// </summary>
public sealed class NetworkManager : IAsyncDisposable
{
    /// <summary>Opens the state, makes the predefined networks, puts bridges, firewall table and resolver in place.</summary>
    public static Task<NetworkManager> OpenAsync(NetworkManagerOptions options, TimeProvider? clock = null,
        CancellationToken cancellation = default) => throw Missing();

    /// <summary>All networks, the predefined ones (bridge, host, none) included.</summary>
    public IReadOnlyList<NetworkRecord> Networks => throw Missing();

    /// <summary>All instance networks.</summary>
    public IReadOnlyList<InstanceNetwork> Instances => throw Missing();

    /// <summary>Finds by name, id or unambiguous id prefix; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public NetworkRecord GetNetwork(string nameOrId) => throw Missing();

    /// <summary>The endpoints on a network, of running instances.</summary>
    public IReadOnlyList<Endpoint> EndpointsOf(string nameOrId) => throw Missing();

    /// <summary>The network of an instance, or null while it has none.</summary>
    public InstanceNetwork? FindInstance(string instanceId) => throw Missing();

    /// <summary>Makes a network. Throws <see cref="ErrorKind.AlreadyExists"/> where the name is taken, <see cref="ErrorKind.InvalidArgument"/> for overlapping or malformed subnets.</summary>
    public Task<NetworkRecord> CreateNetworkAsync(NetworkSpec spec, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Removes a network. Throws <see cref="ErrorKind.Conflict"/> while endpoints are on it, <see cref="ErrorKind.PermissionDenied"/> for a predefined one.</summary>
    public Task RemoveNetworkAsync(string nameOrId, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Removes each network without endpoints that <paramref name="filter"/> accepts, predefined ones never; answers those removed.</summary>
    public Task<IReadOnlyList<NetworkRecord>> PruneNetworksAsync(Func<NetworkRecord, bool> filter, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Makes the sandbox, its endpoints, published ports and files. The instance must have no network yet.</summary>
    public Task<InstanceNetwork> SetUpAsync(InstanceNetworkSpec spec, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Removes all that <see cref="SetUpAsync"/> and its successors made; nothing happens where there is nothing.</summary>
    public Task TearDownAsync(string instanceId, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Attaches a running instance to one more network.</summary>
    public Task<Endpoint> ConnectAsync(string instanceId, EndpointSpec spec, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Takes a running instance off a network; the default route and published ports move to what remains.</summary>
    public Task DisconnectAsync(string instanceId, string network, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Replaces the published ports of a running instance in one transaction; ports in both lists keep their connections.</summary>
    public Task<IReadOnlyList<PublishedPort>> PublishAsync(string instanceId, IReadOnlyList<PortMapping> ports, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Gives the instance another name: its DNS name and hosts files follow.</summary>
    public Task RenameAsync(string instanceId, string name, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Bounds the bandwidth of a running instance on one network, or on all where <paramref name="network"/> is null.</summary>
    public Task SetLimitsAsync(string instanceId, string? network, BandwidthLimits limits, CancellationToken cancellation = default) => throw Missing();

    /// <summary>Opens a queue of the endpoint's tap (tun(4), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) to hand to a monitor.</summary>
    public SafeFileHandle OpenTap(string instanceId, string network) => throw Missing();

    /// <summary>Compares bridges, veths, taps, addresses, nft elements and namespaces with the state; empty means they agree.</summary>
    public Task<IReadOnlyList<AuditFinding>> AuditAsync(CancellationToken cancellation = default) => throw Missing();

    /// <summary>What on this host helps or hinders Hull's networks: forwarding, other firewalls, br_netfilter, address clashes.</summary>
    public Task<IReadOnlyList<NetworkDiagnosis>> DiagnoseAsync(CancellationToken cancellation = default) => throw Missing();

    /// <summary>Closes sockets and threads. Networks, endpoints and firewall stay as they are.</summary>
    public ValueTask DisposeAsync() => throw Missing();

    private static HullException Missing() => HullException.Unsupported("networks are not built yet");
}
