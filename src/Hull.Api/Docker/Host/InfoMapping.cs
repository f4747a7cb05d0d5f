using System.Globalization;
using Hull.Engine.Drivers;
using Hull.Engine;
using Hull.Engine.Workloads;
using Hull.Images.Distribution;
using Hull.Protocol;

namespace Hull.Api.Docker.Host;

/// <summary>What <c>docker info</c> shows.</summary>
internal static class InfoMapping
{
    private static readonly string[] LogDrivers = ["journald", "json-file", "local", "none", "syslog"];

    public static InfoAnswer ToInfo(ApiServices services)
    {
        var engine = services.Engine;
        var options = engine.Options;
        var counts = engine.Workloads.Counts;
        int Count(params ReadOnlySpan<WorkloadStatus> statuses)
        {
            var sum = 0;
            foreach (var status in statuses) sum += counts.TryGetValue(status, out var count) ? count : 0;
            return sum;
        }

        var info = new InfoAnswer
        {
            ID = services.EngineId,
            Containers = counts.Values.Sum(),
            ContainersRunning = Count(WorkloadStatus.Running, WorkloadStatus.Restarting),
            ContainersPaused = Count(WorkloadStatus.Paused),
            ContainersStopped = Count(WorkloadStatus.Exited, WorkloadStatus.Created, WorkloadStatus.Dead, WorkloadStatus.Removing),
            Images = services.Images.List().Count,
            Driver = Containers.InspectMapping.SnapshotterName,
            DriverStatus = [["Snapshotter", services.Images.Snapshotter.GetType().Name.Replace("Snapshotter", "", StringComparison.Ordinal).ToLowerInvariant()]],
            SystemTime = Timestamps.Format(services.Clock.GetUtcNow()),
            LoggingDriver = options.DefaultLogDriver,
            DockerRootDir = options.DataRoot,
            DefaultRuntime = options.DefaultRuntime,
            Isolation = options.DefaultIsolation,
            Labels = options.Labels,
            LiveRestoreEnabled = options.KeepWorkloadsOnShutdown,
            Debug = services.Debug,
        };
        Host(info);
        info.Runtimes["hull"] = new RuntimeInfo { Path = "hull-runtime" };
        foreach (var (name, runtime) in options.Runtimes) info.Runtimes[name] = new RuntimeInfo { Path = runtime.Path, RuntimeArgs = runtime.Arguments.Count > 0 ? runtime.Arguments : null };
        info.Plugins = new PluginNames { Log = LogDrivers };
        info.RegistryConfig = Registries(services.Registries());
        info.Isolations = Isolations(engine.Drivers);
        if (info.Isolations.ContainsKey("vm")) info.Runtimes["vm"] = new RuntimeInfo { Path = "hull-shim" };
        info.SecurityOptions = SecurityOptions(options);
        info.Warnings = services.Warnings();
        return info;
    }

    private static void Host(InfoAnswer info)
    {
        info.Name = Environment.MachineName;
        info.KernelVersion = HostFacts.KernelRelease;
        info.OperatingSystem = HostFacts.OperatingSystem;
        info.OSVersion = HostFacts.OperatingSystemVersion;
        info.Architecture = HostFacts.Machine;
        info.NCPU = Environment.ProcessorCount;
        info.MemTotal = HostFacts.TotalMemory;
        info.ServerVersion = EngineVersion.Reported;
        info.CgroupDriver = "cgroupfs";
        info.CgroupVersion = HostFacts.CgroupsUnified ? "2" : "1";
        info.MemoryLimit = info.SwapLimit = info.CpuCfsPeriod = info.CpuCfsQuota = info.CPUShares = info.CPUSet = info.PidsLimit = true;
        info.OomKillDisable = !HostFacts.CgroupsUnified;
        info.IPv4Forwarding = HostFacts.Ipv4Forwarding;
        info.NFd = Directory.Exists("/proc/self/fd") ? Directory.GetFiles("/proc/self/fd").Length : 0;
        info.NGoroutines = ThreadPool.ThreadCount;
    }

    private static Protocol.RegistrySettings Registries(RegistriesConfig config)
    {
        var settings = new Protocol.RegistrySettings();
        settings.IndexConfigs["docker.io"] = new RegistryIndex { Name = "docker.io", Official = true, Mirrors = config.For("docker.io").Mirrors };
        settings.Mirrors = config.For("docker.io").Mirrors.Count > 0 ? config.For("docker.io").Mirrors : null;
        foreach (var (name, registry) in config.Registries)
        {
            if (name != RegistriesConfig.Default)
                settings.IndexConfigs[name] = new RegistryIndex { Name = name, Secure = !registry.Insecure, Mirrors = registry.Mirrors, Official = name == "docker.io" };
        }

        return settings;
    }

    private static SortedDictionary<string, IsolationInfo> Isolations(IReadOnlyDictionary<string, IInstanceDriver> drivers)
    {
        var isolations = new SortedDictionary<string, IsolationInfo>(StringComparer.Ordinal);
        foreach (var (name, driver) in drivers)
        {
            var info = new IsolationInfo { Facts = driver.Describe() };
            info.Supported = [.. driver.Capabilities.All.Where(c => c.Value.Supported).Select(c => c.Key.ToString()).Order(StringComparer.Ordinal)];
            foreach (var (capability, status) in driver.Capabilities.All)
            {
                if (!status.Supported) info.Unsupported[capability.ToString()] = status.Reason ?? "";
            }

            isolations[name] = info;
        }

        return isolations;
    }

    private static IReadOnlyList<string> SecurityOptions(EngineOptions options)
    {
        var profile = options.SeccompProfile;
        var list = new List<string> { string.Create(CultureInfo.InvariantCulture, $"name=seccomp,profile={(profile is null ? "builtin" : profile == "unconfined" ? "unconfined" : "custom")}") };
        if (File.Exists("/sys/kernel/security/apparmor/profiles")) list.Insert(0, "name=apparmor");
        if (options.UserNamespaceRemap is not null) list.Add("name=userns");
        if (HostFacts.CgroupsUnified) list.Add("name=cgroupns");
        return list;
    }
}
