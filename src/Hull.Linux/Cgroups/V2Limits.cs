using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>Writes limits into the files of version 2, converting what the spec has in units of version 1.</summary>
internal sealed class V2Limits(string directory, bool rootless)
{
    /// <param name="fresh">The cgroup was made just now: it has no device program.</param>
    internal void Write(CgroupLimits limits, bool fresh)
    {
        if (limits.NetworkClass is not null || limits.NetworkPriorities.Count > 0)
        {
            throw HullException.Unsupported("network class and priorities need cgroup v1; this machine has v2");
        }

        if (limits.Cpu is { } cpu) WriteCpu(cpu);
        if (limits.Memory is { } memory) WriteMemory(memory);
        if (limits.Pids is { } pids) Set("pids.max", Number.OrMax(pids));
        if (limits.BlockIo is { } blockIo) WriteBlockIo(blockIo);
        foreach (var page in limits.HugePages) WriteHugePages(page);
        foreach (var rdma in limits.Rdma) Set("rdma.max", RdmaLine.Text(rdma));
        foreach (var (file, text) in limits.Unified) WriteUnified(file, text);
        if (limits.Devices is { } devices) WriteDevices(DevicePolicy.Of(devices), fresh);
    }

    /// <summary>Writes a value; a file that is not there means its controller is not enabled here.</summary>
    private void Set(string file, string text)
    {
        var errno = CgroupFile.TryWrite(directory + "/" + file, text);
        if (errno == Errno.None) return;
        if (errno is Errno.ENOENT or Errno.EACCES && !CgroupFile.IsThere(directory + "/" + file))
        {
            throw HullException.Unsupported(
                $"{file} is not to be had in {directory}: its controller is not enabled or delegated here");
        }

        throw Check.Failure(errno, $"write \"{text}\" to {directory}/{file}");
    }

    private void WriteCpu(CpuLimits cpu)
    {
        if (cpu.RealtimeRuntime is not null || cpu.RealtimePeriod is not null)
        {
            throw HullException.Unsupported("realtime scheduling limits need cgroup v1; this machine has v2");
        }

        if (!string.IsNullOrEmpty(cpu.Cpus)) Set("cpuset.cpus", cpu.Cpus);
        if (!string.IsNullOrEmpty(cpu.MemoryNodes)) Set("cpuset.mems", cpu.MemoryNodes);
        if (cpu.Idle is { } idle) Set("cpu.idle", Number.Text(idle));
        // An idle cgroup has no weight to set.
        if (cpu.Shares is { } shares && cpu.Idle is not 1) Set("cpu.weight", Number.Text(CpuWeight(shares)));
        WriteQuota(cpu);
    }

    /// <summary>A burst must not exceed the quota, so a smaller one goes before it and a larger one after.</summary>
    private void WriteQuota(CpuLimits cpu)
    {
        var burst = cpu.Burst is { } value ? Number.Text(value) : null;
        var burstDone = burst is null || CgroupFile.TryWrite(directory + "/cpu.max.burst", burst) == Errno.None;
        if (cpu.Quota is not null || cpu.Period is not null)
        {
            var current = cpu.Quota is null ? Number.Parse((CgroupFile.TryRead(directory, "cpu.max") ?? "max").Split(' ')[0]) : 0;
            var quota = cpu.Quota is { } microseconds ? Number.OrMax(microseconds)
                : current == ulong.MaxValue ? "max" : Number.Text(current);
            // Without a period the kernel keeps the one it has.
            Set("cpu.max", cpu.Period is { } period ? $"{quota} {period}" : quota);
        }

        if (!burstDone) Set("cpu.max.burst", burst!);
    }

    /// <summary>
    /// Shares (2…262144, usually 1024) as weight (1…10000, usually 100): a curve through (2, 1), (1024, 100) and
    /// (262144, 10000), as the OCI runtimes agreed on, so that the usual value stays the usual value.
    /// </summary>
    internal static ulong CpuWeight(ulong shares)
    {
        if (shares <= 2) return 1;
        if (shares >= 262144) return 10000;
        var log = Math.Log2(shares);
        return (ulong)Math.Ceiling(Math.Pow(10, (log * log + 125 * log) / 612.0 - 7.0 / 34.0));
    }

