using Hull.Linux.Cgroups;

namespace Hull.Linux.Resctrl;

/// <summary>What the processor's last-level cache can be shared out as (info/L3).</summary>
public sealed record CacheAllocation(string Mask, ulong LeastBits, ulong Classes);

/// <summary>How memory bandwidth can be shared out (info/MB).</summary>
public sealed record BandwidthAllocation(ulong Granularity, ulong DelayLinear, ulong Least, ulong Classes);

/// <summary>Counters of one cache domain, each null where the processor does not count it.</summary>
/// <param name="Occupancy">Bytes of last-level cache in use.</param>
/// <param name="TotalBytes">Bytes moved to and from memory.</param>
/// <param name="LocalBytes">The part of them that went to the domain's own memory.</param>
public sealed record ResctrlCounters(ulong? Occupancy, ulong? TotalBytes, ulong? LocalBytes);

/// <summary>What resctrl says of a group.</summary>
public sealed record ResctrlStats
{
    public CacheAllocation? Cache { get; init; }

    public BandwidthAllocation? Bandwidth { get; init; }

    /// <summary>The schema of tasks in no group, and of the group; empty where the processor has no such allocation.</summary>
    public string RootCacheSchema { get; init; } = "";

    public string CacheSchema { get; init; } = "";

    public string RootBandwidthSchema { get; init; } = "";

    public string BandwidthSchema { get; init; } = "";

    /// <summary>By domain, in the order of their numbers.</summary>
    public IReadOnlyList<ResctrlCounters> Domains { get; init; } = [];

    internal static ResctrlStats Read(string root, string group, string monitor)
    {
        var (rootSchemata, schemata) = (CgroupFile.TryRead(root, "schemata") ?? "", CgroupFile.TryRead(group, "schemata") ?? "");
        // With code and data prioritized apart, L3 is split in two that are described alike.
        var cache = CgroupFile.IsThere(root + "/info/L3") ? "info/L3/" : "info/L3CODE/";
        return new ResctrlStats
        {
            Cache = CgroupFile.TryRead(root, cache + "cbm_mask") is { } mask
                ? new CacheAllocation(mask, ReadNumber(root, cache + "min_cbm_bits") ?? 0, ReadNumber(root, cache + "num_closids") ?? 0)
                : null,
            Bandwidth = ReadNumber(root, "info/MB/num_closids") is { } classes
                ? new BandwidthAllocation(ReadNumber(root, "info/MB/bandwidth_gran") ?? 0, ReadNumber(root, "info/MB/delay_linear") ?? 0,
                    ReadNumber(root, "info/MB/min_bandwidth") ?? 0, classes)
                : null,
            RootCacheSchema = ResctrlSchemata.Of("L3", rootSchemata),
            CacheSchema = ResctrlSchemata.Of("L3", schemata),
            RootBandwidthSchema = ResctrlSchemata.Of("MB", rootSchemata),
            BandwidthSchema = ResctrlSchemata.Of("MB", schemata),
            Domains = [.. CgroupTree.Children(monitor + "/mon_data").Where(path => Path.GetFileName(path).StartsWith("mon_L3_", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
                .Select(path => new ResctrlCounters(ReadNumber(path, "llc_occupancy"), ReadNumber(path, "mbm_total_bytes"), ReadNumber(path, "mbm_local_bytes")))],
        };
    }

    /// <summary>The kernel writes "Unavailable" or "Error" where a counter gives nothing.</summary>
    private static ulong? ReadNumber(string directory, string file) =>
        ulong.TryParse(CgroupFile.TryRead(directory, file), out var value) ? value : null;
}
