using System.Globalization;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>The options for limits, the same for <c>run</c>, <c>create</c> and <c>update</c>.</summary>
internal static class ResourceFlags
{
    private const string PriorityHelp = "0 to 100 (50): memory is taken from the lowest first when it is short";

    public static void Define(FlagSet flags, ResourceSettings limits) => Disk(flags, limits)
        .Value("memory", 'm', "bytes", "limit of memory", v => limits.Memory = ByteSize.Parse(v))
        .Value("memory-reservation", null, "bytes", "memory that is kept for it; a soft limit", v => limits.MemoryReservation = ByteSize.Parse(v))
        .Value("memory-swap", null, "bytes", "limit of memory and swap, -1 for no limit of swap", v => limits.MemorySwap = v == "-1" ? -1 : ByteSize.Parse(v))
        .Number("memory-swappiness", null, "0 to 100", v => limits.MemorySwappiness = v)
        .Value("kernel-memory", null, "bytes", "limit of kernel memory", v => limits.KernelMemory = ByteSize.Parse(v))
        .Value("cpus", null, "number", "processors, such as 1.5", v => limits.NanoCpus = Cpus(v))
        .Number("cpu-shares", 'c', "relative weight (1024)", v => limits.CpuShares = v)
        .Number("cpu-period", null, "microseconds", v => limits.CpuPeriod = v)
        .Number("cpu-quota", null, "microseconds per period", v => limits.CpuQuota = v)
        .Number("cpu-rt-period", null, "microseconds", v => limits.CpuRealtimePeriod = v)
        .Number("cpu-rt-runtime", null, "microseconds", v => limits.CpuRealtimeRuntime = v)
        .Value("cpuset-cpus", null, "list", "processors it may use, such as 0-2,4", v => limits.CpusetCpus = v)
        .Value("cpuset-mems", null, "list", "memory nodes it may use", v => limits.CpusetMems = v)
        .Number("pids-limit", null, "processes and threads at most, -1 for no limit", v => limits.PidsLimit = v)
        .Value("network-egress", null, "rate", "bits per second it may send on each network, such as 10mbit; none for no limit", v => limits.NetworkEgress = BitRate.Parse(v))
        .Value("network-ingress", null, "rate", "bits per second that reach it on each network", v => limits.NetworkIngress = BitRate.Parse(v))
        .Value("cpu-reservation", null, "number", "processors that are kept for it, such as 0.5; none for no reservation", v => limits.CpuReservation = v is "none" or "0" ? -1 : Cpus(v))
        .Number("priority", null, PriorityHelp, v => limits.Priority = (int)v);

    /// <summary>Those of full machines, whose processors and memory are other options.</summary>
    public static FlagSet Machine(FlagSet flags, ResourceSettings limits) => Disk(flags, limits)
        .Number("cpu-shares", 'c', "relative weight on the host (1024)", v => limits.CpuShares = v)
        .Value("cpu-limit", null, "number", "processors of the host that it may use, such as 1.5", v => limits.NanoCpus = Cpus(v))
        .Value("cpu-reservation", null, "number", "processors of the host that are kept for it; none for no reservation", v => limits.CpuReservation = v is "none" or "0" ? -1 : Cpus(v))
        .Value("memory-reservation", null, "size", "memory of the host that is kept for it", v => limits.MemoryReservation = ByteSize.Parse(v))
        .Number("priority", null, PriorityHelp, v => limits.Priority = (int)v);

    private static FlagSet Disk(FlagSet flags, ResourceSettings limits) => flags
        .Number("blkio-weight", null, "10 to 1000", v => limits.BlkioWeight = (int)v)
        .Value("blkio-weight-device", null, "device:weight", "weight for one device", v => (limits.BlkioWeightDevice ??= []).Add(Weight(v)))
        .Value("device-read-bps", null, "device:rate", "bytes read per second", v => (limits.BlkioDeviceReadBps ??= []).Add(Rate(v, ByteSize.Parse)))
        .Value("device-write-bps", null, "device:rate", "bytes written per second", v => (limits.BlkioDeviceWriteBps ??= []).Add(Rate(v, ByteSize.Parse)))
        .Value("device-read-iops", null, "device:rate", "reads per second", v => (limits.BlkioDeviceReadIOps ??= []).Add(Rate(v, Number)))
        .Value("device-write-iops", null, "device:rate", "writes per second", v => (limits.BlkioDeviceWriteIOps ??= []).Add(Rate(v, Number)));

    public static Ulimit Ulimit(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0) throw HullException.Invalid($"invalid ulimit '{text}': expected name=soft[:hard]");
        var values = text[(equals + 1)..].Split(':');
        var soft = Number(values[0]);
        return new Ulimit { Name = text[..equals], Soft = soft, Hard = values.Length > 1 ? Number(values[1]) : soft };
    }

    public static RestartPolicy Restart(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0
            ? new RestartPolicy { Name = text }
            : new RestartPolicy { Name = text[..colon], MaximumRetryCount = (int)Number(text[(colon + 1)..]) };
    }

    private static long Cpus(string text) => decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
        ? (long)(number * 1_000_000_000)
        : throw HullException.Invalid($"invalid number of processors '{text}': expected a number such as 1.5");

    private static WeightDevice Weight(string text)
    {
        var (path, value) = SplitDevice(text);
        return new WeightDevice { Path = path, Weight = (int)Number(value) };
    }

    private static ThrottleDevice Rate(string text, Func<string, long> parse)
    {
        var (path, value) = SplitDevice(text);
        return new ThrottleDevice { Path = path, Rate = parse(value) };
    }

    private static (string Path, string Value) SplitDevice(string text)
    {
        var colon = text.LastIndexOf(':');
        return colon > 0 && text.StartsWith("/dev/", StringComparison.Ordinal)
            ? (text[..colon], text[(colon + 1)..])
            : throw HullException.Invalid($"invalid device limit '{text}': expected /dev/name:value");
    }

    private static long Number(string text) => text == "unlimited" ? -1
        : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : throw HullException.Invalid($"invalid number '{text}'");
}
