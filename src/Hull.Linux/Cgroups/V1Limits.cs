using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>Writes limits into the files of version 1, each in the order the kernel takes them.</summary>
internal sealed class V1Limits(V1Cgroup cgroup, bool rootless)
{
    private const ulong LeastShares = 2;
    private const ulong MostShares = 262144;

    /// <param name="fresh">The cgroup was made just now and has no process.</param>
    internal void Write(CgroupLimits limits, bool fresh)
    {
        if (limits.Unified.Count > 0)
        {
            throw HullException.Unsupported($"invalid configuration: unified resource '{limits.Unified[0].Key}' needs cgroup v2; this machine has v1");
        }

        if (limits.Cpu is { } cpu) WriteCpu(cpu);
        if (limits.Memory is { } memory) WriteMemory(memory);
        if (limits.Pids is { } pids) CgroupFile.Write(Need("pids", "a limit of tasks"), "pids.max", Number.OrMax(pids));
        if (limits.BlockIo is { } blockIo) WriteBlockIo(blockIo);
        foreach (var page in limits.HugePages) WriteHugePages(page);
        WriteNetwork(limits);
        foreach (var rdma in limits.Rdma) CgroupFile.Write(Need("rdma", "an RDMA limit"), "rdma.max", RdmaLine.Text(rdma));
        if (limits.Devices is { } devices) WriteDevices(DevicePolicy.Of(devices), fresh);
    }

    private string Need(string controller, string purpose) => cgroup.DirectoryOf(controller) ?? throw HullException.Unsupported(
        rootless
            ? $"{purpose} needs the {controller} cgroup controller, which this user may not write; delegate it or run as root"
            : $"{purpose} needs the {controller} cgroup controller, which is not mounted");

    private void WriteCpu(CpuLimits cpu)
    {
        if (!string.IsNullOrEmpty(cpu.Cpus)) CgroupFile.Write(Need("cpuset", "placement on CPUs"), "cpuset.cpus", cpu.Cpus);
        if (!string.IsNullOrEmpty(cpu.MemoryNodes)) CgroupFile.Write(Need("cpuset", "placement on nodes"), "cpuset.mems", cpu.MemoryNodes);
        if (cpu is { Shares: null, Quota: null, Period: null, Burst: null, RealtimeRuntime: null, RealtimePeriod: null, Idle: null }) return;

        var directory = Need("cpu", "a CPU limit");
        if (cpu.RealtimePeriod is { } realtimePeriod) CgroupFile.Write(directory, "cpu.rt_period_us", (long)realtimePeriod);
        if (cpu.RealtimeRuntime is { } realtimeRuntime) CgroupFile.Write(directory, "cpu.rt_runtime_us", realtimeRuntime);
        if (cpu.Shares is { } shares) WriteShares(directory, shares);
        WriteQuota(directory, cpu);
        if (cpu.Idle is { } idle) CgroupFile.Write(directory, "cpu.idle", idle);
    }

    /// <summary>The kernel clamps what is out of range without a word; a limit that is not the one asked for is an error.</summary>
    private static void WriteShares(string directory, ulong shares)
    {
        if (shares < LeastShares) throw HullException.Invalid($"cpu shares of {shares}: the minimum allowed cpu-shares is {LeastShares}");
        if (shares > MostShares) throw HullException.Invalid($"cpu shares of {shares}: the maximum allowed cpu-shares is {MostShares}");
        CgroupFile.Write(directory, "cpu.shares", (long)shares);
    }

    /// <summary>
    /// Each single write must leave a combination the kernel accepts, so what fails at first is tried again after the
    /// other value; a burst must not exceed the quota, so a smaller one goes before and a larger one after.
    /// </summary>
    private static void WriteQuota(string directory, CpuLimits cpu)
    {
        var burst = cpu.Burst is { } value ? Number.Text(value) : null;
        var burstDone = burst is null || CgroupFile.TryWrite(directory + "/cpu.cfs_burst_us", burst) == Errno.None;
        var period = cpu.Period is { } microseconds ? Number.Text(microseconds) : null;
        var periodDone = period is null || CgroupFile.TryWrite(directory + "/cpu.cfs_period_us", period) == Errno.None;
        if (cpu.Quota is { } quota) CgroupFile.Write(directory, "cpu.cfs_quota_us", quota);
        if (!periodDone) CgroupFile.Write(directory, "cpu.cfs_period_us", period);
        if (!burstDone) CgroupFile.Write(directory, "cpu.cfs_burst_us", burst);
    }

