using System.Globalization;
using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;
using Hull.Protocol;
using LogConfig = Hull.Engine.Workloads.LogConfig;
using RestartPolicy = Hull.Engine.Workloads.RestartPolicy;

namespace Hull.Api.Docker.Containers;

/// <summary>Turns a Docker create request into what the engine understands. Everything in it comes from the caller.</summary>
internal static class CreateMapping
{
    /// <summary>Name under which the request is kept with the workload, to be shown again.</summary>
    public const string EdgeName = "docker";

    public static WorkloadConfig ToWorkload(ContainerCreateRequest request, string? name, string? platform)
    {
        var host = request.HostConfig ?? new HostConfig();
        CheckSupported(request, host);
        return new WorkloadConfig
        {
            Name = string.IsNullOrEmpty(name) ? null : name.TrimStart('/'),
            Image = request.Image ?? throw HullException.Invalid("the request names no image"),
            Platform = NullIfEmpty(platform),
            Isolation = IsolationNames.Isolation(host),
            Runtime = IsolationNames.Runtime(host),
            IsolationOptions = IsolationNames.Options(host),
            Process = Process(request, host),
            Namespaces = new NamespaceConfig
            {
                Pid = NullIfEmpty(host.PidMode),
                Ipc = NullIfEmpty(host.IpcMode),
                Uts = NullIfEmpty(host.UTSMode),
                Cgroup = NullIfEmpty(host.CgroupnsMode),
                User = NullIfEmpty(host.UsernsMode),
            },
            Security = SecurityMapping.ToSecurity(host),
            Resources = ResourceLabels.Limits(request, host),
            Group = ResourceLabels.Group(request, host),
            Networking = NetworkingMapping.ToNetworking(request, host),
            Mounts = MountMapping.ToMounts(request, host),
            VolumesFrom = host.VolumesFrom ?? [],
            Devices = [.. (host.Devices ?? []).Select(Device)],
            DeviceRules = host.DeviceCgroupRules ?? [],
            Ulimits = [.. (host.Ulimits ?? []).Select(u => new UlimitConfig(u.Name ?? "", u.Soft, u.Hard))],
            Sysctls = host.Sysctls ?? [],
            ShmSize = host.ShmSize switch
            {
                < 0 => throw HullException.Invalid("SHM size can not be less than 0"),
                0 => null,
                var size => size,
            },
            OomScoreAdjust = host.OomScoreAdj == 0 ? null : host.OomScoreAdj,
            OomKillDisable = host.OomKillDisable == true,
            CgroupParent = NullIfEmpty(host.CgroupParent),
            Init = host.Init,
            AutoRemove = host.AutoRemove,
            Restart = Restart(host.RestartPolicy, host.AutoRemove),
            Health = Health(request.Healthcheck),
            Log = Log(host.LogConfig),
            Labels = request.Labels ?? [],
            Annotations = host.Annotations ?? [],
            DependsOn = host.DependsOn ?? [],
            EdgeData = new Dictionary<string, string> { [EdgeName] = JsonSerializer.Serialize(request, DockerJson.Wire.ContainerCreateRequest) },
        };
    }

    public static RestartPolicy Restart(Protocol.RestartPolicy? policy, bool autoRemove)
    {
        var name = NullIfEmpty(policy?.Name) ?? "no";
        if (name is not ("no" or "always" or "unless-stopped" or "on-failure"))
            throw HullException.Invalid($"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'");
        var retries = policy?.MaximumRetryCount ?? 0;
        if (retries < 0) throw HullException.Invalid("invalid restart policy: maximum retry count cannot be negative");
        if (retries > 0 && name != "on-failure")
            throw HullException.Invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
        if (autoRemove && name != "no") throw HullException.Invalid("can't create 'AutoRemove' container with restart policy");
        return new RestartPolicy(name, retries);
    }

