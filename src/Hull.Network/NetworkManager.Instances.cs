using System.Net;
using Hull.Core;
using Hull.Linux.Netlink;
using Microsoft.Win32.SafeHandles;

namespace Hull.Network;

public sealed partial class NetworkManager
{
    /// <summary>Makes the sandbox, its endpoints, published ports and files. The instance must have no network yet.</summary>
    public async Task<InstanceNetwork> SetUpAsync(InstanceNetworkSpec spec, CancellationToken cancellation = default)
    {
        NetworkValidation.CheckInstanceId(spec.InstanceId);
        foreach (var entry in spec.ExtraHosts) InstanceFiles.ParseExtraHost(entry);
        using var hold = await instanceLocks.AcquireAsync(spec.InstanceId, cancellation);
        lock (gate)
        {
            if (instances.ContainsKey(spec.InstanceId)) throw HullException.Conflict($"instance '{RandomId.Short(spec.InstanceId)}' has a network already");
        }

        if (spec.HostNetwork && spec.Endpoints.Count > 0) throw HullException.Invalid("an instance on the host's network has no endpoints");
        var plumbings = Plan(spec);
        var state = new InstanceState(new InstanceNetwork
        {
            InstanceId = spec.InstanceId, Name = spec.Name, Spec = spec, Resolver = new ResolverConfiguration([], [], []),
            Endpoints = ElectDefaultRoute([.. plumbings.Select(p => p.Endpoint)]),
        });
        plumbings = [.. plumbings.Zip(state.Network.Endpoints, (p, e) => p with { Endpoint = e })];
        var made = false;
        try
        {
            MakeDevices(state, plumbings);
            made = true;
            foreach (var endpoint in state.Network.Endpoints.Where(e => e.Limits is not null)) plumber.SetLimits(endpoint, endpoint.Limits!);
            Publish(state, spec.Ports);
            state.Network = state.Network with { Resolver = ResolverOf(state.Network) };
            InstanceFiles.Write(state.Network, options.HostGateway, "/etc/hosts", fresh: true);
            store.Save(state.Network);
            Commit(state, plumbings);
            return state.Network;
        }
        catch
        {
            if (made) Dismantle(state);
            Abandon(plumbings);
            throw;
        }
    }

    /// <summary>Removes all that <see cref="SetUpAsync"/> and its successors made; nothing happens where there is nothing.</summary>
    public async Task TearDownAsync(string instanceId, CancellationToken cancellation = default)
    {
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState? state;
        lock (gate) state = instances.GetValueOrDefault(instanceId);
        if (state is null) return;
        foreach (var endpoint in state.Network.Endpoints) nameTable.Remove(endpoint);
        Dismantle(state);
        store.DeleteInstance(instanceId);
        lock (gate)
        {
            instances.Remove(instanceId);
            foreach (var endpoint in state.Network.Endpoints) Forget(endpoint);
        }
    }

    /// <summary>Attaches a running instance to one more network.</summary>
    public async Task<Endpoint> ConnectAsync(string instanceId, EndpointSpec spec, CancellationToken cancellation = default)
    {
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState state;
        lock (gate) state = FindInstanceState(instanceId);
        var before = state.Network;
        if (before.Spec.HostNetwork) throw HullException.Conflict("an instance on the host's network cannot be connected to another");
        var plumbing = Plan(before.Spec, [spec], before.Endpoints)[0];
        var endpoints = ElectDefaultRoute([.. before.Endpoints, plumbing.Endpoint]);
        plumbing = plumbing with { Endpoint = endpoints[^1] };
        try
        {
            Attach(state, plumbing, endpoints);
            if (spec.Limits is { } limits) plumber.SetLimits(plumbing.Endpoint, limits);
            state.Network = before with { Endpoints = endpoints };
            if (state.Ports.Count == 0) Publish(state, before.Spec.Ports);
            Refresh(state);
            Commit(state, [plumbing]);
            return plumbing.Endpoint;
        }
        catch
        {
            state.Network = before;
            plumber.Remove([plumbing.Endpoint]);
            Abandon([plumbing]);
            throw;
        }
    }

    /// <summary>Takes a running instance off a network; the default route and published ports move to what remains.</summary>
    public async Task DisconnectAsync(string instanceId, string network, CancellationToken cancellation = default)
    {
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState state;
        Endpoint gone;
        lock (gate)
        {
            state = FindInstanceState(instanceId);
            var id = Find(network).Record.Id;
            gone = state.Network.Endpoints.FirstOrDefault(e => e.NetworkId == id)
                ?? throw HullException.NotFound($"instance '{state.Network.Name}' is not on network '{network}'");
        }

        var publishes = state.Ports.Count > 0 && PublishingEndpoint(state.Network)?.Id == gone.Id;
        if (publishes) Unpublish(state);
        nameTable.Remove(gone);
        var remaining = ElectDefaultRoute([.. state.Network.Endpoints.Where(e => e.Id != gone.Id)]);
        Detach(state, gone, remaining);
        state.Network = state.Network with { Endpoints = remaining };
        lock (gate) Forget(gone);
        if (publishes) Publish(state, state.Network.Spec.Ports);
        Refresh(state);
    }

