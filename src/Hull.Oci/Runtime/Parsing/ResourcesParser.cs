namespace Hull.Oci.Runtime.Parsing;

/// <summary>Reads limits of cgroups (config-linux.md, "Control groups"). Members this version does not know are left out, as the specification wants.</summary>
internal static class ResourcesParser
{
    internal static ResourcesSpec? Resources(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources")) return null;
        var result = new ResourcesSpec();
        while (json.Next())
        {
            if (json.Is("devices"u8)) result = result with { Devices = json.List("linux.resources.devices", DeviceRule) };
            else if (json.Is("memory"u8)) result = result with { Memory = Memory(ref json) };
            else if (json.Is("cpu"u8)) result = result with { Cpu = Cpu(ref json) };
            else if (json.Is("pids"u8)) result = result with { Pids = Pids(ref json) };
            else if (json.Is("blockIO"u8)) result = result with { BlockIO = BlockIo(ref json) };
            else if (json.Is("hugepageLimits"u8)) result = result with { HugepageLimits = json.List("linux.resources.hugepageLimits", HugePageLimit) };
            else if (json.Is("network"u8)) result = result with { Network = Network(ref json) };
            else if (json.Is("rdma"u8)) result = result with { Rdma = json.Map("linux.resources.rdma", Rdma) };
            else if (json.Is("unified"u8)) result = result with { Unified = json.TextMap("linux.resources.unified") };
            else json.Skip();
        }

        return result;
    }

    internal static DeviceCgroupSpec? DeviceRule(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.devices")) return null;
        var result = new DeviceCgroupSpec();
        while (json.Next())
        {
            if (json.Is("allow"u8)) result = result with { Allow = json.Flag("linux.resources.devices.allow") };
            else if (json.Is("type"u8)) result = result with { Type = json.Text("linux.resources.devices.type") };
            else if (json.Is("major"u8)) result = result with { Major = json.Signed("linux.resources.devices.major") };
            else if (json.Is("minor"u8)) result = result with { Minor = json.Signed("linux.resources.devices.minor") };
            else if (json.Is("access"u8)) result = result with { Access = json.Text("linux.resources.devices.access") };
            else json.Skip();
        }

        return result;
    }

    internal static MemorySpec? Memory(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.memory")) return null;
        var result = new MemorySpec();
        while (json.Next())
        {
            if (json.Is("limit"u8)) result = result with { Limit = json.Signed("linux.resources.memory.limit") };
            else if (json.Is("reservation"u8)) result = result with { Reservation = json.Signed("linux.resources.memory.reservation") };
            else if (json.Is("swap"u8)) result = result with { Swap = json.Signed("linux.resources.memory.swap") };
            else if (json.Is("kernel"u8)) result = result with { Kernel = json.Signed("linux.resources.memory.kernel") };
            else if (json.Is("kernelTCP"u8)) result = result with { KernelTCP = json.Signed("linux.resources.memory.kernelTCP") };
            else if (json.Is("swappiness"u8)) result = result with { Swappiness = json.Unsigned("linux.resources.memory.swappiness") };
            else if (json.Is("disableOOMKiller"u8)) result = result with { DisableOOMKiller = json.OptionalFlag("linux.resources.memory.disableOOMKiller") };
            else if (json.Is("useHierarchy"u8)) result = result with { UseHierarchy = json.OptionalFlag("linux.resources.memory.useHierarchy") };
            else if (json.Is("checkBeforeUpdate"u8)) result = result with { CheckBeforeUpdate = json.OptionalFlag("linux.resources.memory.checkBeforeUpdate") };
            else json.Skip();
        }

        return result;
    }

    internal static CpuSpec? Cpu(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.cpu")) return null;
        var result = new CpuSpec();
        while (json.Next())
        {
            if (json.Is("shares"u8)) result = result with { Shares = json.Unsigned("linux.resources.cpu.shares") };
            else if (json.Is("quota"u8)) result = result with { Quota = json.Signed("linux.resources.cpu.quota") };
            else if (json.Is("burst"u8)) result = result with { Burst = json.Unsigned("linux.resources.cpu.burst") };
            else if (json.Is("period"u8)) result = result with { Period = json.Unsigned("linux.resources.cpu.period") };
            else if (json.Is("realtimeRuntime"u8)) result = result with { RealtimeRuntime = json.Signed("linux.resources.cpu.realtimeRuntime") };
            else if (json.Is("realtimePeriod"u8)) result = result with { RealtimePeriod = json.Unsigned("linux.resources.cpu.realtimePeriod") };
            else if (json.Is("cpus"u8)) result = result with { Cpus = json.Text("linux.resources.cpu.cpus") };
            else if (json.Is("mems"u8)) result = result with { Mems = json.Text("linux.resources.cpu.mems") };
            else if (json.Is("idle"u8)) result = result with { Idle = json.Signed("linux.resources.cpu.idle") };
            else json.Skip();
        }

        return result;
    }

