using System.Net;
using Hull.Core;

namespace Hull.Network;

/// <summary>Checks of what users ask for, before anything is made.</summary>
internal static class NetworkValidation
{
    private static readonly string[] SysctlFamilies = ["net.ipv4.conf", "net.ipv6.conf", "net.ipv4.neigh", "net.ipv6.neigh", "net.mpls.conf"];

    public static void Check(NetworkSpec spec)
    {
        if (!IsName(spec.Name, 128)) throw HullException.Invalid($"invalid network name '{spec.Name}': 1 to 128 of [a-zA-Z0-9_.-], beginning with a letter or digit");
        if (spec.BridgeName is { } bridge)
        {
            if (spec.Driver != NetworkDriver.Bridge) throw HullException.Invalid($"network '{spec.Name}' has no bridge to name: its driver is {spec.Driver.ToString().ToLowerInvariant()}");
            DeviceNames.Validate(bridge);
        }

        if (spec.Mtu is not 0 and (< 68 or > 65535)) throw HullException.Invalid($"invalid MTU {spec.Mtu}: 68 to 65535");
        if (spec.EnableIPv6 && spec.Mtu is not 0 and < 1280) throw HullException.Invalid($"invalid MTU {spec.Mtu}: IPv6 needs at least 1280 (RFC 8200)");
        if (spec.Driver is NetworkDriver.Macvlan or NetworkDriver.Ipvlan)
        {
            if (spec.Parent is null) throw HullException.Invalid($"network '{spec.Name}' needs a parent: the host's device that carries it");
            DeviceNames.Validate(spec.Parent);
            _ = spec.Driver == NetworkDriver.Macvlan ? MacvlanMode(spec.Mode) : IpvlanMode(spec.Mode);
        }
        else if (spec.Parent is not null)
        {
            throw HullException.Invalid($"network '{spec.Name}': a parent is for macvlan and ipvlan");
        }
    }

    public static void Check(EndpointSpec spec, NetworkRecord network)
    {
        if (spec.InterfaceName is { } name) DeviceNames.Validate(name);
        foreach (var alias in spec.Aliases.Concat(spec.Links.Keys))
        {
            if (alias.Length is 0 or > 253 || alias.Split('.').Any(l => l.Length is 0 or > 63) || alias.Any(c => c is <= ' ' or > '~'))
                throw HullException.Invalid($"invalid alias '{alias}': labels of 1 to 63 printable characters joined by dots");
        }

        if (spec.IPv4Address is { } v4 && !v4.IsV4()) throw HullException.Invalid($"{v4} is not an IPv4 address");
        if (spec.IPv6Address is { } v6 && v6.IsV4()) throw HullException.Invalid($"{v6} is not an IPv6 address");
        if (network.Predefined && (spec.IPv4Address ?? spec.IPv6Address) is not null)
            throw HullException.Invalid($"a static address needs a network of your own with a subnet: '{network.Name}' is the engine's");
        foreach (var sysctl in spec.Sysctls.Keys) SysctlPath(sysctl, "eth0");
        if (spec.Limits is { } limits && (limits.EgressBitsPerSecond < 0 || limits.IngressBitsPerSecond < 0 || limits.BurstBytes < 0))
            throw HullException.Invalid("bandwidth limits cannot be negative");
    }

    /// <summary>A path below /proc/sys for a setting of one interface; anything else of the host or the namespace is refused.</summary>
    public static string SysctlPath(string name, string device)
    {
        var family = SysctlFamilies.FirstOrDefault(f => name.StartsWith(f + ".IFNAME.", StringComparison.Ordinal));
        var key = family is null ? "" : name[(family.Length + 8)..];
        if (family is null || key.Length == 0 || key.Any(c => !char.IsAsciiLetterOrDigit(c) && c != '_'))
            throw HullException.Invalid($"invalid sysctl '{name}' of an endpoint: expected one like net.ipv4.conf.IFNAME.log_martians");
        return $"{family.Replace('.', '/')}/{device}/{key}";
    }

    public static uint MacvlanMode(string? mode) => mode switch
    {
        null or "" or "bridge" => 4,
        "private" => 1,
        "vepa" => 2,
        "passthru" => 8,
        _ => throw HullException.Invalid($"invalid macvlan mode '{mode}': bridge, private, vepa or passthru"),
    };

    public static ushort IpvlanMode(string? mode) => mode switch
    {
        null or "" or "l2" => 0,
        "l3" => 1,
        "l3s" => 2,
        _ => throw HullException.Invalid($"invalid ipvlan mode '{mode}': l2, l3 or l3s"),
    };

    /// <summary>Whether the id is safe as a file name.</summary>
    public static void CheckInstanceId(string id)
    {
        if (!IsName(id, 128)) throw HullException.Invalid($"invalid instance id '{id}'");
    }

    private static bool IsName(string name, int limit) =>
        name.Length >= 1 && name.Length <= limit && char.IsAsciiLetterOrDigit(name[0])
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
}
