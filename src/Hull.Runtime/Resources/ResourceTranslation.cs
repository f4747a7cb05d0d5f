using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Resources;

/// <summary>
/// From <c>linux.resources</c> of a spec to what cgroups enforce. Where engines write 0 for "not set", as runc's own types
/// have it, 0 leaves the kernel's value.
/// </summary>
public static class ResourceTranslation
{
    /// <summary>
    /// Rules every container gets after its own (config-linux.md, "Default Devices"): it may make any node, and use the
    /// devices that every container has. Without them a container whose rules deny all could not even be set up.
    /// </summary>
    private static readonly DeviceRule[] AlwaysAllowed =
    [
        new(true, DeviceKind.Character, null, null, DeviceAccess.MakeNode),
        new(true, DeviceKind.Block, null, null, DeviceAccess.MakeNode),
        Character(1, 3), // null
        Character(1, 5), // zero
        Character(1, 7), // full
        Character(1, 8), // random
        Character(1, 9), // urandom
        Character(5, 0), // tty
        Character(5, 1), // console
        Character(5, 2), // ptmx
        Character(136, null), // pts
    ];

    private static DeviceRule Character(long major, long? minor) => new(true, DeviceKind.Character, major, minor, DeviceAccess.All);

    /// <summary>Limits of a new container: all the spec says, and a device policy in any case.</summary>
    public static CgroupLimits ForCreate(ResourcesSpec? resources) => Common(resources ?? new ResourcesSpec()) with
    {
        Devices = [.. (resources?.Devices ?? []).Select(Rule), .. AlwaysAllowed],
    };

    /// <summary>Limits to change on a running container; device rules stay as they are.</summary>
    public static CgroupLimits ForUpdate(ResourcesSpec resources) => Common(resources);

    private static CgroupLimits Common(ResourcesSpec resources) => new()
    {
        Memory = resources.Memory is { } memory ? Memory(memory) : null,
        Cpu = resources.Cpu is { } cpu ? Cpu(cpu) : null,
        Pids = NotZero(resources.Pids?.Limit),
        BlockIo = resources.BlockIO is { } blockIo ? BlockIo(blockIo) : null,
        HugePages = [.. (resources.HugepageLimits ?? []).Select(HugePages)],
        NetworkClass = resources.Network?.ClassId is { } id and not 0 ? id : null,
        NetworkPriorities = [.. (resources.Network?.Priorities ?? []).Select(priority =>
            new NetworkPriority(priority.Name ?? throw Missing("network.priorities.name"), priority.Priority))],
        Rdma = [.. (resources.Rdma ?? new Dictionary<string, RdmaSpec>()).Select(pair =>
            new RdmaLimit(pair.Key, pair.Value.HcaHandles, pair.Value.HcaObjects))],
        Unified = [.. resources.Unified ?? new Dictionary<string, string>()],
    };

    private static MemoryLimits? Memory(MemorySpec memory)
    {
        var limits = new MemoryLimits
        {
            Limit = Bytes(memory.Limit, "limit"),
            Reservation = Bytes(memory.Reservation, "reservation"),
            Swap = Bytes(memory.Swap, "swap"),
            KernelTcp = Bytes(memory.KernelTCP, "kernelTCP"),
            Swappiness = memory.Swappiness,
            DisableOomKiller = memory.DisableOOMKiller,
            UseHierarchy = memory.UseHierarchy,
            CheckBeforeUpdate = memory.CheckBeforeUpdate == true,
        };
        var isEmpty = limits is { Limit: null, Reservation: null, Swap: null, KernelTcp: null, Swappiness: null, DisableOomKiller: not true };
        return isEmpty ? null : limits;
    }

    private static long? Bytes(long? value, string name) => value is < -1
        ? throw HullException.Invalid($"linux.resources.memory.{name} is {value}: use bytes, or -1 for no limit")
        : NotZero(value);

