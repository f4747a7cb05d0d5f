using System.Net;
using System.Net.NetworkInformation;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>An endpoint that is to be plumbed, with the devices it goes to.</summary>
/// <param name="Index">Interface index to take in the sandbox; 0 lets the kernel choose.</param>
internal sealed record Plumbing(Endpoint Endpoint, NetworkState Network, int Index);

/// <summary>Makes and removes the devices, addresses and routes of endpoints. No child process, two system calls for a container.</summary>
internal sealed class EndpointPlumber(HostStack host, DeviceNames names)
{
    private readonly SharedDevices shared = new(host, names);

    /// <summary>Connects a sandbox: devices in one batch on the host, addresses and routes in one batch inside.</summary>
    public void Attach(Sandbox sandbox, IReadOnlyList<Plumbing> plumbings)
    {
        var outside = new RouteBatch();
        foreach (var plumbing in plumbings) AddDevice(outside, sandbox, plumbing);
        try
        {
            host.Route.Execute(outside);
            var inside = new RouteBatch();
            foreach (var plumbing in plumbings) Configure(inside, plumbing.Endpoint, plumbing.Index != 0 ? plumbing.Index : sandbox.Route.IndexOf(plumbing.Endpoint.InterfaceName));
            sandbox.Route.Execute(inside);
            ApplySysctls(sandbox, plumbings);
        }
        catch
        {
            Remove(plumbings.Select(p => p.Endpoint));
            throw;
        }
    }

    /// <summary>Makes the tap of each endpoint on the host's side of a virtual machine.</summary>
    public void AttachTaps(IReadOnlyList<Plumbing> plumbings)
    {
        try
        {
            host.Run(() =>
            {
                foreach (var plumbing in plumbings) TapDevice.Create(plumbing.Endpoint.HostInterface!);
            });
            var batch = new RouteBatch();
            foreach (var (endpoint, network, _) in plumbings)
            {
                var index = host.Route.IndexOf(endpoint.HostInterface!);
                if (host.HasIPv6(endpoint.Mtu)) batch.SetNoLinkLocal(endpoint.HostInterface!);
                batch.SetMtu(index, endpoint.Mtu);
                batch.SetMaster(index, network.BridgeIndex);
                batch.SetUp(index);
                SetPort(batch, endpoint.HostInterface!, network);
            }

            host.Route.Execute(batch);
        }
        catch
        {
            Remove(plumbings.Select(p => p.Endpoint));
            throw;
        }
    }

    /// <summary>Removes the host's ends (a veth takes its peer along). What is gone already is fine.</summary>
    public void Remove(IEnumerable<Endpoint> endpoints)
    {
        var all = endpoints.ToList();
        var batch = new RouteBatch();
        shared.Leave(all);
        foreach (var device in DevicesOf(all)) batch.DeleteLink(device);
        foreach (var failure in host.Route.TryExecute(batch))
        {
            if (failure.Errno is not (NetlinkError.ENODEV or NetlinkError.EINVAL))
                throw NetlinkError.Create(failure.Errno, batch.ActionOf(failure.Sequence), failure.Message);
        }
    }

    /// <summary>Stops all frames to and from endpoints whose devices are about to be removed. What is gone already is fine.</summary>
    public void Silence(IEnumerable<Endpoint> endpoints)
    {
        var all = endpoints.ToList();
        var batch = new RouteBatch();
        shared.Leave(all);
        foreach (var device in all.Select(e => e.HostInterface).OfType<string>()) batch.DisableBridgePort(device);
        host.Route.TryExecute(batch);
    }

    /// <summary>Takes over what an endpoint of an earlier engine shares.</summary>
    public void Adopt(Endpoint endpoint) => shared.Join(endpoint.Id, endpoint.Limits?.Shared);

    /// <summary>Names of the devices that endpoints share with others.</summary>
    public IEnumerable<string> SharedDevicesOf(IEnumerable<Endpoint> endpoints) => endpoints.SelectMany(endpoint => shared.NamesOf(endpoint.Limits?.Shared));

