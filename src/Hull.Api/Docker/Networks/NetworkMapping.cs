using System.Globalization;
using System.Net;
using Hull.Core;
using Hull.Network;
using Hull.Protocol;

namespace Hull.Api.Docker.Networks;

/// <summary>Networks in Docker's words and in the engine's.</summary>
internal static class NetworkMapping
{
    private const string BridgeOption = "com.docker.network.bridge.";

    public static NetworkSpec ToSpec(NetworkCreateRequest body)
    {
        if (body.Ingress || body.ConfigOnly || !string.IsNullOrEmpty(body.ConfigFrom?.Network) || body.Scope is "swarm")
            throw HullException.Unsupported("ingress, config-only and swarm networks are not supported: Hull runs one machine");
        var ipam = body.IPAM?.Driver;
        if (ipam is not (null or "" or "default")) throw HullException.Unsupported($"ipam driver '{ipam}' is not supported: expected default");
        var options = body.Options ?? [];
        var driver = Driver(body.Driver);
        return new NetworkSpec
        {
            Name = string.IsNullOrEmpty(body.Name) ? throw HullException.Invalid("the network has no name") : body.Name,
            Driver = driver,
            Subnets = [.. (body.IPAM?.Config ?? []).Where(c => c.Subnet is { Length: > 0 } || c.Gateway is { Length: > 0 } || c.IPRange is { Length: > 0 }).Select(Subnet)],
            EnableIPv4 = body.EnableIPv4 ?? true,
            EnableIPv6 = body.EnableIPv6 ?? false,
            Internal = body.Internal,
            BridgeName = Value(options, BridgeOption + "name"),
            Mtu = Value(options, "com.docker.network.driver.mtu") is { } mtu ? Number(mtu, "mtu") : 0,
            InterContainer = Flag(options, BridgeOption + "enable_icc"),
            Masquerade = Flag(options, BridgeOption + "enable_ip_masquerade"),
            PublishAddress = Value(options, BridgeOption + "host_binding_ipv4") is { } address ? Address(address) : null,
            Parent = Value(options, "parent"),
            Mode = Value(options, driver == NetworkDriver.Ipvlan ? "ipvlan_mode" : "macvlan_mode") ?? Value(options, "mode"),
            Labels = body.Labels ?? [],
            Options = options,
        };
    }

    public static NetworkResource ToResource(NetworkRecord network) => new()
    {
        Name = network.Name,
        Id = network.Id,
        Created = Timestamps.Format(network.Created),
        Driver = DriverName(network.Spec.Driver),
        EnableIPv4 = network.Spec.EnableIPv4,
        EnableIPv6 = network.Spec.EnableIPv6,
        Internal = network.Spec.Internal,
        IPAM = new IpamSettings
        {
            Options = network.Predefined ? null : new Dictionary<string, string>(),
            Config = [.. network.Subnets.Select(s => new IpamSubnet
            {
                Subnet = s.Subnet.ToString(),
                Gateway = s.Gateway?.ToString(),
                IPRange = s.Range?.ToString(),
                AuxiliaryAddresses = s.Auxiliary.Count == 0 ? null : s.Auxiliary.ToDictionary(a => a.Key, a => a.Value.ToString(), StringComparer.Ordinal),
            })],
        },
        Options = network.Predefined && network.BridgeName is { } bridge ? DefaultOptions(network, bridge) : network.Spec.Options,
        Labels = network.Spec.Labels,
    };

    public static string DriverName(NetworkDriver driver) => driver switch
    {
        NetworkDriver.Bridge => "bridge",
        NetworkDriver.Host => "host",
        NetworkDriver.None => "null",
        NetworkDriver.Macvlan => "macvlan",
        _ => "ipvlan",
    };

    private static Dictionary<string, string> DefaultOptions(NetworkRecord network, string bridge) => new()
    {
        [BridgeOption + "default_bridge"] = "true",
        [BridgeOption + "enable_icc"] = network.Spec.InterContainer ? "true" : "false",
        [BridgeOption + "enable_ip_masquerade"] = network.Spec.Masquerade ? "true" : "false",
        [BridgeOption + "name"] = bridge,
        ["com.docker.network.driver.mtu"] = network.Mtu.ToString(CultureInfo.InvariantCulture),
    };

    private static NetworkDriver Driver(string? name) => name switch
    {
        null or "" or "default" or "bridge" => NetworkDriver.Bridge,
        "host" => NetworkDriver.Host,
        "null" or "none" => NetworkDriver.None,
        "macvlan" => NetworkDriver.Macvlan,
        "ipvlan" => NetworkDriver.Ipvlan,
        "overlay" => throw HullException.Unsupported("overlay networks are not supported: they join many machines, and Hull runs one"),
        _ => throw HullException.NotFound($"network driver '{name}' not found: expected bridge, macvlan, ipvlan, host or none"),
    };

    private static SubnetSpec Subnet(IpamSubnet config)
    {
        var auxiliary = config.AuxiliaryAddresses ?? config.AuxAddress;
        return new SubnetSpec(
            config.Subnet is { Length: > 0 } subnet ? Range(subnet) : null,
            config.Gateway is { Length: > 0 } gateway ? Address(gateway) : null,
            config.IPRange is { Length: > 0 } range ? Range(range) : null,
            auxiliary?.ToDictionary(a => a.Key, a => Address(a.Value), StringComparer.Ordinal));
    }

    /// <summary>A range in CIDR form; address bits behind the prefix are dropped, as Docker drops them.</summary>
    private static IPNetwork Range(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && IPAddress.TryParse(text.AsSpan(0, slash), out var address)
            && int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            && length <= address.GetAddressBytes().Length * 8)
        {
            var bytes = address.GetAddressBytes();
            for (var bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
            return new IPNetwork(new IPAddress(bytes), length);
        }

        throw HullException.Invalid($"invalid CIDR address: {text}");
    }

    private static IPAddress Address(string text) => IPAddress.TryParse(text, out var address)
        ? address
        : throw HullException.Invalid($"invalid IP address: {text}");

    private static string? Value(Dictionary<string, string> options, string name) =>
        options.TryGetValue(name, out var value) && value.Length > 0 ? value : null;

    private static bool Flag(Dictionary<string, string> options, string name) => Value(options, name) switch
    {
        null => true,
        var text when bool.TryParse(text, out var flag) => flag,
        "1" => true,
        "0" => false,
        var text => throw HullException.Invalid($"invalid value '{text}' for {name}: expected true or false"),
    };

    private static int Number(string text, string name) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw HullException.Invalid($"invalid value '{text}' for {name}: expected a whole number");
}