    private static CpuLimits? Cpu(CpuSpec cpu)
    {
        var limits = new CpuLimits
        {
            Shares = NotZero(cpu.Shares),
            Quota = NotZero(cpu.Quota),
            Period = NotZero(cpu.Period),
            Burst = cpu.Burst,
            RealtimeRuntime = NotZero(cpu.RealtimeRuntime),
            RealtimePeriod = NotZero(cpu.RealtimePeriod),
            Cpus = NotEmpty(cpu.Cpus),
            MemoryNodes = NotEmpty(cpu.Mems),
            Idle = cpu.Idle,
        };
        return limits == new CpuLimits() ? null : limits;
    }

    private static BlockIoLimits? BlockIo(BlockIoSpec blockIo)
    {
        var limits = new BlockIoLimits
        {
            Weight = NotZero(blockIo.Weight),
            LeafWeight = NotZero(blockIo.LeafWeight),
            DeviceWeights = [.. (blockIo.WeightDevice ?? []).Select(device =>
                new DeviceWeight(device.Major, device.Minor, NotZero(device.Weight), NotZero(device.LeafWeight)))],
            ReadBytesPerSecond = Throttles(blockIo.ThrottleReadBpsDevice),
            WriteBytesPerSecond = Throttles(blockIo.ThrottleWriteBpsDevice),
            ReadOperationsPerSecond = Throttles(blockIo.ThrottleReadIOPSDevice),
            WriteOperationsPerSecond = Throttles(blockIo.ThrottleWriteIOPSDevice),
        };
        var isEmpty = limits is
        {
            Weight: null, LeafWeight: null, DeviceWeights.Count: 0, ReadBytesPerSecond.Count: 0, WriteBytesPerSecond.Count: 0,
            ReadOperationsPerSecond.Count: 0, WriteOperationsPerSecond.Count: 0,
        };
        return isEmpty ? null : limits;
    }

    private static IReadOnlyList<DeviceThrottle> Throttles(IReadOnlyList<ThrottleDeviceSpec>? devices) =>
        [.. (devices ?? []).Select(device => new DeviceThrottle(device.Major, device.Minor, device.Rate))];

    private static HugePageLimit HugePages(HugePageLimitSpec page)
    {
        var size = page.PageSize ?? throw Missing("hugepageLimits.pageSize");
        var isSize = size.Length > 2 && size[..^2].All(char.IsAsciiDigit) && size[^2..] is "KB" or "MB" or "GB";
        return isSize
            ? new HugePageLimit(size, page.Limit)
            : throw HullException.Invalid($"linux.resources.hugepageLimits.pageSize '{size}' is no size such as 64KB, 2MB or 1GB");
    }

    private static DeviceRule Rule(DeviceCgroupSpec rule)
    {
        var kind = rule.Type switch
        {
            null or "" or "a" => DeviceKind.All,
            "b" => DeviceKind.Block,
            "c" or "u" => DeviceKind.Character,
            _ => throw HullException.Invalid($"linux.resources.devices.type '{rule.Type}' is not known: use a, b or c"),
        };
        return new DeviceRule(rule.Allow, kind, Wildcard(rule.Major), Wildcard(rule.Minor), Access(rule.Access));
    }

    private static long? Wildcard(long? number) => number is null or -1 ? null
        : number < -1 ? throw HullException.Invalid($"linux.resources.devices has the device number {number}: use 0 and above, or -1 for any")
        : number;

    private static DeviceAccess Access(string? text)
    {
        var access = DeviceAccess.None;
        foreach (var letter in text ?? "rwm")
        {
            access |= letter switch
            {
                'r' => DeviceAccess.Read,
                'w' => DeviceAccess.Write,
                'm' => DeviceAccess.MakeNode,
                // Not of the specification, but found in configurations: runc takes it and means nothing by it.
                'a' => DeviceAccess.None,
                _ => throw HullException.Invalid($"linux.resources.devices.access '{text}' has the letter '{letter}': use r, w and m"),
            };
        }

        return access == DeviceAccess.None ? DeviceAccess.All : access;
    }

    private static HullException Missing(string name) => HullException.Invalid($"linux.resources.{name} is missing");

    private static long? NotZero(long? value) => value is 0 ? null : value;

    private static ulong? NotZero(ulong? value) => value is 0 ? null : value;

    private static ushort? NotZero(ushort? value) => value is 0 ? null : value;

    private static string? NotEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
