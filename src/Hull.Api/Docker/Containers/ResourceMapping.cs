using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Limits both ways. On the wire 0 is "not set"; in the engine null is.</summary>
internal static class ResourceMapping
{
    private const long MinimumMemory = 6 << 20;

    /// <summary>Below it a packet of ordinary size takes more than a second.</summary>
    private const long MinimumRate = 8000;

    public static ResourceLimits ToLimits(ResourceSettings settings)
    {
        Check(settings);
        return new ResourceLimits
        {
            CpuShares = NullIfZero(settings.CpuShares),
            NanoCpus = NullIfZero(settings.NanoCpus),
            CpuQuota = NullIfZero(settings.CpuQuota),
            CpuPeriod = NullIfZero(settings.CpuPeriod),
            CpuRealtimePeriod = NullIfZero(settings.CpuRealtimePeriod),
            CpuRealtimeRuntime = NullIfZero(settings.CpuRealtimeRuntime),
            CpusetCpus = CreateMapping.NullIfEmpty(settings.CpusetCpus),
            CpusetMems = CreateMapping.NullIfEmpty(settings.CpusetMems),
            Memory = NullIfZero(settings.Memory),
            MemorySwap = NullIfZero(settings.MemorySwap),
            MemoryReservation = NullIfZero(settings.MemoryReservation),
            KernelMemory = NullIfZero(settings.KernelMemory),
            MemorySwappiness = settings.MemorySwappiness is null or -1 ? null : settings.MemorySwappiness,
            PidsLimit = settings.PidsLimit is null or 0 ? null : settings.PidsLimit,
            BlkioWeight = settings.BlkioWeight == 0 ? null : settings.BlkioWeight,
            BlkioWeightDevice = [.. (settings.BlkioWeightDevice ?? []).Select(d => new DeviceWeight(d.Path ?? "", d.Weight))],
            ReadBytesPerSecond = Rates(settings.BlkioDeviceReadBps),
            WriteBytesPerSecond = Rates(settings.BlkioDeviceWriteBps),
            ReadOperationsPerSecond = Rates(settings.BlkioDeviceReadIOps),
            WriteOperationsPerSecond = Rates(settings.BlkioDeviceWriteIOps),
            NetworkEgressBits = Rate(settings.NetworkEgress),
            NetworkIngressBits = Rate(settings.NetworkIngress),
            CpuReservation = Rate(settings.CpuReservation),
            Priority = settings.Priority,
        };
    }

    /// <summary>Writes the limits that hold now over those of the request.</summary>
    public static void Show(ResourceLimits limits, ResourceSettings settings)
    {
        settings.CpuShares = limits.CpuShares ?? 0;
        settings.NanoCpus = limits.NanoCpus ?? 0;
        settings.CpuQuota = limits.CpuQuota ?? 0;
        settings.CpuPeriod = limits.CpuPeriod ?? 0;
        settings.CpuRealtimePeriod = limits.CpuRealtimePeriod ?? 0;
        settings.CpuRealtimeRuntime = limits.CpuRealtimeRuntime ?? 0;
        settings.CpusetCpus = limits.CpusetCpus ?? "";
        settings.CpusetMems = limits.CpusetMems ?? "";
        settings.Memory = limits.Memory ?? 0;
        settings.MemorySwap = limits.MemorySwap ?? 0;
        settings.MemoryReservation = limits.MemoryReservation ?? 0;
        settings.MemorySwappiness = limits.MemorySwappiness;
        settings.PidsLimit = limits.PidsLimit;
        settings.BlkioWeight = limits.BlkioWeight ?? 0;
        settings.BlkioWeightDevice = [.. limits.BlkioWeightDevice.Select(d => new WeightDevice { Path = d.Path, Weight = d.Weight })];
        settings.BlkioDeviceReadBps = Rates(limits.ReadBytesPerSecond);
        settings.BlkioDeviceWriteBps = Rates(limits.WriteBytesPerSecond);
        settings.BlkioDeviceReadIOps = Rates(limits.ReadOperationsPerSecond);
        settings.BlkioDeviceWriteIOps = Rates(limits.WriteOperationsPerSecond);
        settings.NetworkEgress = limits.NetworkEgressBits ?? 0;
        settings.NetworkIngress = limits.NetworkIngressBits ?? 0;
        settings.CpuReservation = limits.CpuReservation ?? 0;
        settings.Priority = limits.Priority;
    }

    private static void Check(ResourceSettings settings)
    {
        if (settings.Memory is > 0 and < MinimumMemory) throw HullException.Invalid("Minimum memory limit allowed is 6MB");
        if (settings.Memory > 0 && settings.MemorySwap > 0 && settings.MemorySwap < settings.Memory)
            throw HullException.Invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
        if (settings.Memory == 0 && settings.MemorySwap > 0)
            throw HullException.Invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
        if (settings.MemorySwappiness is { } swappiness and not -1 && swappiness is < 0 or > 100)
            throw HullException.Invalid($"Invalid value: {settings.MemorySwappiness}, valid memory swappiness range is 0-100");
        if (settings.Memory > 0 && settings.MemoryReservation > settings.Memory)
            throw HullException.Invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
        if (settings.NetworkEgress is not (0 or -1) and < MinimumRate || settings.NetworkIngress is not (0 or -1) and < MinimumRate)
            throw HullException.Invalid($"invalid network rate: the least is {MinimumRate} bits per second, and -1 is no limit");
        if (settings.NanoCpus < 0) throw HullException.Invalid("invalid number of processors: it cannot be negative");
        if (settings.NanoCpus > 0 && settings.CpuPeriod > 0)
            throw HullException.Invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
        if (settings.NanoCpus > 0 && settings.CpuQuota > 0)
            throw HullException.Invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        if (settings.NanoCpus > Environment.ProcessorCount * 1_000_000_000L)
            throw HullException.Invalid($"range of CPUs is from 0.01 to {Environment.ProcessorCount}.00, as there are only {Environment.ProcessorCount} CPUs available");
        if (settings.BlkioWeight is not 0 and (< 10 or > 1000))
            throw HullException.Invalid("Range of blkio weight is from 10 to 1000");
    }

    /// <summary>-1 takes a limit away, which the engine writes as 0.</summary>
    private static long? Rate(long value) => value switch { 0 => null, -1 => 0, _ => value };

    private static long? NullIfZero(long value) => value == 0 ? null : value;

    private static IReadOnlyList<DeviceRate> Rates(List<ThrottleDevice>? devices) =>
        [.. (devices ?? []).Select(d => new DeviceRate(d.Path ?? "", d.Rate))];

    private static List<ThrottleDevice> Rates(IReadOnlyList<DeviceRate> devices) =>
        [.. devices.Select(d => new ThrottleDevice { Path = d.Path, Rate = d.Rate })];
}
