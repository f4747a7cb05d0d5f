using System.Globalization;
using System.Text.Json;
using Hull.Engine;
using Hull.Engine.Workloads;
using Hull.Protocol;
using NetworkSettings = Hull.Protocol.NetworkSettings;

namespace Hull.Api.Docker.Containers;

/// <summary>Shows a workload as Docker's clients expect to see a container: no member they read is ever missing.</summary>
internal static class InspectMapping
{
    private static readonly string[] MaskedPaths =
    [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
        "/sys/devices/virtual/powercap", "/sys/firmware",
    ];

    private static readonly string[] ReadonlyPaths =
        ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    public static ContainerInspect ToInspect(WorkloadSnapshot workload, EngineOptions options)
    {
        var request = RequestOf(workload);
        var arguments = workload.Process.Arguments;
        return new ContainerInspect
        {
            Id = workload.Id,
            Created = Timestamps.Format(workload.CreatedAt),
            Path = arguments.Count > 0 ? arguments[0] : "",
            Args = [.. arguments.Skip(1)],
            State = State(workload),
            Image = workload.ImageId,
            ResolvConfPath = workload.ResolvConfPath,
            HostnamePath = workload.HostnamePath,
            HostsPath = workload.HostsPath,
            LogPath = workload.LogPath,
            Name = "/" + workload.Name,
            RestartCount = workload.State.RestartCount,
            Driver = SnapshotterName,
            Platform = workload.Platform.Split('/')[0],
            AppArmorProfile = workload.Config.Security.AppArmor ?? "",
            ExecIds = workload.ExecIds.Count == 0 ? null : workload.ExecIds,
            HostConfig = Host(workload, request, options),
            GraphDriver = new GraphDriver { Name = SnapshotterName },
            SizeRw = workload.SizeRw,
            SizeRootFs = workload.SizeRoot,
            Mounts = [.. workload.Mounts.Select(Mount)],
            Config = Config(workload, request),
            NetworkSettings = Networks(workload),
            Isolation = workload.Isolation,
        };
    }

    /// <summary>The storage driver's name for clients that show it.</summary>
    public const string SnapshotterName = "overlay2";

    public static ContainerState State(WorkloadSnapshot workload)
    {
        var state = workload.State;
        return new ContainerState
        {
            Status = StatusName(state.Status),
            Running = state.Status is WorkloadStatus.Running or WorkloadStatus.Paused or WorkloadStatus.Restarting,
            Paused = state.Status == WorkloadStatus.Paused,
            Restarting = state.Status == WorkloadStatus.Restarting,
            OOMKilled = state.OutOfMemory,
            Dead = state.Status == WorkloadStatus.Dead,
            Pid = state.ProcessId,
            ExitCode = state.ExitCode,
            Error = state.Error,
            StartedAt = Timestamps.Format(state.StartedAt),
            FinishedAt = Timestamps.Format(state.FinishedAt),
            Health = Health(state.Health),
        };
    }

    public static string StatusName(WorkloadStatus status) => status switch
    {
        WorkloadStatus.Created => "created",
        WorkloadStatus.Running => "running",
        WorkloadStatus.Paused => "paused",
        WorkloadStatus.Restarting => "restarting",
        WorkloadStatus.Removing => "removing",
        WorkloadStatus.Exited => "exited",
        _ => "dead",
    };

    public static MountPointInfo Mount(MountPoint mount) => new()
    {
        Type = mount.Type,
        Name = mount.Name.Length > 0 ? mount.Name : null,
        Source = mount.Source,
        Destination = mount.Target,
        Driver = mount.Driver.Length > 0 ? mount.Driver : null,
        Mode = mount.Mode,
        RW = !mount.ReadOnly,
        Propagation = mount.Propagation,
    };

    public static EndpointSettings Attachment(AttachmentState state) => new()
    {
        IPAMConfig = Addressing(state.Config),
        Links = state.Config.Links.Count > 0 ? state.Config.Links : null,
        Aliases = state.Config.Aliases.Count > 0 ? state.Config.Aliases : null,
        MacAddress = state.MacAddress,
        DriverOpts = state.Config.DriverOptions.Count > 0 ? new Dictionary<string, string>(state.Config.DriverOptions) : null,
        GwPriority = state.Config.GatewayPriority ?? 0,
        NetworkID = state.NetworkId,
        EndpointID = state.EndpointId,
        Gateway = state.Gateway,
        IPAddress = state.IpAddress,
        IPPrefixLen = state.PrefixLength,
        IPv6Gateway = state.Ipv6Gateway,
        GlobalIPv6Address = state.Ipv6Address,
        GlobalIPv6PrefixLen = state.Ipv6PrefixLength,
        DNSNames = state.DnsNames.Count > 0 ? state.DnsNames : null,
    };

