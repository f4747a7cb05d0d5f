using Hull.Core;

namespace Hull.Engine.Workloads;

/// <summary>Refuses what contradicts itself before anything is made, and tells what does less than one may expect.</summary>
internal static class ConfigValidation
{
    private const long LeastMemory = 6L << 20;
    private static readonly string[] s_policies = ["", "no", "always", "unless-stopped", "on-failure"];
    private static readonly string[] s_mountTypes = ["bind", "volume", "tmpfs", "image"];
    private static readonly string[] s_propagations = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

    public static void Check(WorkloadConfig config, EngineOptions options)
    {
        CheckResources(config);
        CheckRestart(config.Restart, config.AutoRemove);
        foreach (var mount in config.Mounts) CheckMount(mount);
        foreach (var group in config.Mounts.GroupBy(mount => mount.Target.TrimEnd('/')))
        {
            if (group.Count() > 1) throw HullException.Invalid($"duplicate mount point: {group.Key}");
        }

        foreach (var limit in config.Ulimits) _ = Ulimits.Number(limit.Name);
        foreach (var variable in config.Process.Environment)
        {
            if (variable.StartsWith('=') || variable.Length == 0) throw HullException.Invalid($"invalid environment variable: {variable}");
        }

        if (config.Process.StopSignal is { Length: > 0 } signal) _ = Signals.Parse(signal);
        _ = Users.UserNamespaceMode.Parse(config.Namespaces.User);
        if (config.OomScoreAdjust is < -1000 or > 1000) throw HullException.Invalid("oom score adjustment must be between -1000 and 1000");
        if (config.ShmSize is < 0) throw HullException.Invalid("the size of /dev/shm must be positive");
        CheckNetworking(config);
        if (config.RootDirectory is { } root && !root.StartsWith('/')) throw HullException.Invalid($"root directory '{root}' must be absolute");
        if (config.RootDirectory is not null && config.Image.Length > 0) throw HullException.Invalid("a workload has an image or a root directory, not both");
        if (config.Health is { OnFailure: not ("none" or "restart" or "stop" or "kill" or "") } health)
            throw HullException.Invalid($"invalid health failure action '{health.OnFailure}': use none, restart, stop or kill");
        _ = options;
    }

    /// <summary>Also for updates.</summary>
    public static void CheckRestart(RestartPolicy restart, bool autoRemove)
    {
        if (!s_policies.Contains(restart.Name)) throw HullException.Invalid($"invalid restart policy '{restart.Name}': use no, always, unless-stopped or on-failure");
        if (restart.MaximumRetries != 0 && restart.Name != "on-failure")
            throw HullException.Invalid("maximum retry count cannot be used with restart policy '" + restart.Name + "'");
        if (restart.MaximumRetries < 0) throw HullException.Invalid("maximum retry count cannot be negative");
        if (autoRemove && restart.Name is not ("" or "no")) throw HullException.Invalid("can't create 'AutoRemove' container with restart policy");
    }

    public static void CheckMount(MountConfig mount)
    {
        if (!s_mountTypes.Contains(mount.Type)) throw HullException.Invalid($"mount type '{mount.Type}' unknown: use bind, volume, tmpfs or image");
        if (!mount.Target.StartsWith('/')) throw HullException.Invalid($"invalid mount path: '{mount.Target}' mount path must be absolute");
        if (mount.Target.TrimEnd('/').Length == 0) throw HullException.Invalid("invalid mount: destination can't be '/'");
        if (mount.Type == "bind" && !mount.Source.StartsWith('/')) throw HullException.Invalid($"invalid mount path: '{mount.Source}' mount path must be absolute");
        if (mount.Type == "image" && mount.Source.Length == 0) throw HullException.Invalid("invalid mount config for type \"image\": source is missing");
        if (mount.Propagation is { Length: > 0 } propagation && !s_propagations.Contains(propagation))
            throw HullException.Invalid($"invalid propagation '{propagation}': use {string.Join(", ", s_propagations)}");
        if (mount.Subpath is { } subpath && (subpath.StartsWith('/') || subpath.Split('/').Contains("..")))
            throw HullException.Invalid($"invalid subpath '{subpath}': it must be relative and stay inside");
    }

