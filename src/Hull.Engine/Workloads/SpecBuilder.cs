using System.Globalization;
using System.Text.Json;
using Hull.Core;
using Hull.Engine.Security;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Engine.Workloads;

/// <summary>What the builder needs to know beside the record: what was prepared for this start.</summary>
internal sealed record StartContext
{
    public required EngineOptions Options { get; init; }
    public required WorkloadRecord Record { get; init; }
    public string? NetworkNamespace { get; init; }
    public bool HostNetwork { get; init; }

    /// <summary>Path of the prepared user namespace; null leaves it to the runtime to make one, where the workload has one.</summary>
    public string? UserNamespace { get; init; }
    public string Hostname { get; init; } = "";
    public string? HostsPath { get; init; }
    public string? ResolvConfPath { get; init; }
    public string? HostnamePath { get; init; }

    /// <summary>Mounts with their sources on the host, by target.</summary>
    public IReadOnlyList<MountPoint> Mounts { get; init; } = [];

    /// <summary>Pid of the init whose namespace is joined, by namespace type (<c>pid</c>, <c>ipc</c>, <c>uts</c>).</summary>
    public IReadOnlyDictionary<string, int> Joined { get; init; } = new Dictionary<string, int>();

    /// <summary>Where the shared memory of a joined ipc namespace is mounted; null without one.</summary>
    public string? SharedMemory { get; init; }

    /// <summary>The init program to put before the workload's; null for none.</summary>
    public string? InitProgram { get; init; }
}

/// <summary>Makes the OCI spec of a workload: its own settings over the defaults of a well-kept container.</summary>
internal static partial class SpecBuilder
{
    private const string DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>Where the init program appears inside.</summary>
    public const string InitTarget = "/sbin/hull-init";

    /// <summary>What tells about the machine or reaches into it.</summary>
    private static readonly string[] s_masked =
    [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ];

    private static readonly string[] s_readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    public static Spec Build(StartContext context)
    {
        var config = context.Record.Config;
        var security = config.Security;
        var capabilities = CapabilitySets.Resolve(security.Privileged, security.CapabilitiesAdd, security.CapabilitiesDrop);
        return new Spec
        {
            OciVersion = "1.0.2",
            Hostname = config.Namespaces.Uts == "host" || context.Joined.ContainsKey("uts") ? null : context.Hostname,
            Domainname = config.Namespaces.Uts == "host" || config.Networking.DomainName is null or "" ? null : config.Networking.DomainName,
            Process = BuildProcess(context, capabilities),
            Mounts = BuildMounts(context),
            Annotations = config.Annotations.Count == 0 ? null : config.Annotations,
            Linux = new LinuxSpec
            {
                CgroupsPath = $"{CgroupParentOf(config, context.Options)}/{context.Record.Id}",
                Resources = BuildResources(config),
                Namespaces = BuildNamespaces(context),
                UidMappings = context.Record.UserMap?.Users,
                GidMappings = context.Record.UserMap?.Groups,
                Devices = BuildDevices(config),
                Sysctl = config.Sysctls.Count == 0 ? null : config.Sysctls,
                Seccomp = BuildSeccomp(context, capabilities),
                RootfsPropagation = config.Mounts.Any(mount => mount.Propagation is "rshared" or "shared" or "rslave" or "slave") ? "rslave" : "rprivate",
                MaskedPaths = security.Privileged ? null : security.MaskedPaths ?? s_masked,
                ReadonlyPaths = security.Privileged ? null : security.ReadOnlyPaths ?? s_readOnly,
            },
        };
    }

    private static string CgroupParentOf(WorkloadConfig config, EngineOptions options) =>
        config.CgroupParent is { Length: > 0 } parent ? "/" + parent.Trim('/')
        : config.Group is { } group ? $"{options.CgroupParent}/{Resources.ResourceGroup.CgroupPrefix}{group}"
        : options.CgroupParent;

    private static ProcessSpec BuildProcess(StartContext context, IReadOnlyList<string> capabilities)
    {
        var (config, process) = (context.Record.Config, context.Record.Process);
        IReadOnlyList<string> arguments = context.InitProgram is null ? process.Arguments : [InitTarget, "--", .. process.Arguments];
        return new ProcessSpec
        {
            Terminal = config.Process.Terminal,
            ConsoleSize = config.Process is { Columns: > 0, Rows: > 0 }
                ? new ConsoleSize { Width = (uint)config.Process.Columns, Height = (uint)config.Process.Rows }
                : null,
            Args = arguments,
            Env = BuildEnvironment(context),
            Cwd = process.WorkingDirectory,
            Capabilities = CapabilitySets.ToSpec(capabilities),
            Rlimits = BuildLimits(config, context.Options),
            NoNewPrivileges = config.Security.NoNewPrivileges || (context.Options.NoNewPrivileges && !config.Security.Privileged),
            ApparmorProfile = config.Security.AppArmor is null or "unconfined" or "" ? null : config.Security.AppArmor,
            // Always said: what is not said is inherited from the shim, which protects itself.
            OomScoreAdj = config.OomScoreAdjust ?? OomScore.Own,
        };
    }