    private static ContainerCreateRequest RequestOf(WorkloadSnapshot workload)
    {
        if (!workload.Config.EdgeData.TryGetValue(CreateMapping.EdgeName, out var text)) return new ContainerCreateRequest();
        try
        {
            return JsonSerializer.Deserialize(text, DockerJson.Wire.ContainerCreateRequest) ?? new ContainerCreateRequest();
        }
        catch (JsonException)
        {
            return new ContainerCreateRequest();
        }
    }

    private static HealthReport? Health(HealthState? health) => health is null ? null : new HealthReport
    {
        Status = health.Status,
        FailingStreak = health.FailingStreak,
        Log = [.. health.Log.Select(p => new HealthResult
        {
            Start = Timestamps.Format(p.Start),
            End = Timestamps.Format(p.End),
            ExitCode = p.ExitCode,
            Output = p.Output,
        })],
    };

    private static ContainerConfig Config(WorkloadSnapshot workload, ContainerCreateRequest request)
    {
        var process = workload.Process;
        var config = workload.Config;
        var networking = config.Networking;
        return new ContainerConfig
        {
            Hostname = networking.Hostname ?? (networking.Mode == "host" ? Environment.MachineName : workload.Id[..Math.Min(12, workload.Id.Length)]),
            Domainname = networking.DomainName ?? "",
            User = process.User,
            AttachStdin = request.AttachStdin,
            AttachStdout = request.AttachStdout,
            AttachStderr = request.AttachStderr,
            ExposedPorts = process.ExposedPorts.Count > 0 ? new SortedSet<string>(process.ExposedPorts, StringComparer.Ordinal) : null,
            Tty = config.Process.Terminal,
            OpenStdin = config.Process.OpenInput,
            StdinOnce = config.Process.InputOnce,
            Env = process.Environment,
            Cmd = process.Command.Count > 0 ? process.Command : null,
            Healthcheck = Healthcheck(process.Health),
            Image = config.Image,
            Volumes = process.AnonymousVolumes.Count > 0 ? new SortedSet<string>(process.AnonymousVolumes, StringComparer.Ordinal) : request.Volumes,
            WorkingDir = process.WorkingDirectory == "/" ? config.Process.WorkingDirectory ?? "" : process.WorkingDirectory,
            Entrypoint = process.Entrypoint.Count > 0 ? process.Entrypoint : null,
            NetworkDisabled = request.NetworkDisabled,
            MacAddress = networking.MacAddress,
            Labels = new Dictionary<string, string>(workload.Labels),
            StopSignal = config.Process.StopSignal ?? (process.StopSignal == "SIGTERM" ? null : process.StopSignal),
            StopTimeout = config.Process.StopTimeout,
        };
    }

    private static HealthcheckConfig? Healthcheck(HealthConfig? health) => health is null ? null : new HealthcheckConfig
    {
        Test = health.Test,
        Interval = health.Interval.Ticks * 100,
        Timeout = health.Timeout.Ticks * 100,
        StartPeriod = health.StartPeriod.Ticks * 100,
        StartInterval = health.StartInterval.Ticks * 100,
        Retries = health.Retries,
        OnFailure = health.OnFailure == "none" ? null : health.OnFailure,
    };

    /// <summary>What was asked for, with what holds now in its place.</summary>
    private static HostConfig Host(WorkloadSnapshot workload, ContainerCreateRequest request, EngineOptions options)
    {
        var config = workload.Config;
        var host = request.HostConfig ?? new HostConfig();
        ResourceMapping.Show(config.Resources, host);
        host.NetworkMode = config.Networking.Mode ?? "bridge";
        host.PortBindings = PortBindings(config.Networking.Ports);
        host.RestartPolicy = new Protocol.RestartPolicy { Name = config.Restart.Name, MaximumRetryCount = config.Restart.MaximumRetries };
        host.LogConfig = new Protocol.LogConfig { Type = workload.LogDriver, Config = new Dictionary<string, string>(workload.LogOptions) };
        host.AutoRemove = config.AutoRemove;
        host.Privileged = config.Security.Privileged;
        host.ReadonlyRootfs = config.Security.ReadOnlyRoot;
        host.PublishAllPorts = config.Networking.PublishAll;
        host.Runtime = config.Runtime ?? options.DefaultRuntime;
        host.Isolation = config.Isolation ?? host.Isolation ?? "";
        host.Group = config.Group;
        host.IpcMode = config.Namespaces.Ipc ?? options.DefaultIpc;
        host.CgroupnsMode = config.Namespaces.Cgroup ?? (config.Security.Privileged ? "host" : options.DefaultCgroupNamespace);
        host.PidMode ??= "";
        host.UTSMode ??= "";
        host.UsernsMode ??= "";
        host.ShmSize = config.ShmSize ?? options.DefaultShmSize;
        FillEmpty(host, config);
        return host;
    }

