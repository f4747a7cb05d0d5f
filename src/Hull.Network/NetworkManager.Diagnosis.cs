using System.Net;

namespace Hull.Network;

public sealed partial class NetworkManager
{
    /// <summary>What on this host helps or hinders Hull's networks: forwarding, other firewalls, br_netfilter, address clashes.</summary>
    public Task<IReadOnlyList<NetworkDiagnosis>> DiagnoseAsync(CancellationToken cancellation = default)
    {
        var found = new List<NetworkDiagnosis>();
        DiagnoseForwarding(found);
        if (options.Firewall) DiagnoseFirewalls(found);
        DiagnoseAddresses(found);
        DiagnoseResolver(found);
        cancellation.ThrowIfCancellationRequested();
        return Task.FromResult<IReadOnlyList<NetworkDiagnosis>>(found);
    }

    private void DiagnoseForwarding(List<NetworkDiagnosis> found)
    {
        if (host.ReadSysctl("net/ipv4/ip_forward") != "1")
            found.Add(new NetworkDiagnosis("error", "IP forwarding is off: instances do not reach the outside", "sysctl -w net.ipv4.ip_forward=1"));
        else if (store.HasGuard(v4: true))
            found.Add(new NetworkDiagnosis("ok", $"IP forwarding was turned on for Hull; table {table.Name} drops what the host would forward for others", $"to let the host route: nft delete element inet {table.Name} guarded '{{ ipv4 }}'"));
        else found.Add(new NetworkDiagnosis("ok", "IP forwarding is on", ""));
    }

    /// <summary>
    /// A packet must be accepted by every table that hooks the path. Where another one drops by default, connections from
    /// and to instances end there, by the administrator's decision: Hull says so and changes nothing.
    /// </summary>
    private void DiagnoseFirewalls(List<NetworkDiagnosis> found)
    {
        var others = host.Firewall.BaseChains().Where(c => c.Table != table.Name && c.DropPolicy && c.Family is "ip" or "ip6" or "inet").ToList();
        string bridges;
        lock (gate) bridges = string.Join(", ", networks.Values.Select(n => n.Record.BridgeName).OfType<string>());
        var filtered = host.ReadSysctl("net/bridge/bridge-nf-call-iptables") == "1";
        foreach (var chain in others.Where(c => c.Hook == "forward"))
        {
            var name = $"{chain.Family} {chain.Table} {chain.Name}";
            found.Add(new NetworkDiagnosis("warning",
                $"chain {name} drops forwarded packets by default: instances reach the outside, and published ports are reached from other machines, only as far as its rules allow"
                + (filtered ? "; br_netfilter hands it traffic inside a network too" : "") + "; ports on loopback are not concerned",
                $"nft insert rule {name} iifname '{{ {bridges} }}' accept; nft insert rule {name} oifname '{{ {bridges} }}' ct state established,related accept; nft insert rule {name} oifname '{{ {bridges} }}' ct status dnat accept"));
        }

        foreach (var chain in others.Where(c => c.Hook == "input"))
        {
            var name = $"{chain.Family} {chain.Table} {chain.Name}";
            found.Add(new NetworkDiagnosis("warning",
                $"chain {name} drops packets to this host by default: names resolve for instances only if it allows port 53 from Hull's bridges",
                $"nft insert rule {name} iifname '{{ {bridges} }}' meta l4proto '{{ tcp, udp }}' th dport 53 accept"));
        }

        if (others.Count == 0) found.Add(new NetworkDiagnosis("ok", "no other firewall drops packets by default", ""));
    }

    private void DiagnoseAddresses(List<NetworkDiagnosis> found)
    {
        List<NetworkState> states;
        lock (gate) states = [.. networks.Values.Where(n => n.Record.BridgeName is not null)];
        var own = states.Select(s => s.BridgeIndex).ToHashSet();
        var links = host.Route.Links().ToDictionary(l => l.Index, l => l.Name);
        foreach (var route in host.Route.Routes().Where(r => r.Destination.PrefixLength > 0 && !own.Contains(r.Index)))
        {
            foreach (var state in states.Where(s => s.Record.Subnets.Any(n => n.Subnet.Overlaps(route.Destination))))
            {
                found.Add(new NetworkDiagnosis("warning",
                    $"network '{state.Record.Name}' overlaps with {route.Destination}, which this host routes through {links.GetValueOrDefault(route.Index, "?")}: one of them is not reachable",
                    "make the network anew with another subnet, or set the engine's address pools"));
            }
        }
    }

    private void DiagnoseResolver(List<NetworkDiagnosis> found)
    {
        lock (gate)
        {
            foreach (var state in networks.Values.Where(n => n.ResolverAddress is not null && n.Resolver is null))
                found.Add(new NetworkDiagnosis("error", $"names do not resolve on network '{state.Record.Name}': its gateway's port 53 is taken", "stop the other program or bind it to its own addresses (see ss -lunp sport = :53)"));
        }

        if (upstream.Current.Count == 0)
            found.Add(new NetworkDiagnosis("warning", $"no name server in {options.HostResolvConf}: names of the outside do not resolve", "set the engine's dns servers"));
        else if (upstream.Current.All(IPAddress.IsLoopback))
            found.Add(new NetworkDiagnosis("ok", "this host's name server is on its loopback: gateways pass queries on to it", ""));
    }
}
