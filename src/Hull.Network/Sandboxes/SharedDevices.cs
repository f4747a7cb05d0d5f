using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>
/// The ifbs that endpoints with one bandwidth together are led through, one for each direction. One is made with its first user
/// and goes with its last.
/// </summary>
internal sealed class SharedDevices(HostStack host, DeviceNames names)
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, HashSet<string>> users = [];

    public IEnumerable<string> NamesOf(SharedBandwidth? shared)
    {
        if (shared is { EgressBitsPerSecond: > 0 }) yield return names.SharedIfb(shared.Name, egress: true);
        if (shared is { IngressBitsPerSecond: > 0 }) yield return names.SharedIfb(shared.Name, egress: false);
    }

    /// <summary>Leads an endpoint through what it shares now, and no more through what it shared before. Its device has no filters.</summary>
    public void Apply(Endpoint endpoint, int index, SharedBandwidth? shared)
    {
        // Held over all of it: a device that somebody is being led through is not taken away.
        lock (gate)
        {
            var wanted = NamesOf(shared).ToHashSet();
            foreach (var device in wanted) Users(device).Add(endpoint.Id);
            Drop([endpoint.Id], wanted);
            if (shared is null || wanted.Count == 0) return;
            var batch = new RouteBatch();
            batch.AddFilters(index);
            if (shared.EgressBitsPerSecond > 0) batch.RedirectReceived(index, Make(names.SharedIfb(shared.Name, egress: true), shared.EgressBitsPerSecond, endpoint.Mtu));
            if (shared.IngressBitsPerSecond > 0) batch.RedirectSent(index, Make(names.SharedIfb(shared.Name, egress: false), shared.IngressBitsPerSecond, endpoint.Mtu));
            host.Route.Execute(batch);
        }
    }

    /// <summary>Counts an endpoint that is led through its devices already.</summary>
    public void Join(string endpoint, SharedBandwidth? shared)
    {
        lock (gate)
        {
            foreach (var device in NamesOf(shared)) Users(device).Add(endpoint);
        }
    }

    /// <summary>Endpoints are about to go.</summary>
    public void Leave(IReadOnlyList<Endpoint> endpoints)
    {
        lock (gate) Drop([.. endpoints.Select(endpoint => endpoint.Id)], []);
    }

    private HashSet<string> Users(string device) => users.TryGetValue(device, out var found) ? found : users[device] = [];

    private void Drop(IReadOnlyList<string> endpoints, HashSet<string> except)
    {
        var batch = new RouteBatch();
        var unused = false;
        foreach (var (device, all) in users.Where(pair => !except.Contains(pair.Key)).ToList())
        {
            var left = false;
            foreach (var endpoint in endpoints) left |= all.Remove(endpoint);
            if (!left || all.Count > 0) continue;
            users.Remove(device);
            batch.DeleteLink(device);
            unused = true;
        }

        if (unused) host.Route.TryExecute(batch);
    }

    /// <summary>The index of a device, with that rate from now on.</summary>
    private int Make(string name, long bitsPerSecond, int mtu)
    {
        if (host.Route.FindLink(name) is null)
        {
            var make = new RouteBatch();
            make.AddLink(new LinkSettings { Name = name, Mtu = mtu }, "ifb");
            if (host.HasIPv6(mtu)) make.SetNoLinkLocal(name);
            make.SetUp(name);
            host.Route.Execute(make);
        }

        var index = host.Route.IndexOf(name);
        var batch = new RouteBatch();
        EndpointPlumber.AddBucket(batch, index, bitsPerSecond, new BandwidthLimits());
        host.Route.Execute(batch);
        return index;
    }
}
