using System.Globalization;

namespace Hull.Linux.Resctrl;

/// <summary>Lines of a schemata file, "RESOURCE:domain=value;domain=value" (Documentation/arch/x86/resctrl.rst, "Schemata files").</summary>
internal static class ResctrlSchemata
{
    /// <summary>L3 lines of the one and MB lines of the other; bandwidth lines in the cache schema do not count.</summary>
    internal static string Combine(ResctrlLimits limits) =>
        string.Join('\n', Lines(limits.CacheSchema).Where(line => !line.StartsWith("MB:", StringComparison.Ordinal)).Concat(Lines(limits.BandwidthSchema)));

    /// <summary>The first wanted line that is not so in a file; the kernel pads names and numbers, and lists domains nobody asked for.</summary>
    internal static string? FindDifference(string wanted, string present)
    {
        var values = new Dictionary<(string, string), ulong?>();
        foreach (var line in Lines(present))
        {
            foreach (var (resource, domain, value) in Parse(line)) values[(resource, domain)] = value;
        }

        return Lines(wanted).FirstOrDefault(line => Parse(line).Any(entry => entry.Value is null || values.GetValueOrDefault((entry.Resource, entry.Domain)) != entry.Value));
    }

    /// <summary>The lines of resources whose names begin so.</summary>
    internal static string Of(string resource, string schemata) =>
        string.Join('\n', Lines(schemata).Where(line => line.StartsWith(resource, StringComparison.Ordinal)));

    private static string[] Lines(string? text) => (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static IEnumerable<(string Resource, string Domain, ulong? Value)> Parse(string line)
    {
        var colon = line.IndexOf(':');
        var resource = colon < 0 ? line : line[..colon].Trim();
        foreach (var entry in line[(colon + 1)..].Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = entry.IndexOf('=');
            var text = equals < 0 ? "" : entry[(equals + 1)..].Trim();
            // Bandwidth is a decimal number, a share of cache a mask of hexadecimal digits.
            var style = resource == "MB" ? NumberStyles.None : NumberStyles.AllowHexSpecifier;
            yield return (resource, equals < 0 ? entry : entry[..equals].Trim(), ulong.TryParse(text, style, CultureInfo.InvariantCulture, out var value) ? value : null);
        }
    }
}