    private void WriteMemory(MemoryLimits memory)
    {
        var directory = Need("memory", "a memory limit");
        WriteLimitAndSwap(directory, memory);
        if (memory.Reservation is { } reservation) CgroupFile.Write(directory, "memory.soft_limit_in_bytes", reservation);
        if (memory.KernelTcp is { } tcp) CgroupFile.Write(directory, "memory.kmem.tcp.limit_in_bytes", tcp);
        if (memory.DisableOomKiller == true) CgroupFile.Write(directory, "memory.oom_control", 1);
        if (memory.Swappiness is not { } swappiness) return;
        if (swappiness > 100) throw HullException.Invalid($"memory swappiness of {swappiness}: use 0 to 100");
        CgroupFile.Write(directory, "memory.swappiness", (long)swappiness);
    }

    /// <summary>memory.memsw may never be below memory: a growing pair starts with memsw, a shrinking one with memory.</summary>
    private static void WriteLimitAndSwap(string directory, MemoryLimits memory)
    {
        const string LimitFile = "memory.limit_in_bytes";
        const string SwapFile = "memory.memsw.limit_in_bytes";
        // No limit of memory with a limit of both makes no sense: none of the one is none of both.
        var swap = memory is { Limit: -1, Swap: null } && CgroupFile.IsThere(directory + "/" + SwapFile) ? -1 : memory.Swap;
        if (memory.Limit is not { } limit)
        {
            if (swap is { } only) CgroupFile.Write(directory, SwapFile, only);
            return;
        }

        if (swap is not { } both)
        {
            WriteLimit(directory, limit);
            return;
        }

        if (both >= 0 && (limit < 0 || both < limit))
        {
            throw HullException.Invalid($"memory+swap limit of {both} should be >= the memory limit of {limit}");
        }

        var current = Number.Read(directory, LimitFile);
        if (both == -1 || current < (ulong)both)
        {
            CgroupFile.Write(directory, SwapFile, both);
            WriteLimit(directory, limit);
        }
        else
        {
            WriteLimit(directory, limit);
            CgroupFile.Write(directory, SwapFile, both);
        }
    }

    private static void WriteLimit(string directory, long limit)
    {
        var path = directory + "/memory.limit_in_bytes";
        var errno = CgroupFile.TryWrite(path, Number.Text(limit));
        if (errno == Errno.EBUSY)
        {
            throw HullException.Conflict($"unable to set memory limit to {limit} (current usage: "
                + $"{Number.Read(directory, "memory.usage_in_bytes")}, peak usage: {Number.Read(directory, "memory.max_usage_in_bytes")})");
        }

        if (errno != Errno.None) throw Check.Failure(errno, $"write \"{limit}\" to {path}");
    }

    private void WriteBlockIo(BlockIoLimits limits)
    {
        var directory = Need("blkio", "a block device limit");
        // CFQ's files are gone since Linux 5.0; BFQ's have their own names.
        var prefix = CgroupFile.IsThere(directory + "/blkio.weight") ? "blkio." : "blkio.bfq.";
        if (limits.Weight is { } weight) CgroupFile.Write(directory, prefix + "weight", weight);
        if (limits.LeafWeight is { } leaf) CgroupFile.Write(directory, "blkio.leaf_weight", leaf);
        foreach (var device in limits.DeviceWeights)
        {
            if (device.Weight is { } own) CgroupFile.Write(directory, prefix + "weight_device", $"{device.Major}:{device.Minor} {own}");
            if (device.LeafWeight is { } leafOwn) CgroupFile.Write(directory, "blkio.leaf_weight_device", $"{device.Major}:{device.Minor} {leafOwn}");
        }

        Throttle("blkio.throttle.read_bps_device", limits.ReadBytesPerSecond);
        Throttle("blkio.throttle.write_bps_device", limits.WriteBytesPerSecond);
        Throttle("blkio.throttle.read_iops_device", limits.ReadOperationsPerSecond);
        Throttle("blkio.throttle.write_iops_device", limits.WriteOperationsPerSecond);

        void Throttle(string file, IReadOnlyList<DeviceThrottle> devices)
        {
            foreach (var device in devices) CgroupFile.Write(directory, file, $"{device.Major}:{device.Minor} {device.Rate}");
        }
    }