    private void WriteMemory(MemoryLimits memory)
    {
        if (memory.Swappiness is not null) throw HullException.Unsupported("memory swappiness of a cgroup needs cgroup v1; this machine has v2");
        if (memory.KernelTcp is not null) throw HullException.Unsupported("a limit of kernel TCP memory needs cgroup v1; this machine has v2");
        if (memory.DisableOomKiller == true) throw HullException.Unsupported("disabling the OOM killer needs cgroup v1; this machine has v2");
        if (memory is { CheckBeforeUpdate: true, Limit: >= 0 }) RefuseBelowUsage(memory);

        var swap = SwapLimit(memory);
        if (swap is { } value) WriteSwap(value);
        if (memory.Limit is { } limit) Set("memory.max", Number.OrMax(limit));
        if (memory.Reservation is { } reservation) Set("memory.low", Number.OrMax(reservation));
    }

    /// <summary>A kernel without swap accounting has no such file; no limit or no swap is what it does anyway.</summary>
    private void WriteSwap(long value)
    {
        if (value <= 0 && !CgroupFile.IsThere(directory + "/memory.swap.max")) return;
        Set("memory.swap.max", Number.OrMax(value));
    }

    /// <summary>Version 1 counts memory and swap together, version 2 swap alone.</summary>
    internal static long? SwapLimit(MemoryLimits memory)
    {
        if (memory.Swap is not { } both) return memory.Limit is -1 ? -1 : null;
        if (both == -1) return -1;
        if (memory.Limit is not ({ } limit and >= 0)) throw HullException.Invalid("unable to set swap limit without memory limit");
        if (both < limit) throw HullException.Invalid($"memory+swap limit of {both} should be >= the memory limit of {limit}");
        return both - limit;
    }

    private void RefuseBelowUsage(MemoryLimits memory)
    {
        var usage = Number.Read(directory, "memory.current");
        if ((ulong)memory.Limit!.Value < usage)
        {
            throw HullException.Conflict($"rejecting memory limit {memory.Limit}, because current usage is {usage}");
        }

        if (memory.Swap is not ({ } both and >= 0)) return;
        var swap = Number.Read(directory, "memory.swap.current");
        if ((ulong)both < usage + swap)
        {
            throw HullException.Conflict($"rejecting memory+swap limit {both}, because current usage is {usage + swap}");
        }
    }

    private void WriteBlockIo(BlockIoLimits limits)
    {
        if (limits.LeafWeight is not null) throw HullException.Unsupported("leaf weights of block devices need cgroup v1; this machine has v2");
        var hasBfq = CgroupFile.IsThere(directory + "/io.bfq.weight");
        if (limits.Weight is { } weight) SetWeight("", weight);
        foreach (var device in limits.DeviceWeights)
        {
            if (device.LeafWeight is not null) throw HullException.Unsupported("leaf weights of block devices need cgroup v1; this machine has v2");
            if (device.Weight is { } own) SetWeight($"{device.Major}:{device.Minor} ", own);
        }

        Throttle("rbps", limits.ReadBytesPerSecond);
        Throttle("wbps", limits.WriteBytesPerSecond);
        Throttle("riops", limits.ReadOperationsPerSecond);
        Throttle("wiops", limits.WriteOperationsPerSecond);

        void SetWeight(string device, ushort weight)
        {
            if (hasBfq) Set("io.bfq.weight", $"{device}{weight}");
            else Set("io.weight", $"{(device == "" ? "default " : device)}{IoWeight(weight)}");
        }

        void Throttle(string name, IReadOnlyList<DeviceThrottle> devices)
        {
            foreach (var device in devices)
            {
                Set("io.max", $"{device.Major}:{device.Minor} {name}={(device.Rate == 0 ? "max" : Number.Text(device.Rate))}");
            }
        }
    }

    /// <summary>blkio weight (10…1000) as io.weight (1…10000), linear.</summary>
    internal static ulong IoWeight(ushort weight) => weight <= 10 ? 1 : 1 + (weight - 10UL) * 9999 / 990;

    private void WriteHugePages(HugePageLimit page)
    {
        Set($"hugetlb.{page.PageSize}.max", Number.Text(page.Limit));
        var reserved = $"hugetlb.{page.PageSize}.rsvd.max";
        if (CgroupFile.IsThere(directory + "/" + reserved)) Set(reserved, Number.Text(page.Limit));
    }

    private void WriteUnified(string file, string text)
    {
        if (file.Contains('/') || !file.Contains('.')) throw HullException.Invalid($"unified resource '{file}' must be a file name of cgroup v2");
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries)) Set(file, line);
    }

    private void WriteDevices(DevicePolicy policy, bool fresh)
    {
        if (policy is { AllowsByDefault: true, Exceptions.Count: 0 } && fresh) return;
        try
        {
            DeviceProgram.Attach(directory, policy, fresh);
        }
        catch (HullException error) when (rootless && error.Kind == ErrorKind.PermissionDenied)
        {
            // A user without CAP_BPF cannot filter devices, and cannot make any beyond those bound from outside either.
        }
    }
}
