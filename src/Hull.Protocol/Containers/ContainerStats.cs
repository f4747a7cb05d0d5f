using System.Text.Json.Serialization;

namespace Hull.Protocol;

/// <summary>A line of <c>GET /containers/{id}/stats</c>.</summary>
public sealed class ContainerStats
{
    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    [JsonPropertyName("id")]
    public string Id { get; set; } = "";

    [JsonPropertyName("read")]
    public string Read { get; set; } = Timestamps.Zero;

    [JsonPropertyName("preread")]
    public string Preread { get; set; } = Timestamps.Zero;

    [JsonPropertyName("pids_stats")]
    public PidsStats Pids { get; set; } = new();

    [JsonPropertyName("blkio_stats")]
    public BlockStats Block { get; set; } = new();

    [JsonPropertyName("num_procs")]
    public int NumProcs { get; set; }

    [JsonPropertyName("storage_stats")]
    public Dictionary<string, long> Storage { get; set; } = [];

    [JsonPropertyName("cpu_stats")]
    public CpuStats Cpu { get; set; } = new();

    [JsonPropertyName("precpu_stats")]
    public CpuStats Precpu { get; set; } = new();

    [JsonPropertyName("memory_stats")]
    public MemoryStats Memory { get; set; } = new();

    [JsonPropertyName("networks"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Dictionary<string, NetworkStats>? Networks { get; set; }
}

public sealed class PidsStats
{
    [JsonPropertyName("current"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Current { get; set; }

    [JsonPropertyName("limit"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Limit { get; set; }
}

public sealed class BlockStats
{
    [JsonPropertyName("io_service_bytes_recursive")]
    public List<BlockEntry>? ServiceBytes { get; set; }

    [JsonPropertyName("io_serviced_recursive")]
    public List<BlockEntry>? Serviced { get; set; }

    [JsonPropertyName("io_queue_recursive")]
    public List<BlockEntry>? Queue { get; set; }

    [JsonPropertyName("io_service_time_recursive")]
    public List<BlockEntry>? ServiceTime { get; set; }

    [JsonPropertyName("io_wait_time_recursive")]
    public List<BlockEntry>? WaitTime { get; set; }

    [JsonPropertyName("io_merged_recursive")]
    public List<BlockEntry>? Merged { get; set; }

    [JsonPropertyName("io_time_recursive")]
    public List<BlockEntry>? Time { get; set; }

    [JsonPropertyName("sectors_recursive")]
    public List<BlockEntry>? Sectors { get; set; }
}

public sealed class BlockEntry
{
    [JsonPropertyName("major")]
    public long Major { get; set; }

    [JsonPropertyName("minor")]
    public long Minor { get; set; }

    [JsonPropertyName("op")]
    public string Operation { get; set; } = "";

    [JsonPropertyName("value")]
    public long Value { get; set; }
}

public sealed class CpuStats
{
    [JsonPropertyName("cpu_usage")]
    public CpuUsage Usage { get; set; } = new();

    /// <summary>Nanoseconds that all processors of the host were busy or idle.</summary>
    [JsonPropertyName("system_cpu_usage"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long System { get; set; }

    [JsonPropertyName("online_cpus"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int OnlineCpus { get; set; }

    [JsonPropertyName("throttling_data")]
    public ThrottlingStats Throttling { get; set; } = new();
}

public sealed class CpuUsage
{
    [JsonPropertyName("total_usage")]
    public long Total { get; set; }

    [JsonPropertyName("usage_in_kernelmode")]
    public long Kernel { get; set; }

    [JsonPropertyName("usage_in_usermode")]
    public long User { get; set; }

    [JsonPropertyName("percpu_usage"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<long>? PerCpu { get; set; }
}

public sealed class ThrottlingStats
{
    [JsonPropertyName("periods")]
    public long Periods { get; set; }

    [JsonPropertyName("throttled_periods")]
    public long ThrottledPeriods { get; set; }

    [JsonPropertyName("throttled_time")]
    public long ThrottledTime { get; set; }
}

public sealed class MemoryStats
{
    [JsonPropertyName("usage"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Usage { get; set; }

    [JsonPropertyName("max_usage"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MaximumUsage { get; set; }

    [JsonPropertyName("stats"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, long>? Stats { get; set; }

    [JsonPropertyName("failcnt"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long FailureCount { get; set; }

    [JsonPropertyName("limit"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Limit { get; set; }
}

public sealed class NetworkStats
{
    [JsonPropertyName("rx_bytes")]
    public long ReceivedBytes { get; set; }

    [JsonPropertyName("rx_packets")]
    public long ReceivedPackets { get; set; }

    [JsonPropertyName("rx_errors")]
    public long ReceiveErrors { get; set; }

    [JsonPropertyName("rx_dropped")]
    public long ReceiveDropped { get; set; }

    [JsonPropertyName("tx_bytes")]
    public long SentBytes { get; set; }

    [JsonPropertyName("tx_packets")]
    public long SentPackets { get; set; }

    [JsonPropertyName("tx_errors")]
    public long SendErrors { get; set; }

    [JsonPropertyName("tx_dropped")]
    public long SendDropped { get; set; }
}
