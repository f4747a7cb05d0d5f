using Hull.Core;
using Hull.Linux.Netlink;

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
public sealed partial class NetworkManager : IAsyncDisposable
{
    private readonly NetworkManagerOptions options;
    private readonly TimeProvider clock;
    private readonly NetworkStore store;
    private readonly HostStack host;
    private readonly DeviceNames names;
    private readonly FirewallTable table;
    private readonly EndpointPlumber plumber;
    private readonly PortPublisher publisher;
    private readonly SandboxPool sandboxes;
    private readonly DeviceReaper reaper;
    private readonly NameTable nameTable = new();
    private readonly UpstreamServers upstream;
    private readonly DnsForwarder forwarder;
    private readonly DnsResolver resolver;
    private readonly KeyedLock instanceLocks = new();
    private readonly SemaphoreSlim networkLock = new(1, 1);
    private readonly Action<string> log;

    /// <summary>Guards the dictionaries and what hangs on them; never held over a system call of the network.</summary>
    private readonly Lock gate = new();
    private readonly Dictionary<string, NetworkState> networks = [];
    private readonly Dictionary<string, InstanceState> instances = [];
    private FirewallWatch? watch;

    private NetworkManager(NetworkManagerOptions options, TimeProvider clock)
    {
        (this.options, this.clock) = (options, clock);
        log = options.Log ?? (_ => { });
        names = new DeviceNames(options);
        store = new NetworkStore(options);
        host = new HostStack(options.HostNamespacePath);
        table = new FirewallTable(host, names.Table);
        plumber = new EndpointPlumber(host, names);
        publisher = new PortPublisher(host);
        sandboxes = new SandboxPool(options.ReadySandboxes);
        reaper = new DeviceReaper(host, names, log);
        upstream = new UpstreamServers(options.HostResolvConf, options.DnsServers);
        forwarder = new DnsForwarder(host, upstream);
        resolver = new DnsResolver(nameTable, forwarder);
    }

    /// <summary>Opens the state, makes the predefined networks, puts bridges, firewall table and resolver in place.</summary>
    public static async Task<NetworkManager> OpenAsync(NetworkManagerOptions options, TimeProvider? clock = null,
        CancellationToken cancellation = default)
    {
        var manager = new NetworkManager(options, clock ?? TimeProvider.System);
        try
        {
            await Task.Run(() => manager.Restore(cancellation), cancellation);
            return manager;
        }
        catch
        {
            await manager.DisposeAsync();
            throw;
        }
    }

    /// <summary>Six hexadecimal digits in the names of this engine's devices and its table <c>inet hull_ID</c>.</summary>
    public string EngineId => names.EngineId;

    /// <summary>All networks, the predefined ones (bridge, host, none) included, oldest first.</summary>
    public IReadOnlyList<NetworkRecord> Networks
    {
        get
        {
            lock (gate) return [.. networks.Values.Select(n => n.Record).OrderBy(n => n.Created).ThenBy(n => n.Name, StringComparer.Ordinal)];
        }
    }

    /// <summary>All instance networks.</summary>
    public IReadOnlyList<InstanceNetwork> Instances
    {
        get
        {
            lock (gate) return [.. instances.Values.Select(i => i.Network)];
        }
    }

    /// <summary>Finds by name, id or unambiguous id prefix; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public NetworkRecord GetNetwork(string nameOrId)
    {
        lock (gate) return Find(nameOrId).Record;
    }

    /// <summary>The endpoints on a network, of running instances.</summary>
    public IReadOnlyList<Endpoint> EndpointsOf(string nameOrId)
    {
        lock (gate) return [.. Find(nameOrId).Endpoints.Values];
    }

    /// <summary>The network of an instance, or null while it has none.</summary>
    public InstanceNetwork? FindInstance(string instanceId)
    {
        lock (gate) return instances.GetValueOrDefault(instanceId)?.Network;
    }

    /// <summary>Closes sockets and threads. Networks, endpoints and firewall stay as they are.</summary>
    public async ValueTask DisposeAsync()
    {
        watch?.Dispose();
        List<DnsListener> listeners;
        lock (gate)
        {
            listeners = [.. networks.Values.Select(n => n.Resolver).OfType<DnsListener>()];
            foreach (var held in instances.Values.SelectMany(i => i.Ports)) held.Socket?.Dispose();
        }

        foreach (var listener in listeners) await listener.DisposeAsync();
        await reaper.DisposeAsync();
        sandboxes.Dispose();
        forwarder.Dispose();
        host.Dispose();
        networkLock.Dispose();
    }

    /// <summary>Call under the lock.</summary>
    private NetworkState Find(string nameOrId)
    {
        if (networks.TryGetValue(nameOrId, out var byId)) return byId;
        if (networks.Values.FirstOrDefault(n => n.Record.Name == nameOrId) is { } byName) return byName;
        var byPrefix = nameOrId.Length == 0 ? [] : networks.Values.Where(n => n.Record.Id.StartsWith(nameOrId, StringComparison.Ordinal)).Take(2).ToList();
        return byPrefix.Count switch
        {
            1 => byPrefix[0],
            0 => throw HullException.NotFound($"no network '{nameOrId}'"),
            _ => throw HullException.Invalid($"network id '{nameOrId}' is ambiguous: give more digits"),
        };
    }

    /// <summary>Call under the lock.</summary>
    private InstanceState FindInstanceState(string id) =>
        instances.GetValueOrDefault(id) ?? throw HullException.NotFound($"instance '{RandomId.Short(id)}' has no network: it is not running");
}