    public static IEnumerable<string> Warnings(WorkloadConfig config)
    {
        if (config.Resources.KernelMemory is > 0) yield return "kernel memory limits are ignored: the kernel no longer has them";
        if (config.Security.Privileged && config.Security.Seccomp is { Length: > 0 } and not "unconfined")
            yield return "the seccomp profile is ignored for a privileged container";
        if (config.Networking.Mode is "host" && config.Networking.Ports.Count > 0) yield return "published ports are discarded when using host network mode";
    }

    private static void CheckResources(WorkloadConfig config)
    {
        var limits = config.Resources;
        Resources.LimitChecks.Check(limits);
        if (config.Group is not null && config.CgroupParent is { Length: > 0 })
            throw HullException.Invalid($"conflicting options: group '{config.Group}' has a cgroup of its own, so no cgroup parent can be given");
        if (limits.Memory is > 0 and < LeastMemory) throw HullException.Invalid("minimum memory limit allowed is 6MB");
        if (limits.Memory is > 0 && limits.MemorySwap is > 0 && limits.MemorySwap < limits.Memory)
            throw HullException.Invalid("minimum memoryswap limit should be larger than memory limit, see usage");
        if (limits.Memory is null or 0 && limits.MemorySwap is > 0)
            throw HullException.Invalid("you should always set the memory limit when using memoryswap limit, see usage");
        if (limits.MemoryReservation is > 0 && limits.Memory is > 0 && limits.Memory < limits.MemoryReservation)
            throw HullException.Invalid("minimum memory limit can not be less than memory reservation limit, see usage");
        if (limits.MemorySwappiness is < -1 or > 100) throw HullException.Invalid("memory swappiness must be between 0 and 100");
        if (limits.NanoCpus is > 0 && (limits.CpuQuota is > 0 || limits.CpuPeriod is > 0))
            throw HullException.Invalid("conflicting options: Nano CPUs and CPU Period or Quota cannot both be set");
        if (limits.NanoCpus is > 0 and var nano && nano > Environment.ProcessorCount * 1_000_000_000L)
            throw HullException.Invalid($"range of CPUs is from 0.01 to {Environment.ProcessorCount}.00, as there are only {Environment.ProcessorCount} CPUs available");
        if (limits.CpuPeriod is > 0 and (< 1000 or > 1_000_000)) throw HullException.Invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
        if (limits.CpuQuota is > 0 and < 1000) throw HullException.Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        if (limits.BlkioWeight is > 0 and (< 10 or > 1000)) throw HullException.Invalid("range of blkio weight is from 10 to 1000");
    }

    private static void CheckNetworking(WorkloadConfig config)
    {
        var mode = config.Networking.Mode ?? "";
        if (mode is "host" or "none" && config.Networking.Networks.Keys.Any(name => name != mode && name != "default"))
            throw HullException.Invalid($"conflicting options: network mode '{mode}' cannot be combined with further networks");
        if (!mode.StartsWith("container:", StringComparison.Ordinal)) return;
        if (config.Networking.Hostname is { Length: > 0 }) throw HullException.Invalid("conflicting options: hostname and the network mode");
        if (config.Networking.Ports.Count > 0 || config.Networking.PublishAll)
            throw HullException.Invalid("conflicting options: port publishing and the container type network mode");
        if (config.Networking.ExtraHosts.Count > 0) throw HullException.Invalid("conflicting options: custom host-to-IP mapping and the network mode");
        if (config.Networking.Dns.Count > 0) throw HullException.Invalid("conflicting options: dns and the network mode");
    }
}