    private static void FillEmpty(HostConfig host, WorkloadConfig config)
    {
        host.ContainerIDFile ??= "";
        host.VolumeDriver ??= "";
        host.Cgroup ??= "";
        host.CgroupParent ??= "";
        host.ConsoleSize ??= [0, 0];
        host.Dns ??= [];
        host.DnsOptions ??= [];
        host.DnsSearch ??= [];
        host.Devices ??= [];
        host.Ulimits ??= [];
        host.OomKillDisable ??= false;
        host.MaskedPaths ??= config.Security.Privileged ? null : MaskedPaths;
        host.ReadonlyPaths ??= config.Security.Privileged ? null : ReadonlyPaths;
    }

    private static Dictionary<string, List<PortBinding>?> PortBindings(IReadOnlyList<PortConfig> ports) => ports
        .GroupBy(p => PortName(p.ContainerPort, p.Protocol), StringComparer.Ordinal)
        .ToDictionary(g => g.Key, g => (List<PortBinding>?)[.. g.Select(p => new PortBinding
        {
            HostIp = p.HostAddress ?? "",
            HostPort = p.HostPort == 0 ? "" : p.HostPortEnd > p.HostPort ? $"{p.HostPort}-{p.HostPortEnd}" : p.HostPort.ToString(CultureInfo.InvariantCulture),
        })], StringComparer.Ordinal);

    private static NetworkSettings Networks(WorkloadSnapshot workload)
    {
        var networking = workload.Networking;
        var settings = new NetworkSettings { SandboxKey = networking.NamespacePath, SandboxID = networking.NamespacePath.Length > 0 ? workload.Id : "" };
        foreach (var port in workload.State.IsRunning ? workload.Process.ExposedPorts : []) settings.Ports[port] = null;
        foreach (var port in networking.Ports)
        {
            var key = PortName(port.Port, ProtocolName(port.Protocol));
            if (!settings.Ports.TryGetValue(key, out var list) || list is null) settings.Ports[key] = list = [];
            list.Add(new PortBinding { HostIp = port.HostAddress.ToString(), HostPort = port.HostPort.ToString(CultureInfo.InvariantCulture) });
        }

        foreach (var (name, state) in networking.Networks) settings.Networks[name] = Attachment(state);
        if (networking.Networks.TryGetValue("bridge", out var bridge)) ShowDefault(settings, bridge);
        return settings;
    }

    private static void ShowDefault(NetworkSettings settings, AttachmentState bridge)
    {
        settings.EndpointID = bridge.EndpointId;
        settings.Gateway = bridge.Gateway;
        settings.IPAddress = bridge.IpAddress;
        settings.IPPrefixLen = bridge.PrefixLength;
        settings.IPv6Gateway = bridge.Ipv6Gateway;
        settings.GlobalIPv6Address = bridge.Ipv6Address;
        settings.GlobalIPv6PrefixLen = bridge.Ipv6PrefixLength;
        settings.MacAddress = bridge.MacAddress;
    }

    private static EndpointAddressing? Addressing(AttachmentConfig config) =>
        config.Ipv4Address is null && config.Ipv6Address is null && config.LinkLocalAddresses.Count == 0 ? null : new EndpointAddressing
        {
            IPv4Address = config.Ipv4Address,
            IPv6Address = config.Ipv6Address,
            LinkLocalIPs = config.LinkLocalAddresses.Count > 0 ? config.LinkLocalAddresses : null,
        };

    public static string ProtocolName(Network.TransportProtocol protocol) => protocol switch
    {
        Network.TransportProtocol.Udp => "udp",
        Network.TransportProtocol.Sctp => "sctp",
        _ => "tcp",
    };

    private static string PortName(ushort port, string protocol) => port.ToString(CultureInfo.InvariantCulture) + "/" + protocol;
}
