using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers;

/// <summary>The engine's limits in the words of the OCI runtime-spec.</summary>
public static class LimitTranslation
{
    /// <summary>Microseconds of the period that <see cref="ResourceLimits.NanoCpus"/> is a quota of.</summary>
    private const long Period = 100_000;

    public static ResourcesSpec ToSpec(ResourceLimits limits) => new()
    {
        Cpu = ToCpu(limits),
        Memory = ToMemory(limits),
        Pids = limits.PidsLimit is { } pids ? new PidsSpec { Limit = pids <= 0 ? -1 : pids } : null,
        BlockIO = ToBlockIo(limits),
        Unified = limits.Unified.Count == 0 ? null : limits.Unified,
    };

    /// <summary>The limits after an update: what the update does not name stays.</summary>
    public static ResourceLimits Merge(ResourceLimits old, ResourceLimits update) => old with
    {
        CpuShares = update.CpuShares ?? old.CpuShares,
        NanoCpus = update.NanoCpus ?? (update.CpuQuota is null ? old.NanoCpus : null),
        CpuQuota = update.CpuQuota ?? (update.NanoCpus is null ? old.CpuQuota : null),
        CpuPeriod = update.CpuPeriod ?? (update.NanoCpus is null ? old.CpuPeriod : null),
        CpuRealtimePeriod = update.CpuRealtimePeriod ?? old.CpuRealtimePeriod,
        CpuRealtimeRuntime = update.CpuRealtimeRuntime ?? old.CpuRealtimeRuntime,
        CpusetCpus = update.CpusetCpus ?? old.CpusetCpus,
        CpusetMems = update.CpusetMems ?? old.CpusetMems,
        Memory = update.Memory ?? old.Memory,
        MemorySwap = update.MemorySwap ?? old.MemorySwap,
        MemoryReservation = update.MemoryReservation ?? old.MemoryReservation,
        KernelMemory = update.KernelMemory ?? old.KernelMemory,
        MemorySwappiness = update.MemorySwappiness ?? old.MemorySwappiness,
        PidsLimit = update.PidsLimit ?? old.PidsLimit,
        BlkioWeight = update.BlkioWeight ?? old.BlkioWeight,
        BlkioWeightDevice = update.BlkioWeightDevice.Count > 0 ? update.BlkioWeightDevice : old.BlkioWeightDevice,
        ReadBytesPerSecond = update.ReadBytesPerSecond.Count > 0 ? update.ReadBytesPerSecond : old.ReadBytesPerSecond,
        WriteBytesPerSecond = update.WriteBytesPerSecond.Count > 0 ? update.WriteBytesPerSecond : old.WriteBytesPerSecond,
        ReadOperationsPerSecond = update.ReadOperationsPerSecond.Count > 0 ? update.ReadOperationsPerSecond : old.ReadOperationsPerSecond,
        WriteOperationsPerSecond = update.WriteOperationsPerSecond.Count > 0 ? update.WriteOperationsPerSecond : old.WriteOperationsPerSecond,
        NetworkIngressBits = update.NetworkIngressBits ?? old.NetworkIngressBits,
        NetworkEgressBits = update.NetworkEgressBits ?? old.NetworkEgressBits,
        CpuReservation = update.CpuReservation ?? old.CpuReservation,
        Priority = update.Priority ?? old.Priority,
        Unified = update.Unified.Count > 0 ? update.Unified : old.Unified,
    };

    private static CpuSpec? ToCpu(ResourceLimits limits)
    {
        var quota = limits.NanoCpus is > 0 and var nano ? nano * Period / 1_000_000_000 : limits.CpuQuota;
        var period = limits.NanoCpus is > 0 ? Period : limits.CpuPeriod;
        var cpu = new CpuSpec
        {
            Shares = limits.CpuShares is > 0 and var shares ? (ulong)shares : SharesFor(limits.CpuReservation),
            Quota = quota is null or 0 ? null : quota,
            Period = period is > 0 and var microseconds ? (ulong)microseconds : null,
            RealtimePeriod = limits.CpuRealtimePeriod is > 0 and var realtime ? (ulong)realtime : null,
            RealtimeRuntime = limits.CpuRealtimeRuntime is 0 ? null : limits.CpuRealtimeRuntime,
            Cpus = limits.CpusetCpus is { Length: > 0 } ? limits.CpusetCpus : null,
            Mems = limits.CpusetMems is { Length: > 0 } ? limits.CpusetMems : null,
        };
        return cpu == new CpuSpec() ? null : cpu;
    }

    /// <summary>
    /// The weight that makes a reservation good where no other was asked for: each processor of it weighs as much as ten busy
    /// instances that reserve nothing. What is reserved altogether is never more than there is, so that nobody who reserves gets less.
    /// </summary>
    private static ulong? SharesFor(long? nanoCpus) =>
        nanoCpus is > 0 and var reserved ? (ulong)Math.Clamp(reserved * 10 * 1024 / 1_000_000_000, 1024, 262144) : null;

    private static MemorySpec? ToMemory(ResourceLimits limits)
    {
        var memory = limits.Memory is null or 0 ? null : limits.Memory;
        var memorySpec = new MemorySpec
        {
            Limit = memory,
            // As with Docker: memory alone allows as much swap again; the sum is what cgroup v1 counts.
            Swap = limits.MemorySwap is null or 0 ? memory > 0 ? memory * 2 : memory : limits.MemorySwap,
            Reservation = limits.MemoryReservation is null or 0 ? null : limits.MemoryReservation,
            Swappiness = limits.MemorySwappiness is >= 0 and var swappiness ? (ulong)swappiness : null,
        };
        return memorySpec == new MemorySpec() ? null : memorySpec;
    }

    private static BlockIoSpec? ToBlockIo(ResourceLimits limits)
    {
        var spec = new BlockIoSpec
        {
            Weight = limits.BlkioWeight is > 0 and var weight ? (ushort)weight : null,
            WeightDevice = Null(limits.BlkioWeightDevice, device =>
            {
                var (major, minor) = Device(device.Path);
                return new WeightDeviceSpec { Major = major, Minor = minor, Weight = (ushort)device.Weight };
            }),
            ThrottleReadBpsDevice = Null(limits.ReadBytesPerSecond, ToThrottle),
            ThrottleWriteBpsDevice = Null(limits.WriteBytesPerSecond, ToThrottle),
            ThrottleReadIOPSDevice = Null(limits.ReadOperationsPerSecond, ToThrottle),
            ThrottleWriteIOPSDevice = Null(limits.WriteOperationsPerSecond, ToThrottle),
        };
        return spec == new BlockIoSpec() ? null : spec;
    }

    private static ThrottleDeviceSpec ToThrottle(DeviceRate rate)
    {
        var (major, minor) = Device(rate.Path);
        return new ThrottleDeviceSpec { Major = major, Minor = minor, Rate = (ulong)rate.Rate };
    }

    private static List<TOut>? Null<TIn, TOut>(IReadOnlyList<TIn> list, Func<TIn, TOut> convert) =>
        list.Count == 0 ? null : [.. list.Select(convert)];

    private static (long Major, long Minor) Device(string path)
    {
        if (!Path.Exists(path)) throw HullException.Invalid($"{path} is not a device of this machine");
        using var handle = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH), $"open device {path}");
        var status = handle.Stat();
        if (status.Kind != FileKind.BlockDevice) throw HullException.Invalid($"{path} is not a block device");
        return (status.Represents.Major, status.Represents.Minor);
    }
}
