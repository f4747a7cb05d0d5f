using System.Globalization;

namespace Hull.Linux.Cgroups;

/// <summary>Counters of version 2.</summary>
internal static class V2Stats
{
    private const ulong NanosecondsPerMicrosecond = 1000;

    internal static CgroupStats Read(string directory) => new()
    {
        Cpu = Cpu(directory),
        Cpuset = V1Stats.Cpuset(directory, "cpuset.cpus.effective", "cpuset.mems.effective"),
        Memory = Memory(directory),
        Pids = V1Stats.Pids(directory),
        BlockIo = BlockIo(directory),
        HugePages = HugePages(directory),
        RdmaCurrent = RdmaLine.Parse(CgroupFile.TryRead(directory, "rdma.current")),
        RdmaLimits = RdmaLine.Parse(CgroupFile.TryRead(directory, "rdma.max")),
    };

    private static CpuStats Cpu(string directory)
    {
        var values = Number.ParseTable(CgroupFile.TryRead(directory, "cpu.stat"));
        return new CpuStats
        {
            Total = values.GetValueOrDefault("usage_usec") * NanosecondsPerMicrosecond,
            User = values.GetValueOrDefault("user_usec") * NanosecondsPerMicrosecond,
            Kernel = values.GetValueOrDefault("system_usec") * NanosecondsPerMicrosecond,
            Periods = values.GetValueOrDefault("nr_periods"),
            ThrottledPeriods = values.GetValueOrDefault("nr_throttled"),
            ThrottledTime = values.GetValueOrDefault("throttled_usec") * NanosecondsPerMicrosecond,
            Pressure = Pressure(directory, "cpu.pressure"),
        };
    }

    private static MemoryStats? Memory(string directory)
    {
        var detail = Number.ParseTable(CgroupFile.TryRead(directory, "memory.stat"));
        if (detail.Count == 0) return null;
        var events = Number.ParseTable(CgroupFile.TryRead(directory, "memory.events"));
        var memory = new MemoryUse(Number.Read(directory, "memory.current"), Number.Read(directory, "memory.peak"),
            Number.Read(directory, "memory.max"), events.GetValueOrDefault("max"));
        var swapEvents = Number.ParseTable(CgroupFile.TryRead(directory, "memory.swap.events"));
        var swap = new MemoryUse(Number.Read(directory, "memory.swap.current"), Number.Read(directory, "memory.swap.peak"),
            Number.Read(directory, "memory.swap.max"), swapEvents.GetValueOrDefault("max"));
        var isLimited = memory.Limit != ulong.MaxValue && swap.Limit != ulong.MaxValue;
        return new MemoryStats
        {
            Memory = memory,
            SwapOnly = swap,
            MemoryAndSwap = new MemoryUse(memory.Usage + swap.Usage, 0, isLimited ? memory.Limit + swap.Limit : ulong.MaxValue, 0),
            Kernel = new MemoryUse(detail.GetValueOrDefault("kernel"), 0, ulong.MaxValue, 0),
            KernelTcp = new MemoryUse(detail.GetValueOrDefault("sock"), 0, ulong.MaxValue, 0),
            Cache = detail.GetValueOrDefault("file"),
            InactiveFile = detail.GetValueOrDefault("inactive_file"),
            OomKills = events.GetValueOrDefault("oom_kill"),
            UseHierarchy = true,
            Detail = detail,
            Pressure = Pressure(directory, "memory.pressure"),
        };
    }

    /// <summary>io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".</summary>
    private static BlockIoStats BlockIo(string directory)
    {
        var bytes = new List<BlockIoEntry>();
        var operations = new List<BlockIoEntry>();
        foreach (var line in (CgroupFile.TryRead(directory, "io.stat") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(' ');
            var colon = fields[0].IndexOf(':');
            if (colon < 0) continue;
            var (major, minor) = (Number.Parse(fields[0].AsSpan(0, colon)), Number.Parse(fields[0].AsSpan(colon + 1)));
            foreach (var field in fields.AsSpan(1))
            {
                var equals = field.IndexOf('=');
                if (equals < 0) continue;
                var (list, operation) = field[..equals] switch
                {
                    "rbytes" => (bytes, "Read"),
                    "wbytes" => (bytes, "Write"),
                    "rios" => (operations, "Read"),
                    "wios" => (operations, "Write"),
                    _ => (null, ""),
                };
                list?.Add(new BlockIoEntry(major, minor, operation, Number.Parse(field.AsSpan(equals + 1))));
            }
        }

        return new BlockIoStats { ServiceBytes = bytes, Serviced = operations, Pressure = Pressure(directory, "io.pressure") };
    }

    private static Dictionary<string, HugePageStats> HugePages(string directory)
    {
        var pages = new Dictionary<string, HugePageStats>(StringComparer.Ordinal);
        const string Suffix = ".current";
        if (!Directory.Exists(directory)) return pages;
        foreach (var path in Directory.GetFiles(directory, "hugetlb.*" + Suffix))
        {
            var size = Path.GetFileName(path)["hugetlb.".Length..^Suffix.Length];
            if (size.Contains('.')) continue;
            var events = Number.ParseTable(CgroupFile.TryRead(directory, $"hugetlb.{size}.events"));
            pages[size] = new HugePageStats(Number.Read(directory, $"hugetlb.{size}.current"), 0, events.GetValueOrDefault("max"));
        }

        return pages;
    }

    /// <summary>Null where the kernel has no pressure accounting (psi=0).</summary>
    internal static PressureStats? Pressure(string directory, string file)
    {
        var text = CgroupFile.TryRead(directory, file);
        if (string.IsNullOrEmpty(text)) return null;
        PressureLine some = default, full = default;
        foreach (var line in text.Split('\n'))
        {
            var fields = line.Split(' ');
            if (fields.Length < 5) continue;
            var values = new PressureLine(Average(fields[1]), Average(fields[2]), Average(fields[3]), Number.Parse(fields[4].AsSpan(6)));
            if (fields[0] == "some") some = values;
            else full = values;
        }

        return new PressureStats(some, full);
    }

    private static double Average(string field) =>
        double.TryParse(field.AsSpan(field.IndexOf('=') + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : 0;
}
