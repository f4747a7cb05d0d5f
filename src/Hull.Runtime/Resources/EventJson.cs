using System.Buffers;
using System.Text.Json;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;

namespace Hull.Runtime.Resources;

/// <summary>
/// Lines of <c>events</c>, in the shape of runc's types/events.go, which containerd, Docker and Kubernetes read.
/// </summary>
public static class EventJson
{
    /// <summary>A line of type "stats".</summary>
    public static ReadOnlyMemory<byte> Stats(string id, CgroupStats stats, ResctrlStats? resctrl = null) =>
        Event("stats", id, json => WriteData(json, stats, resctrl));

    /// <summary>A line of type "oom".</summary>
    public static ReadOnlyMemory<byte> OutOfMemory(string id) => Event("oom", id, null);

    private static ReadOnlyMemory<byte> Event(string type, string id, Action<Utf8JsonWriter>? data)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("type", type);
            json.WriteString("id", id);
            if (data is not null)
            {
                json.WriteStartObject("data");
                data(json);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenMemory;
    }

    private static void WriteData(Utf8JsonWriter json, CgroupStats stats, ResctrlStats? resctrl)
    {
        WriteCpu(json, stats.Cpu ?? new CpuStats());
        WriteCpuset(json, stats.Cpuset);
        WriteMemory(json, stats.Memory ?? new MemoryStats());
        json.WriteStartObject("pids");
        if (stats.Pids is { } pids)
        {
            WriteNonZero(json, "current", pids.Current);
            WriteNonZero(json, "limit", pids.Limit);
        }

        json.WriteEndObject();
        WriteBlockIo(json, stats.BlockIo ?? new BlockIoStats());
        json.WriteStartObject("hugetlb");
        foreach (var (size, page) in stats.HugePages)
        {
            json.WriteStartObject(size);
            WriteNonZero(json, "usage", page.Usage);
            WriteNonZero(json, "max", page.MaxUsage);
            json.WriteNumber("failcnt", page.FailCount);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        if (stats.RdmaCurrent.Count + stats.RdmaLimits.Count > 0) WriteRdma(json, stats);
        json.WriteStartObject("intel_rdt");
        if (resctrl is not null) WriteResctrl(json, resctrl);
        json.WriteEndObject();
        json.WriteNull("network_interfaces");
    }

    private static void WriteCpu(Utf8JsonWriter json, CpuStats cpu)
    {
        json.WriteStartObject("cpu");
        json.WriteStartObject("usage");
        WriteNonZero(json, "total", cpu.Total);
        if (cpu.PerCpu.Count > 0)
        {
            json.WriteStartArray("percpu");
            foreach (var value in cpu.PerCpu) json.WriteNumberValue(value);
            json.WriteEndArray();
        }

        json.WriteNumber("kernel", cpu.Kernel);
        json.WriteNumber("user", cpu.User);
        json.WriteEndObject();
        json.WriteStartObject("throttling");
        WriteNonZero(json, "periods", cpu.Periods);
        WriteNonZero(json, "throttledPeriods", cpu.ThrottledPeriods);
        WriteNonZero(json, "throttledTime", cpu.ThrottledTime);
        json.WriteEndObject();
        WritePressure(json, cpu.Pressure);
        json.WriteEndObject();
    }

    private static void WriteCpuset(Utf8JsonWriter json, CpusetStats? cpuset)
    {
        json.WriteStartObject("cpuset");
        if (cpuset is not null)
        {
            WriteList("cpus", cpuset.Cpus);
            json.WriteNumber("cpu_exclusive", 0);
            WriteList("mems", cpuset.MemoryNodes);
            foreach (var name in (ReadOnlySpan<string>)["mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
                "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level"])
            {
                json.WriteNumber(name, 0);
            }
        }

        json.WriteEndObject();

        void WriteList(string name, IReadOnlyList<ushort> numbers)
        {
            if (numbers.Count == 0) return;
            json.WriteStartArray(name);
            foreach (var number in numbers) json.WriteNumberValue(number);
            json.WriteEndArray();
        }
    }

    private static void WriteMemory(Utf8JsonWriter json, MemoryStats memory)
    {
        json.WriteStartObject("memory");
        WriteNonZero(json, "cache", memory.Cache);
        WriteUse("usage", memory.Memory);
        WriteUse("swap", memory.MemoryAndSwap);
        WriteUse("kernel", memory.Kernel);
        WriteUse("kernelTCP", memory.KernelTcp);
        if (memory.Detail.Count > 0)
        {
            json.WriteStartObject("raw");
            foreach (var (name, value) in memory.Detail) json.WriteNumber(name, value);
            json.WriteEndObject();
        }

        WritePressure(json, memory.Pressure);
        json.WriteEndObject();

        void WriteUse(string name, MemoryUse use)
        {
            json.WriteStartObject(name);
            json.WriteNumber("limit", use.Limit);
            WriteNonZero(json, "usage", use.Usage);
            WriteNonZero(json, "max", use.MaxUsage);
            json.WriteNumber("failcnt", use.FailCount);
            json.WriteEndObject();
        }
    }

    private static void WriteBlockIo(Utf8JsonWriter json, BlockIoStats blockIo)
    {
        json.WriteStartObject("blkio");
        WriteEntries("ioServiceBytesRecursive", blockIo.ServiceBytes);
        WriteEntries("ioServicedRecursive", blockIo.Serviced);
        WritePressure(json, blockIo.Pressure);
        json.WriteEndObject();

        void WriteEntries(string name, IReadOnlyList<BlockIoEntry> entries)
        {
            if (entries.Count == 0) return;
            json.WriteStartArray(name);
            foreach (var entry in entries)
            {
                json.WriteStartObject();
                WriteNonZero(json, "major", entry.Major);
                WriteNonZero(json, "minor", entry.Minor);
                json.WriteString("op", entry.Operation);
                WriteNonZero(json, "value", entry.Value);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }

    private static void WriteRdma(Utf8JsonWriter json, CgroupStats stats)
    {
        json.WriteStartObject("rdma");
        WriteEntries("current", stats.RdmaCurrent);
        WriteEntries("limit", stats.RdmaLimits);
        json.WriteEndObject();

        void WriteEntries(string name, IReadOnlyList<RdmaStats> entries)
        {
            json.WriteStartArray(name);
            foreach (var entry in entries)
            {
                json.WriteStartObject();
                json.WriteString("device", entry.Device);
                json.WriteNumber("hcaHandles", entry.Handles);
                json.WriteNumber("hcaObjects", entry.Objects);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }

    private static void WriteResctrl(Utf8JsonWriter json, ResctrlStats stats)
    {
        if (stats.Cache is { } cache)
        {
            json.WriteStartObject("l3_cache_info");
            json.WriteString("cbm_mask", cache.Mask);
            WriteNonZero(json, "min_cbm_bits", cache.LeastBits);
            WriteNonZero(json, "num_closids", cache.Classes);
            json.WriteEndObject();
        }

        WriteText("l3_cache_schema_root", stats.RootCacheSchema);
        WriteText("l3_cache_schema", stats.CacheSchema);
        if (stats.Bandwidth is { } bandwidth)
        {
            json.WriteStartObject("mem_bw_info");
            WriteNonZero(json, "bandwidth_gran", bandwidth.Granularity);
            WriteNonZero(json, "delay_linear", bandwidth.DelayLinear);
            WriteNonZero(json, "min_bandwidth", bandwidth.Least);
            WriteNonZero(json, "num_closids", bandwidth.Classes);
            json.WriteEndObject();
        }

        WriteText("mem_bw_schema_root", stats.RootBandwidthSchema);
        WriteText("mem_bw_schema", stats.BandwidthSchema);
        WriteCounters("mbm_stats", ("mbm_total_bytes", domain => domain.TotalBytes), ("mbm_local_bytes", domain => domain.LocalBytes));
        WriteCounters("cmt_stats", ("llc_occupancy", domain => domain.Occupancy));

        void WriteText(string name, string text)
        {
            if (text.Length > 0) json.WriteString(name, text);
        }

        void WriteCounters(string name, params ReadOnlySpan<(string Name, Func<ResctrlCounters, ulong?> Of)> counters)
        {
            var first = counters[0].Of;
            if (!stats.Domains.Any(domain => first(domain) is not null)) return;
            json.WriteStartArray(name);
            foreach (var domain in stats.Domains)
            {
                json.WriteStartObject();
                foreach (var counter in counters) WriteNonZero(json, counter.Name, counter.Of(domain) ?? 0);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }

    private static void WritePressure(Utf8JsonWriter json, PressureStats? pressure)
    {
        if (pressure is null) return;
        json.WriteStartObject("psi");
        WriteLine("some", pressure.Some);
        WriteLine("full", pressure.Full);
        json.WriteEndObject();

        void WriteLine(string name, PressureLine line)
        {
            json.WriteStartObject(name);
            json.WriteNumber("avg10", line.Average10);
            json.WriteNumber("avg60", line.Average60);
            json.WriteNumber("avg300", line.Average300);
            json.WriteNumber("total", line.Total);
            json.WriteEndObject();
        }
    }

    private static void WriteNonZero(Utf8JsonWriter json, string name, ulong value)
    {
        if (value != 0) json.WriteNumber(name, value);
    }
}
