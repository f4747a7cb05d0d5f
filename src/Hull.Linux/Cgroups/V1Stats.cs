namespace Hull.Linux.Cgroups;

/// <summary>Counters of version 1.</summary>
internal static class V1Stats
{
    // USER_HZ, the unit of cpuacct.stat, is 100 on every port (time(7), "software clock").
    private const ulong NanosecondsPerTick = 10_000_000;

    internal static CgroupStats Read(V1Cgroup cgroup) => new()
    {
        Cpu = Cpu(cgroup.DirectoryOf("cpuacct"), cgroup.DirectoryOf("cpu")),
        Cpuset = Cpuset(cgroup.DirectoryOf("cpuset"), "cpuset.cpus", "cpuset.mems"),
        Memory = cgroup.DirectoryOf("memory") is { } memory ? Memory(memory) : null,
        Pids = cgroup.DirectoryOf("pids") is { } pids ? Pids(pids) : null,
        BlockIo = cgroup.DirectoryOf("blkio") is { } blockIo ? BlockIo(blockIo) : null,
        HugePages = HugePages(cgroup.DirectoryOf("hugetlb")),
        RdmaCurrent = RdmaLine.Parse(cgroup.DirectoryOf("rdma") is { } current ? CgroupFile.TryRead(current, "rdma.current") : null),
        RdmaLimits = RdmaLine.Parse(cgroup.DirectoryOf("rdma") is { } limits ? CgroupFile.TryRead(limits, "rdma.max") : null),
    };

    private static CpuStats? Cpu(string? accounting, string? cpu)
    {
        if (accounting is null && cpu is null) return null;
        var ticks = Number.ParseTable(accounting is null ? null : CgroupFile.TryRead(accounting, "cpuacct.stat"));
        var periods = Number.ParseTable(cpu is null ? null : CgroupFile.TryRead(cpu, "cpu.stat"));
        var each = accounting is null ? null : CgroupFile.TryRead(accounting, "cpuacct.usage_percpu");
        return new CpuStats
        {
            Total = accounting is null ? 0 : Number.Read(accounting, "cpuacct.usage"),
            User = ticks.GetValueOrDefault("user") * NanosecondsPerTick,
            Kernel = ticks.GetValueOrDefault("system") * NanosecondsPerTick,
            PerCpu = [.. (each ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => Number.Parse(text))],
            Periods = periods.GetValueOrDefault("nr_periods"),
            ThrottledPeriods = periods.GetValueOrDefault("nr_throttled"),
            ThrottledTime = periods.GetValueOrDefault("throttled_time"),
        };
    }

    internal static CpusetStats? Cpuset(string? directory, string cpus, string nodes) => directory is null ? null : new CpusetStats(
        Number.ParseList(CgroupFile.TryRead(directory, cpus) ?? ""), Number.ParseList(CgroupFile.TryRead(directory, nodes) ?? ""));

    private static MemoryStats Memory(string directory)
    {
        var detail = Number.ParseTable(CgroupFile.TryRead(directory, "memory.stat"));
        var oom = Number.ParseTable(CgroupFile.TryRead(directory, "memory.oom_control"));
        return new MemoryStats
        {
            Memory = Use(directory, "memory."),
            MemoryAndSwap = Use(directory, "memory.memsw."),
            Kernel = Use(directory, "memory.kmem."),
            KernelTcp = Use(directory, "memory.kmem.tcp."),
            Cache = detail.GetValueOrDefault("cache"),
            InactiveFile = detail.GetValueOrDefault("total_inactive_file"),
            OomKills = oom.GetValueOrDefault("oom_kill"),
            UseHierarchy = Number.Read(directory, "memory.use_hierarchy") == 1,
            Detail = detail,
        };
    }

    private static MemoryUse Use(string directory, string prefix) => new(
        Number.Read(directory, prefix + "usage_in_bytes"), Number.Read(directory, prefix + "max_usage_in_bytes"),
        Number.Read(directory, prefix + "limit_in_bytes"), Number.Read(directory, prefix + "failcnt"));

    internal static PidsStats Pids(string directory)
    {
        var limit = Number.Read(directory, "pids.max");
        return new PidsStats(Number.Read(directory, "pids.current"), limit == ulong.MaxValue ? 0 : limit);
    }

    private static BlockIoStats BlockIo(string directory)
    {
        var bytes = Entries(CgroupFile.TryRead(directory, "blkio.bfq.io_service_bytes_recursive"));
        if (bytes.Count > 0)
        {
            return new BlockIoStats
            {
                ServiceBytes = bytes, Serviced = Entries(CgroupFile.TryRead(directory, "blkio.bfq.io_serviced_recursive")),
            };
        }

        return new BlockIoStats
        {
            ServiceBytes = Entries(CgroupFile.TryRead(directory, "blkio.throttle.io_service_bytes_recursive")),
            Serviced = Entries(CgroupFile.TryRead(directory, "blkio.throttle.io_serviced_recursive")),
        };
    }

    /// <summary>Lines of "major:minor Operation value"; the total over all devices has no numbers and is left out.</summary>
    private static List<BlockIoEntry> Entries(string? text)
    {
        var entries = new List<BlockIoEntry>();
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split([' ', ':']);
            if (fields.Length == 4) entries.Add(new BlockIoEntry(Number.Parse(fields[0]), Number.Parse(fields[1]), fields[2], Number.Parse(fields[3])));
        }

        return entries;
    }

    private static Dictionary<string, HugePageStats> HugePages(string? directory)
    {
        var pages = new Dictionary<string, HugePageStats>(StringComparer.Ordinal);
        if (directory is null || !Directory.Exists(directory)) return pages;
        const string Suffix = ".usage_in_bytes";
        foreach (var path in Directory.GetFiles(directory, "hugetlb.*" + Suffix))
        {
            var size = Path.GetFileName(path)["hugetlb.".Length..^Suffix.Length];
            if (size.Contains('.')) continue;
            var prefix = $"hugetlb.{size}.";
            pages[size] = new HugePageStats(Number.Read(directory, prefix + "usage_in_bytes"),
                Number.Read(directory, prefix + "max_usage_in_bytes"), Number.Read(directory, prefix + "failcnt"));
        }

        return pages;
    }
}