    private void WriteHugePages(HugePageLimit page)
    {
        var directory = Need("hugetlb", "a limit of huge pages");
        CgroupFile.Write(directory, $"hugetlb.{page.PageSize}.limit_in_bytes", Number.Text(page.Limit));
        var reserved = $"hugetlb.{page.PageSize}.rsvd.limit_in_bytes";
        if (CgroupFile.IsThere(directory + "/" + reserved)) CgroupFile.Write(directory, reserved, Number.Text(page.Limit));
    }

    private void WriteNetwork(CgroupLimits limits)
    {
        if (limits.NetworkClass is { } id) CgroupFile.Write(Need("net_cls", "a network class"), "net_cls.classid", id);
        foreach (var priority in limits.NetworkPriorities)
        {
            CgroupFile.Write(Need("net_prio", "a network priority"), "net_prio.ifpriomap", $"{priority.Interface} {priority.Priority}");
        }
    }

    /// <summary>
    /// Moves from the policy in force to the wanted one by the differences only, so that a running container at no moment
    /// loses a device it keeps.
    /// </summary>
    private void WriteDevices(DevicePolicy wanted, bool fresh)
    {
        if (cgroup.DirectoryOf("devices") is not { } directory)
        {
            if (rootless) return;
            throw HullException.Unsupported("device rules need the devices cgroup controller, which is not mounted");
        }

        var current = fresh ? null : DevicePolicy.ParseList(CgroupFile.Read(directory, "devices.list"));
        // A list that allows by default hides its exceptions, so it cannot be told apart from another one: start anew.
        var restart = current is null || current.AllowsByDefault || wanted.AllowsByDefault;
        if (restart) CgroupFile.Write(directory, wanted.AllowsByDefault ? "devices.allow" : "devices.deny", "a");
        var old = restart ? new Dictionary<DeviceKey, DeviceAccess>() : current!.Exceptions;

        var (grant, revoke) = wanted.AllowsByDefault ? ("devices.deny", "devices.allow") : ("devices.allow", "devices.deny");
        foreach (var (key, access) in wanted.Exceptions) Change(grant, key, access & ~old.GetValueOrDefault(key));
        foreach (var (key, access) in old) Change(revoke, key, access & ~wanted.Exceptions.GetValueOrDefault(key));

        void Change(string file, DeviceKey key, DeviceAccess access)
        {
            if (access != DeviceAccess.None) CgroupFile.Write(directory, file, $"{key} {DevicePolicy.Text(access)}");
        }
    }
}

/// <summary>Lines of rdma.max and rdma.current.</summary>
internal static class RdmaLine
{
    internal static string Text(RdmaLimit limit) =>
        limit.Device
        + (limit.Handles is { } handles ? $" hca_handle={handles}" : "")
        + (limit.Objects is { } objects ? $" hca_object={objects}" : "");

    internal static IReadOnlyList<RdmaStats> Parse(string? text)
    {
        var entries = new List<RdmaStats>();
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(' ');
            entries.Add(new RdmaStats(fields[0], Value("hca_handle="), Value("hca_object=")));

            uint Value(string name)
            {
                foreach (var field in fields)
                {
                    if (field.StartsWith(name, StringComparison.Ordinal)) return (uint)Math.Min(uint.MaxValue, Number.Parse(field.AsSpan(name.Length)));
                }

                return 0;
            }
        }

        return entries;
    }
}