    /// <summary>Replaces the published ports of a running instance in one transaction; ports in both lists keep their connections.</summary>
    public async Task<IReadOnlyList<PublishedPort>> PublishAsync(string instanceId, IReadOnlyList<PortMapping> ports, CancellationToken cancellation = default)
    {
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState state;
        lock (gate) state = FindInstanceState(instanceId);
        Publish(state, ports);
        state.Network = state.Network with { Spec = state.Network.Spec with { Ports = ports } };
        store.Save(state.Network);
        return state.Network.Ports;
    }

    /// <summary>Gives the instance another name: its DNS name follows.</summary>
    public async Task RenameAsync(string instanceId, string name, CancellationToken cancellation = default)
    {
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState? state;
        lock (gate) state = instances.GetValueOrDefault(instanceId);
        if (state is null || state.Network.Name == name) return;
        var old = state.Network;
        var endpoints = old.Endpoints.Select(e => e with { DnsNames = [name, .. e.DnsNames.Where(n => n != old.Name && n != name)] }).ToList();
        foreach (var endpoint in old.Endpoints) nameTable.Remove(endpoint);
        state.Network = old with { Name = name, Endpoints = endpoints, Spec = old.Spec with { Name = name } };
        foreach (var endpoint in endpoints) RegisterNames(state.Network, endpoint);
        lock (gate)
        {
            foreach (var endpoint in endpoints) networks[endpoint.NetworkId].Endpoints[endpoint.Id] = endpoint;
        }

        store.Save(state.Network);
    }

    /// <summary>Bounds the bandwidth of a running instance on one network, or on all where <paramref name="network"/> is null.</summary>
    public async Task SetLimitsAsync(string instanceId, string? network, BandwidthLimits limits, CancellationToken cancellation = default)
    {
        if (limits.EgressBitsPerSecond < 0 || limits.IngressBitsPerSecond < 0 || limits.BurstBytes < 0) throw HullException.Invalid("bandwidth limits cannot be negative");
        using var hold = await instanceLocks.AcquireAsync(instanceId, cancellation);
        InstanceState state;
        string? id;
        lock (gate) (state, id) = (FindInstanceState(instanceId), network is null ? null : Find(network).Record.Id);
        var chosen = state.Network.Endpoints.Where(e => id is null || e.NetworkId == id).ToList();
        if (chosen.Count == 0) throw HullException.NotFound($"instance '{state.Network.Name}' is not on network '{network}'");
        foreach (var endpoint in chosen) plumber.SetLimits(endpoint, limits);
        state.Network = state.Network with { Endpoints = [.. state.Network.Endpoints.Select(e => chosen.Contains(e) ? e with { Limits = limits } : e)] };
        lock (gate)
        {
            foreach (var endpoint in state.Network.Endpoints) networks[endpoint.NetworkId].Endpoints[endpoint.Id] = endpoint;
        }

        store.Save(state.Network);
    }

    /// <summary>Opens a queue of the endpoint's tap (tun(4), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) to hand to a monitor.</summary>
    public SafeFileHandle OpenTap(string instanceId, string network)
    {
        string tap;
        lock (gate)
        {
            var state = FindInstanceState(instanceId);
            var id = Find(network).Record.Id;
            var endpoint = state.Network.Endpoints.FirstOrDefault(e => e.NetworkId == id)
                ?? throw HullException.NotFound($"instance '{state.Network.Name}' is not on network '{network}'");
            if (state.Network.Spec.Kind != AttachmentKind.Tap) throw HullException.Invalid($"instance '{state.Network.Name}' has no tap: it is attached by a namespace");
            tap = endpoint.HostInterface!;
        }

        return host.Run(() => TapDevice.Open(tap));
    }

    private void MakeDevices(InstanceState state, List<Plumbing> plumbings)
    {
        var spec = state.Network.Spec;
        if (spec.HostNetwork) return;
        if (spec.Kind == AttachmentKind.Tap)
        {
            plumber.AttachTaps(plumbings);
            return;
        }

        var owned = spec.NamespacePath is null;
        using var sandbox = owned ? TakeSandbox(spec) : Sandbox.Open(NetworkNamespace.Open(spec.NamespacePath!), loopback: true);
        // In a namespace that was just made the indexes are known; in another's the kernel chooses.
        if (owned) plumbings = [.. plumbings.Select((p, i) => p with { Index = i + 2 })];
        plumber.Attach(sandbox, plumbings);
        var path = spec.NamespacePath ?? Path.Combine(store.Sandboxes, $"{spec.InstanceId}.{RandomId.New()[..8]}");
        state.Network = state.Network with { SandboxPath = path, OwnsSandbox = owned };
        if (!owned) return;
        try
        {
            sandbox.Namespace.BindTo(path);
        }
        catch
        {
            plumber.Remove(plumbings.Select(p => p.Endpoint));
            throw;
        }
    }

