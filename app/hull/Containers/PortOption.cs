using System.Globalization;
using Hull.Core;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>-p [[address:]host[-host]:]inside[-inside][/protocol]</c>.</summary>
internal static class PortOption
{
    public static void Add(Dictionary<string, List<PortBinding>?> bindings, SortedSet<string> exposed, string text)
    {
        var slash = text.LastIndexOf('/');
        var protocol = slash < 0 ? "tcp" : text[(slash + 1)..].ToLowerInvariant();
        if (protocol is not ("tcp" or "udp" or "sctp")) throw Invalid(text);
        var ports = slash < 0 ? text : text[..slash];
        var last = ports.LastIndexOf(':');
        var inside = Range(ports[(last + 1)..], text);
        var (address, host) = last < 0 ? ("", "") : SplitHost(ports[..last]);
        var outside = host.Length == 0 ? (0, 0) : Range(host, text);
        for (var port = inside.First; port <= inside.Last; port++)
        {
            var key = port.ToString(CultureInfo.InvariantCulture) + "/" + protocol;
            exposed.Add(key);
            if (!bindings.TryGetValue(key, out var list) || list is null) bindings[key] = list = [];
            list.Add(new PortBinding { HostIp = address, HostPort = HostPort(inside, outside, port, text) });
        }
    }

    private static string HostPort((int First, int Last) inside, (int First, int Last) outside, int port, string text)
    {
        if (outside.First == 0) return "";
        var single = inside.First == inside.Last;
        if (!single && outside.Last - outside.First != inside.Last - inside.First)
            throw HullException.Invalid($"invalid port '{text}': the ranges differ in length");
        var first = single ? outside.First : outside.First + port - inside.First;
        return single && outside.Last > outside.First
            ? $"{first}-{outside.Last}"
            : first.ToString(CultureInfo.InvariantCulture);
    }

    private static (string Address, string Host) SplitHost(string text)
    {
        if (text.StartsWith('[') && text.IndexOf(']', StringComparison.Ordinal) is var end and > 0)
            return (text[1..end], text[(end + 1)..].TrimStart(':'));
        var colon = text.LastIndexOf(':');
        return colon < 0 ? text.Contains('.', StringComparison.Ordinal) ? (text, "") : ("", text) : (text[..colon], text[(colon + 1)..]);
    }

    private static (int First, int Last) Range(string text, string whole)
    {
        var parts = text.Split('-');
        return parts.Length <= 2 && ushort.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            && ushort.TryParse(parts[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) && last >= first && first > 0
            ? (first, last)
            : throw Invalid(whole);
    }

    private static HullException Invalid(string text) =>
        HullException.Invalid($"invalid port '{text}': expected [[address:]host:]inside[/protocol], such as 8080:80");
}