    private static List<string> BuildEnvironment(StartContext context)
    {
        var environment = new List<string>();
        var given = context.Record.Process.Environment;
        if (!given.Any(variable => variable.StartsWith("PATH=", StringComparison.Ordinal))) environment.Add(DefaultPath);
        environment.Add("HOSTNAME=" + context.Hostname);
        if (context.Record.Config.Process.Terminal && !given.Any(variable => variable.StartsWith("TERM=", StringComparison.Ordinal)))
            environment.Add("TERM=xterm");
        foreach (var variable in given)
        {
            var name = variable.Split('=')[0] + "=";
            environment.RemoveAll(other => other.StartsWith(name, StringComparison.Ordinal));
            environment.Add(variable);
        }

        return environment;
    }

    /// <summary>
    /// Limits above the engine's own hard limits need CAP_SYS_RESOURCE; where it is missing they are lowered to what there is
    /// rather than failing the start.
    /// </summary>
    private static List<RlimitSpec>? BuildLimits(WorkloadConfig config, EngineOptions options)
    {
        var wanted = config.Ulimits.Concat(options.DefaultUlimits.Where(limit => config.Ulimits.All(own => own.Name != limit.Name)));
        var limits = new List<RlimitSpec>();
        foreach (var limit in wanted)
        {
            var number = Ulimits.Number(limit.Name);
            var hard = limit.Hard < 0 ? ulong.MaxValue : (ulong)limit.Hard;
            if (!CapabilitySets.All.Contains("CAP_SYS_RESOURCE") && ProcessCalls.GetLimit(0, number, out var own) >= 0) hard = Math.Min(hard, own.rlim_max);
            limits.Add(new RlimitSpec
            {
                Type = "RLIMIT_" + limit.Name.ToUpperInvariant(),
                Hard = hard,
                Soft = Math.Min(limit.Soft < 0 ? ulong.MaxValue : (ulong)limit.Soft, hard),
            });
        }

        return limits.Count == 0 ? null : limits;
    }

    private static List<NamespaceSpec> BuildNamespaces(StartContext context)
    {
        var modes = context.Record.Config.Namespaces;
        var namespaces = new List<NamespaceSpec> { new() { Type = "mount" } };
        if (context.Record.UserMap is not null) namespaces.Add(new NamespaceSpec { Type = "user", Path = context.UserNamespace });
        Add("pid", modes.Pid);
        Add("ipc", modes.Ipc ?? context.Options.DefaultIpc);
        Add("uts", modes.Uts);
        var cgroup = modes.Cgroup ?? (context.Record.Config.Security.Privileged && Linux.Cgroups.CgroupManager.Version == Linux.Cgroups.CgroupVersion.V1
            ? "host" : context.Options.DefaultCgroupNamespace);
        if (cgroup != "host") namespaces.Add(new NamespaceSpec { Type = "cgroup" });
        if (!context.HostNetwork) namespaces.Add(new NamespaceSpec { Type = "network", Path = context.NetworkNamespace });
        return namespaces;

        void Add(string type, string? mode)
        {
            if (context.Joined.TryGetValue(type, out var pid)) namespaces.Add(new NamespaceSpec { Type = type, Path = $"/proc/{pid}/ns/{type}" });
            else if (mode != "host") namespaces.Add(new NamespaceSpec { Type = type });
        }
    }

    private static SeccompSpec? BuildSeccomp(StartContext context, IReadOnlyList<string> capabilities)
    {
        if (context.Record.Config.Security.Privileged) return null;
        return (context.Record.Config.Security.Seccomp ?? context.Options.SeccompProfile) switch
        {
            null or "" or "default" or "builtin" => DefaultSeccomp.For(capabilities),
            "unconfined" => null,
            var json => SeccompProfile.Parse(json, capabilities),
        };
    }
}

/// <summary>The engine's own adjustment, which its instances get unless told otherwise.</summary>
internal static class OomScore
{
    /// <summary>Never below the engine's: that needs CAP_SYS_RESOURCE, and 0 is what users expect.</summary>
    public static int Own { get; } = Math.Max(0, Read());

    private static int Read() =>
        int.TryParse(System.Text.Encoding.ASCII.GetString(AtomicFile.Read("/proc/self/oom_score_adj", 64)).Trim(),
            CultureInfo.InvariantCulture, out var value) ? value : 0;
}

/// <summary>Names of setrlimit(2) as ulimit options write them.</summary>
internal static class Ulimits
{
    private static readonly string[] s_names =
    [
        "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue", "nice",
        "rtprio", "rttime",
    ];

    /// <summary>The resource's number; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static int Number(string name)
    {
        var index = Array.IndexOf(s_names, name.ToLowerInvariant());
        return index >= 0 ? index : throw HullException.Invalid($"unknown ulimit '{name}': expected one of {string.Join(", ", s_names)}");
    }
}