    /// <summary>Names of the host's devices of endpoints.</summary>
    public IEnumerable<string> DevicesOf(IEnumerable<Endpoint> endpoints)
    {
        foreach (var endpoint in endpoints)
        {
            if (endpoint.HostInterface is { } device) yield return device;
            if (endpoint.Limits is { EgressBitsPerSecond: > 0 }) yield return names.Ifb(endpoint.Id);
        }
    }

    /// <summary>Removes an interface by its name in the sandbox: macvlan and ipvlan have no end on the host.</summary>
    public static void RemoveInside(Sandbox sandbox, Endpoint endpoint)
    {
        var batch = new RouteBatch();
        batch.DeleteLink(endpoint.InterfaceName);
        sandbox.Route.TryExecute(batch);
    }

    /// <summary>Moves the default routes of a sandbox to an endpoint that is attached already.</summary>
    public static void SetDefaultRoutes(Sandbox sandbox, Endpoint endpoint)
    {
        var batch = new RouteBatch();
        AddDefaultRoutes(batch, endpoint, sandbox.Route.IndexOf(endpoint.InterfaceName));
        foreach (var failure in sandbox.Route.TryExecute(batch))
        {
            if (failure.Errno != NetlinkError.EEXIST) throw NetlinkError.Create(failure.Errno, batch.ActionOf(failure.Sequence), failure.Message);
        }
    }

    public static void ClearDefaultRoutes(Sandbox sandbox)
    {
        var batch = new RouteBatch();
        foreach (var route in sandbox.Route.Routes().Where(r => r.Destination.PrefixLength == 0)) batch.DeleteRoute(route.Destination, route.Index, route.Gateway, route.Metric);
        sandbox.Route.TryExecute(batch);
    }

    /// <summary>
    /// Bounds the bandwidth. What the instance receives leaves the host through the device's own root queue; what it sends
    /// is led through an ifb on the host, out of the instance's reach.
    /// </summary>
    public void SetLimits(Endpoint endpoint, BandwidthLimits limits)
    {
        if (endpoint.HostInterface is not { } device)
            throw HullException.Unsupported($"bandwidth limits need a bridge network: network '{endpoint.NetworkName}' has no device on the host's side");
        if (limits.Shared is not null && limits.EgressBitsPerSecond > 0 && limits.Shared.EgressBitsPerSecond > 0)
            throw HullException.Invalid($"an endpoint that shares what {limits.Shared.Name} may send cannot have a rate of its own for that");
        var index = host.Route.IndexOf(device);
        var ifbName = names.Ifb(endpoint.Id);
        var clear = new RouteBatch();
        clear.DeleteRootQueue(index);
        clear.DeleteIngress(index);
        clear.DeleteFilters(index);
        clear.DeleteLink(ifbName);
        host.Route.TryExecute(clear);

        var batch = new RouteBatch();
        if (limits.IngressBitsPerSecond > 0) AddBucket(batch, index, limits.IngressBitsPerSecond, limits);
        if (limits.EgressBitsPerSecond > 0)
        {
            var make = new RouteBatch();
            make.AddLink(new LinkSettings { Name = ifbName, Mtu = endpoint.Mtu }, "ifb");
            if (host.HasIPv6(endpoint.Mtu)) make.SetNoLinkLocal(ifbName);
            make.SetUp(ifbName);
            host.Route.Execute(make);
            var ifb = host.Route.IndexOf(ifbName);
            AddBucket(batch, ifb, limits.EgressBitsPerSecond, limits);
            batch.AddIngress(index);
            batch.RedirectIngress(index, ifb);
        }

        host.Route.Execute(batch);
        shared.Apply(endpoint, index, limits.Shared);
    }

    internal static void AddBucket(RouteBatch batch, int index, long bitsPerSecond, BandwidthLimits limits)
    {
        var bytes = Math.Max(1, bitsPerSecond / 8);
        // Below one segmented packet of 64 KiB a veth's large packets would all be dropped.
        var burst = limits.BurstBytes > 0 ? limits.BurstBytes : Math.Max(64 * 1024 + 4096, bytes / 10);
        batch.SetTokenBucket(index, (ulong)bytes, (uint)Math.Clamp(burst, 64 * 1024 + 4096, 1L << 30));
    }

