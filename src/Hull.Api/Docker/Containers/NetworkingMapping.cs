using System.Globalization;
using System.Net;
using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Protocol;
using NetworkingConfig = Hull.Engine.Workloads.NetworkingConfig;

namespace Hull.Api.Docker.Containers;

/// <summary>Networks and ports of a create request.</summary>
internal static class NetworkingMapping
{
    /// <summary>Ports of one range at most: a request must not make the engine count to millions.</summary>
    private const int MaximumRange = 4096;

    public static NetworkingConfig ToNetworking(ContainerCreateRequest request, HostConfig host) => new()
    {
        Mode = request.NetworkDisabled ? "none" : Mode(host.NetworkMode),
        Hostname = CreateMapping.NullIfEmpty(request.Hostname),
        DomainName = CreateMapping.NullIfEmpty(request.Domainname),
        MacAddress = CreateMapping.NullIfEmpty(request.MacAddress),
        Networks = (request.NetworkingConfig?.EndpointsConfig ?? [])
            .ToDictionary(n => n.Key == "default" ? "bridge" : n.Key, n => ToAttachment(n.Value), StringComparer.Ordinal),
        ExposedPorts = [.. (request.ExposedPorts ?? []).SelectMany(Expand)],
        Ports = ToPorts(host.PortBindings),
        PublishAll = host.PublishAllPorts,
        Dns = host.Dns ?? [],
        DnsSearch = host.DnsSearch ?? [],
        DnsOptions = host.DnsOptions ?? [],
        ExtraHosts = host.ExtraHosts ?? [],
        Links = host.Links ?? [],
    };

    public static AttachmentConfig ToAttachment(EndpointSettings? settings) => settings is null ? new AttachmentConfig() : new AttachmentConfig
    {
        Aliases = settings.Aliases ?? [],
        Links = settings.Links ?? [],
        Ipv4Address = CreateMapping.NullIfEmpty(settings.IPAMConfig?.IPv4Address),
        Ipv6Address = CreateMapping.NullIfEmpty(settings.IPAMConfig?.IPv6Address),
        LinkLocalAddresses = settings.IPAMConfig?.LinkLocalIPs ?? [],
        MacAddress = CreateMapping.NullIfEmpty(settings.MacAddress),
        GatewayPriority = settings.GwPriority == 0 ? null : settings.GwPriority,
        DriverOptions = settings.DriverOpts ?? [],
    };

    public static IReadOnlyList<PortConfig> ToPorts(Dictionary<string, List<PortBinding>?>? bindings) =>
        [.. (bindings ?? []).SelectMany(b => (b.Value ?? []).SelectMany(binding => ToPorts(b.Key, binding)))];

    private static IEnumerable<PortConfig> ToPorts(string key, PortBinding binding)
    {
        var (first, last, protocol) = ParsePort(key);
        var address = CreateMapping.NullIfEmpty(binding.HostIp);
        if (address is not null && !IPAddress.TryParse(address.Trim('[', ']'), out _))
            throw HullException.Invalid($"invalid IP address '{address}' in the bindings of port {key}");
        var (hostFirst, hostLast) = ParseRange(CreateMapping.NullIfEmpty(binding.HostPort) ?? "0", key);
        if (first == last) return [new PortConfig((ushort)first, protocol, address, (ushort)hostFirst, hostLast > hostFirst ? (ushort)hostLast : (ushort)0)];
        if (hostFirst != 0 && hostLast - hostFirst != last - first)
            throw HullException.Invalid($"invalid bindings of port {key}: the ranges differ in length");
        return Enumerable.Range(0, last - first + 1)
            .Select(i => new PortConfig((ushort)(first + i), protocol, address, (ushort)(hostFirst == 0 ? 0 : hostFirst + i)));
    }

    private static IEnumerable<string> Expand(string port)
    {
        var (first, last, protocol) = ParsePort(port);
        return Enumerable.Range(first, last - first + 1).Select(p => p.ToString(CultureInfo.InvariantCulture) + "/" + protocol);
    }

    private static (int First, int Last, string Protocol) ParsePort(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var protocol = slash < 0 ? "tcp" : text[(slash + 1)..].ToLowerInvariant();
        if (protocol is not ("tcp" or "udp" or "sctp")) throw HullException.Invalid($"invalid port '{text}': expected a protocol of tcp, udp or sctp");
        var (first, last) = ParseRange(slash < 0 ? text : text[..slash], text);
        return first > 0 ? (first, last, protocol) : throw HullException.Invalid($"invalid port '{text}'");
    }

    private static (int First, int Last) ParseRange(string text, string whole)
    {
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        var first = Port(dash < 0 ? text : text[..dash], whole);
        var last = dash < 0 ? first : Port(text[(dash + 1)..], whole);
        return last >= first && last - first < MaximumRange ? (first, last) : throw HullException.Invalid($"invalid port range '{whole}'");
    }

    private static int Port(string text, string whole) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? port
            : throw HullException.Invalid($"invalid port '{whole}': expected a number of at most 65535");

    private static string? Mode(string? mode) => mode is null or "" or "default" ? null : mode;
}