    private Sandbox TakeSandbox(InstanceNetworkSpec spec) =>
        spec.UserNamespacePath is { } path ? Sandbox.CreateIn(path) : sandboxes.Take();

    private void Attach(InstanceState state, Plumbing plumbing, IReadOnlyList<Endpoint> endpoints)
    {
        if (state.Network.Spec.Kind == AttachmentKind.Tap)
        {
            plumber.AttachTaps([plumbing]);
            return;
        }

        using var sandbox = OpenSandbox(state.Network);
        // The elected endpoint gives the routes once it is up; an earlier one that had them gives them back.
        if (plumbing.Endpoint.DefaultRoute) EndpointPlumber.ClearDefaultRoutes(sandbox);
        try
        {
            plumber.Attach(sandbox, [plumbing]);
        }
        catch
        {
            if (endpoints.FirstOrDefault(e => e.Id != plumbing.Endpoint.Id && e.IPv4Gateway is not null) is { } other) EndpointPlumber.SetDefaultRoutes(sandbox, other);
            throw;
        }
    }

    private void Detach(InstanceState state, Endpoint gone, IReadOnlyList<Endpoint> remaining)
    {
        if (state.Network.Spec.Kind == AttachmentKind.Tap)
        {
            plumber.Remove([gone]);
            return;
        }

        using var sandbox = OpenSandbox(state.Network);
        if (gone.HostInterface is null) EndpointPlumber.RemoveInside(sandbox, gone);
        else plumber.Remove([gone]);
        if (gone.DefaultRoute && remaining.FirstOrDefault(e => e.DefaultRoute) is { } next) EndpointPlumber.SetDefaultRoutes(sandbox, next);
    }

    private static Sandbox OpenSandbox(InstanceNetwork network) => Sandbox.Open(NetworkNamespace.Open(network.SandboxPath!), loopback: false);

    /// <summary>
    /// Takes an instance's kernel objects away: its ports now, and with them every frame; devices and sandbox in the
    /// background, because the kernel needs tens of milliseconds for them. Every step is tried; the first failure is thrown at the end.</summary>
    private void Dismantle(InstanceState state)
    {
        HullException? failure = null;
        Try(() => Unpublish(state));
        Try(() =>
        {
            if (state.Network.Spec.NamespacePath is not null && state.Network.Endpoints.Any(e => e.HostInterface is null) && File.Exists(state.Network.SandboxPath))
            {
                using var sandbox = OpenSandbox(state.Network);
                foreach (var endpoint in state.Network.Endpoints.Where(e => e.HostInterface is null)) EndpointPlumber.RemoveInside(sandbox, endpoint);
            }
        });
        Try(() => plumber.Silence(state.Network.Endpoints));
        reaper.Enqueue(plumber.DevicesOf(state.Network.Endpoints), state.Network.OwnsSandbox ? state.Network.SandboxPath : null);
        if (failure is not null) throw failure;

        void Try(Action step)
        {
            try
            {
                step();
            }
            catch (HullException error)
            {
                failure ??= error;
            }
        }
    }

    /// <summary>Rewrites what depends on the set of endpoints: resolver, files, document.</summary>
    private void Refresh(InstanceState state)
    {
        state.Network = state.Network with { Resolver = ResolverOf(state.Network) };
        InstanceFiles.Write(state.Network, options.HostGateway, "/etc/hosts", fresh: false);
        store.Save(state.Network);
        lock (gate)
        {
            foreach (var endpoint in state.Network.Endpoints)
            {
                if (networks[endpoint.NetworkId].Endpoints.ContainsKey(endpoint.Id)) networks[endpoint.NetworkId].Endpoints[endpoint.Id] = endpoint;
            }
        }
    }

    /// <summary>Makes planned endpoints visible.</summary>
    private void Commit(InstanceState state, IReadOnlyList<Plumbing> plumbings)
    {
        lock (gate)
        {
            instances[state.Network.InstanceId] = state;
            foreach (var (endpoint, network, _) in plumbings)
            {
                network.Pending--;
                network.Endpoints[endpoint.Id] = endpoint;
            }
        }

        foreach (var plumbing in plumbings) RegisterNames(state.Network, plumbing.Endpoint);
    }

    private void RegisterNames(InstanceNetwork network, Endpoint endpoint) => nameTable.Add(endpoint, network.Spec.DnsServers);

    private void Abandon(IEnumerable<Plumbing> plumbings)
    {
        lock (gate)
        {
            foreach (var (endpoint, network, _) in plumbings)
            {
                network.Pending--;
                network.Release(endpoint);
            }
        }
    }

    /// <summary>Call under the lock.</summary>
    private void Forget(Endpoint endpoint)
    {
        if (!networks.TryGetValue(endpoint.NetworkId, out var network)) return;
        network.Endpoints.Remove(endpoint.Id);
        network.Release(endpoint);
    }
}