    internal static PidsSpec? Pids(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.pids")) return null;
        var result = new PidsSpec();
        while (json.Next())
        {
            if (json.Is("limit"u8)) result = result with { Limit = json.Signed("linux.resources.pids.limit") };
            else json.Skip();
        }

        return result;
    }

    internal static BlockIoSpec? BlockIo(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.blockIO")) return null;
        var result = new BlockIoSpec();
        while (json.Next())
        {
            if (json.Is("weight"u8)) result = result with { Weight = json.UInt16("linux.resources.blockIO.weight") };
            else if (json.Is("leafWeight"u8)) result = result with { LeafWeight = json.UInt16("linux.resources.blockIO.leafWeight") };
            else if (json.Is("weightDevice"u8)) result = result with { WeightDevice = json.List("linux.resources.blockIO.weightDevice", WeightDevice) };
            else if (json.Is("throttleReadBpsDevice"u8)) result = result with { ThrottleReadBpsDevice = json.List("linux.resources.blockIO.throttleReadBpsDevice", ThrottleDevice) };
            else if (json.Is("throttleWriteBpsDevice"u8)) result = result with { ThrottleWriteBpsDevice = json.List("linux.resources.blockIO.throttleWriteBpsDevice", ThrottleDevice) };
            else if (json.Is("throttleReadIOPSDevice"u8)) result = result with { ThrottleReadIOPSDevice = json.List("linux.resources.blockIO.throttleReadIOPSDevice", ThrottleDevice) };
            else if (json.Is("throttleWriteIOPSDevice"u8)) result = result with { ThrottleWriteIOPSDevice = json.List("linux.resources.blockIO.throttleWriteIOPSDevice", ThrottleDevice) };
            else json.Skip();
        }

        return result;
    }

    internal static WeightDeviceSpec? WeightDevice(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.blockIO.weightDevice")) return null;
        var result = new WeightDeviceSpec();
        while (json.Next())
        {
            if (json.Is("major"u8)) result = result with { Major = json.Signed("linux.resources.blockIO.weightDevice.major") ?? 0 };
            else if (json.Is("minor"u8)) result = result with { Minor = json.Signed("linux.resources.blockIO.weightDevice.minor") ?? 0 };
            else if (json.Is("weight"u8)) result = result with { Weight = json.UInt16("linux.resources.blockIO.weightDevice.weight") };
            else if (json.Is("leafWeight"u8)) result = result with { LeafWeight = json.UInt16("linux.resources.blockIO.weightDevice.leafWeight") };
            else json.Skip();
        }

        return result;
    }

    internal static ThrottleDeviceSpec? ThrottleDevice(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.blockIO.throttle")) return null;
        var result = new ThrottleDeviceSpec();
        while (json.Next())
        {
            if (json.Is("major"u8)) result = result with { Major = json.Signed("linux.resources.blockIO.throttle.major") ?? 0 };
            else if (json.Is("minor"u8)) result = result with { Minor = json.Signed("linux.resources.blockIO.throttle.minor") ?? 0 };
            else if (json.Is("rate"u8)) result = result with { Rate = json.Unsigned("linux.resources.blockIO.throttle.rate") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static HugePageLimitSpec? HugePageLimit(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.hugepageLimits")) return null;
        var result = new HugePageLimitSpec();
        while (json.Next())
        {
            if (json.Is("pageSize"u8)) result = result with { PageSize = json.Text("linux.resources.hugepageLimits.pageSize") };
            else if (json.Is("limit"u8)) result = result with { Limit = json.Unsigned("linux.resources.hugepageLimits.limit") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static NetworkSpec? Network(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.network")) return null;
        var result = new NetworkSpec();
        while (json.Next())
        {
            if (json.Is("classID"u8)) result = result with { ClassId = json.UInt32("linux.resources.network.classID") };
            else if (json.Is("priorities"u8)) result = result with { Priorities = json.List("linux.resources.network.priorities", InterfacePriority) };
            else json.Skip();
        }

        return result;
    }

    internal static InterfacePrioritySpec? InterfacePriority(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.network.priorities")) return null;
        var result = new InterfacePrioritySpec();
        while (json.Next())
        {
            if (json.Is("name"u8)) result = result with { Name = json.Text("linux.resources.network.priorities.name") };
            else if (json.Is("priority"u8)) result = result with { Priority = json.UInt32("linux.resources.network.priorities.priority") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static RdmaSpec? Rdma(ref DocumentReader json)
    {
        if (!json.Enter("linux.resources.rdma")) return null;
        var result = new RdmaSpec();
        while (json.Next())
        {
            if (json.Is("hcaHandles"u8)) result = result with { HcaHandles = json.UInt32("linux.resources.rdma.hcaHandles") };
            else if (json.Is("hcaObjects"u8)) result = result with { HcaObjects = json.UInt32("linux.resources.rdma.hcaObjects") };
            else json.Skip();
        }

        return result;
    }
}