    public static HealthConfig? Health(HealthcheckConfig? health)
    {
        if (health is null) return null;
        return new HealthConfig
        {
            Test = health.Test ?? [],
            Interval = Duration(health.Interval, "Interval"),
            Timeout = Duration(health.Timeout, "Timeout"),
            StartPeriod = Duration(health.StartPeriod, "StartPeriod"),
            StartInterval = Duration(health.StartInterval, "StartInterval"),
            Retries = health.Retries >= 0 ? health.Retries : throw HullException.Invalid("Retries in Healthcheck cannot be negative"),
            OnFailure = NullIfEmpty(health.OnFailure) ?? "none",
        };
    }

    public static LogConfig Log(Protocol.LogConfig? log) =>
        new(NullIfEmpty(log?.Type)) { Options = log?.Config ?? [] };

    public static string? NullIfEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static ProcessConfig Process(ContainerCreateRequest request, HostConfig host) => new()
    {
        Entrypoint = request.Entrypoint is [""] ? [] : request.Entrypoint,
        Command = request.Cmd is { Count: > 0 } ? request.Cmd : null,
        Environment = [.. (request.Env ?? []).Select(CheckVariable)],
        WorkingDirectory = NullIfEmpty(request.WorkingDir),
        User = NullIfEmpty(request.User),
        Groups = host.GroupAdd ?? [],
        Terminal = request.Tty,
        OpenInput = request.OpenStdin,
        InputOnce = request.StdinOnce,
        AttachDefault = (request.AttachStdin ? StreamSelection.Input : 0)
            | (request.AttachStdout ? StreamSelection.Output : 0) | (request.AttachStderr ? StreamSelection.Error : 0),
        Rows = host.ConsoleSize is [var rows, _] ? rows : 0,
        Columns = host.ConsoleSize is [_, var columns] ? columns : 0,
        StopSignal = NullIfEmpty(request.StopSignal),
        StopTimeout = request.StopTimeout,
    };

    private static string CheckVariable(string variable) => variable.Length > 0 && variable[0] != '=' && !variable.Contains('\0')
        ? variable
        : throw HullException.Invalid($"invalid environment variable: {variable.Replace("\0", "\\0", StringComparison.Ordinal)}");

    private static DeviceConfig Device(DeviceMapping device)
    {
        var path = NullIfEmpty(device.PathOnHost) ?? throw HullException.Invalid("a device has no PathOnHost");
        var permissions = NullIfEmpty(device.CgroupPermissions) ?? "rwm";
        if (permissions.Any(c => !"rwm".Contains(c, StringComparison.Ordinal)))
            throw HullException.Invalid($"invalid device permissions '{permissions}' for {path}: expected some of r, w and m");
        return new DeviceConfig(path, NullIfEmpty(device.PathInContainer) ?? path, permissions);
    }

    private static TimeSpan Duration(long nanoseconds, string name) => nanoseconds switch
    {
        < 0 => throw HullException.Invalid($"{name} in Healthcheck cannot be less than 1ms"),
        > 0 and < 1_000_000 => throw HullException.Invalid($"{name} in Healthcheck cannot be less than 1ms"),
        _ => TimeSpan.FromTicks(nanoseconds / 100),
    };

    private static void CheckSupported(ContainerCreateRequest request, HostConfig host)
    {
        if (host.DeviceRequests is { Count: > 0 } requests)
        {
            var driver = NullIfEmpty(requests[0].Driver) ?? "gpu";
            throw HullException.Unsupported(string.Create(CultureInfo.InvariantCulture,
                $"device requests are not supported: no driver answers for '{driver}', name the devices with --device"));
        }

        if (host.StorageOpt is { Count: > 0 })
            throw HullException.Invalid("--storage-opt is not supported: a root's size cannot be bounded on this snapshotter, bound a volume instead (volume create --opt size=)");
        if (request.Shell is { Count: > 0 }) throw HullException.Invalid("Shell belongs to an image, not to a container");
    }
}
