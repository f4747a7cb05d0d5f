using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Client.Formatting;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Networks;

/// <summary><c>hull network</c>.</summary>
internal static class NetworkVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Make a network", () => new CreateNetworkVerb()),
        new("ls", "List networks", () => new ListNetworksVerb(), "list"),
        new("inspect", "Show everything about networks", () => new InspectVerb("network inspect [options] NETWORK...", ("network", "/networks/{}"))),
        new("rm", "Remove networks", () => new EachVerb("network rm", n => $"/networks/{n}", "DELETE"), "remove"),
        new("connect", "Connect a container to a network", () => new ConnectVerb()),
        new("disconnect", "Take a container off a network", () => new DisconnectVerb()),
        new("prune", "Remove networks that nothing uses", () => new PruneVerb("network prune", "/networks/prune", "NetworksDeleted")),
    ];

    private sealed class CreateNetworkVerb : Verb
    {
        private readonly NetworkCreateRequest request = new();
        private readonly List<IpamSubnet> subnets = [];

        public override string Usage => "network create [options] NAME";

        public override void Define(FlagSet flags) => flags
            .Value("driver", 'd', "driver", "bridge (default), macvlan or ipvlan", v => request.Driver = v)
            .Value("subnet", null, "range", "addresses of the network, such as 10.1.0.0/24", v => subnets.Add(new IpamSubnet { Subnet = v }))
            .Value("gateway", null, "address", "gateway of the subnet before it", v => Last().Gateway = v)
            .Value("ip-range", null, "range", "part of the subnet to give addresses from", v => Last().IPRange = v)
            .Value("aux-address", null, "name=address", "address that is not to be given out", v => (Last().AuxiliaryAddresses ??= [])[v.Split('=')[0]] = v[(v.IndexOf('=', StringComparison.Ordinal) + 1)..])
            .Switch("internal", null, "no way out and none in", v => request.Internal = v)
            .Switch("ipv6", null, "IPv6 too", v => request.EnableIPv6 = v)
            .Switch("attachable", null, "accepted for the sake of scripts", v => request.Attachable = v)
            .Value("opt", 'o', "key=value", "option of the driver", v => Pair(request.Options ??= [], v))
            .Value("label", null, "key=value", "label", v => Pair(request.Labels ??= [], v));

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            request.Name = call.Arguments[0];
            if (subnets.Count > 0) request.IPAM = new IpamSettings { Config = subnets };
            call.Output.WriteLine(call.Engine.Post("/networks/create", request, DockerJson.Wire.NetworkCreateRequest, DockerJson.Wire.NetworkCreateAnswer).Id);
            return 0;
        }

        private IpamSubnet Last()
        {
            if (subnets.Count == 0) subnets.Add(new IpamSubnet());
            return subnets[^1];
        }
    }

    private sealed class ListNetworksVerb : Verb
    {
        private readonly FilterFlags filters = new();
        private bool quiet;
        private string? format;

        public override string Usage => "network ls [options]";

        public override void Define(FlagSet flags)
        {
            filters.Define(flags);
            flags.Switch("quiet", 'q', "ids only", v => quiet = v).Value("format", null, "template", "json, table, or a Go template", v => format = v);
        }

        public override int Run(Invocation call)
        {
            var networks = call.Engine.Get("/networks?" + filters.Query().TrimStart('&'), DockerJson.Wire.ListNetworkResource).OrderBy(n => n.Name, StringComparer.Ordinal);
            if (quiet)
            {
                foreach (var network in networks) call.Output.WriteLine(network.Id[..12]);
                return 0;
            }

            call.Output.Write(OutputFormat.Parse(format).Rows(networks.Select(n => new JsonObject
            {
                ["ID"] = n.Id[..12],
                ["Name"] = n.Name,
                ["Driver"] = n.Driver,
                ["Scope"] = n.Scope,
                ["Subnets"] = string.Join(',', (n.IPAM.Config ?? []).Select(c => c.Subnet)),
                ["Internal"] = n.Internal ? "true" : "false",
                ["IPv6"] = n.EnableIPv6 ? "true" : "false",
                ["CreatedAt"] = n.Created,
                ["Labels"] = string.Join(',', n.Labels.Select(l => l.Key + "=" + l.Value)),
            }), [new("NETWORK ID", "{{.ID}}"), new("NAME", "{{.Name}}"), new("DRIVER", "{{.Driver}}"), new("SUBNETS", "{{.Subnets}}")]));
            return 0;
        }
    }

    private sealed class ConnectVerb : Verb
    {
        private readonly EndpointSettings settings = new();
        private readonly EndpointAddressing addressing = new();
        private readonly List<string> aliases = [];

        public override string Usage => "network connect [options] NETWORK CONTAINER";

        public override void Define(FlagSet flags) => flags
            .Value("alias", null, "name", "further name on the network", aliases.Add)
            .Value("ip", null, "address", "IPv4 address", v => addressing.IPv4Address = v)
            .Value("ip6", null, "address", "IPv6 address", v => addressing.IPv6Address = v)
            .Value("mac-address", null, "address", "MAC address", v => settings.MacAddress = v);

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            settings.Aliases = aliases.Count > 0 ? aliases : null;
            settings.IPAMConfig = addressing.IPv4Address is null && addressing.IPv6Address is null ? null : addressing;
            var body = new NetworkConnectRequest { Container = call.Arguments[1], EndpointConfig = settings };
            call.Engine.Call("POST", $"/networks/{Uri.EscapeDataString(call.Arguments[0])}/connect", JsonSerializer.SerializeToUtf8Bytes(body, DockerJson.Wire.NetworkConnectRequest));
            return 0;
        }
    }

    private sealed class DisconnectVerb : Verb
    {
        private bool force;

        public override string Usage => "network disconnect [options] NETWORK CONTAINER";

        public override void Define(FlagSet flags) => flags.Switch("force", 'f', "even where the container is gone", v => force = v);

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var body = new NetworkDisconnectRequest { Container = call.Arguments[1], Force = force };
            call.Engine.Call("POST", $"/networks/{Uri.EscapeDataString(call.Arguments[0])}/disconnect", JsonSerializer.SerializeToUtf8Bytes(body, DockerJson.Wire.NetworkDisconnectRequest));
            return 0;
        }
    }

    internal static void Pair(Dictionary<string, string> map, string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        map[equals < 0 ? text : text[..equals]] = equals < 0 ? "" : text[(equals + 1)..];
    }
}