    private void AddDevice(RouteBatch batch, Sandbox sandbox, Plumbing plumbing)
    {
        var (endpoint, network, index) = plumbing;
        var inside = new LinkSettings
        {
            Name = endpoint.InterfaceName,
            Index = index,
            Mtu = endpoint.Mtu,
            Address = PhysicalAddress.Parse(endpoint.MacAddress),
            Namespace = sandbox.Namespace.Handle,
        };
        var parent = network.Record.Spec.Parent;
        switch (network.Record.Spec.Driver)
        {
            case NetworkDriver.Bridge:
                batch.AddVeth(new LinkSettings { Name = endpoint.HostInterface, Mtu = endpoint.Mtu, Master = network.BridgeIndex }, inside);
                if (host.HasIPv6(endpoint.Mtu)) batch.SetNoLinkLocal(endpoint.HostInterface!);
                batch.SetUp(endpoint.HostInterface!);
                SetPort(batch, endpoint.HostInterface!, network);
                break;
            case NetworkDriver.Macvlan:
                batch.AddMacvlan(inside, host.Route.IndexOf(parent!), NetworkValidation.MacvlanMode(network.Record.Spec.Mode));
                break;
            case NetworkDriver.Ipvlan:
                batch.AddIpvlan(inside with { Address = null }, host.Route.IndexOf(parent!), NetworkValidation.IpvlanMode(network.Record.Spec.Mode));
                break;
            default:
                throw HullException.Invalid($"nothing is attached to network '{endpoint.NetworkName}'");
        }
    }

    /// <summary>
    /// With br_netfilter a translated packet may have to leave by the port it came from; without it the bridge itself sends
    /// it and hairpin mode would only reflect broadcasts.
    /// </summary>
    private static void SetPort(RouteBatch batch, string device, NetworkState network)
    {
        bool? isolated = network.Record.Spec.InterContainer ? null : true;
        bool? hairpin = network.Hairpin ? true : null;
        if (isolated is not null || hairpin is not null) batch.SetBridgePort(device, hairpin, isolated);
    }

    private void Configure(RouteBatch batch, Endpoint endpoint, int index)
    {
        if (host.HasIPv6(endpoint.Mtu)) batch.SetNoLinkLocal(endpoint.InterfaceName);
        // Up first: IPv6 addresses and all routes need it.
        batch.SetUp(index);
        if (endpoint.IPv4Address is { } v4) batch.AddAddress(index, v4, endpoint.IPv4PrefixLength);
        if (endpoint.IPv6Address is { } v6)
        {
            batch.AddAddress(index, MacAddresses.LinkLocal(PhysicalAddress.Parse(endpoint.MacAddress)), 64);
            batch.AddAddress(index, v6, endpoint.IPv6PrefixLength);
        }

        if (endpoint.DefaultRoute) AddDefaultRoutes(batch, endpoint, index);
    }

    private static void AddDefaultRoutes(RouteBatch batch, Endpoint endpoint, int index)
    {
        if (endpoint.IPv4Gateway is { } v4) batch.AddRoute(new IPNetwork(IPAddress.Any, 0), index, v4);
        if (endpoint.IPv6Gateway is { } v6) batch.AddRoute(new IPNetwork(IPAddress.IPv6Any, 0), index, v6);
    }

    private static void ApplySysctls(Sandbox sandbox, IReadOnlyList<Plumbing> plumbings)
    {
        if (plumbings.All(p => p.Endpoint.Spec.Sysctls.Count == 0)) return;
        sandbox.Namespace.Run(() =>
        {
            foreach (var endpoint in plumbings.Select(p => p.Endpoint))
            {
                foreach (var (name, value) in endpoint.Spec.Sysctls)
                {
                    var path = "/proc/sys/" + NetworkValidation.SysctlPath(name, endpoint.InterfaceName);
                    if (!Sysctl.TryWrite(path, value)) throw HullException.Invalid($"cannot set sysctl {name} to '{value}' on {endpoint.InterfaceName}");
                }
            }
        });
    }
}
