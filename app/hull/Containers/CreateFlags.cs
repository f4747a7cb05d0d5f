using System.Globalization;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>The options of <c>run</c> and <c>create</c>, gathered into one request.</summary>
internal sealed class CreateFlags
{
    private readonly HostConfig host = new();
    private readonly List<string> environment = [];
    private readonly List<string> binds = [];
    private readonly List<string> capabilitiesAdd = [];
    private readonly List<string> capabilitiesDrop = [];
    private readonly List<string> securityOptions = [];
    private readonly List<string> volumesFrom = [];
    private readonly List<string> links = [];
    private readonly List<string> aliases = [];
    private readonly List<string> dns = [];
    private readonly List<string> dnsSearch = [];
    private readonly List<string> dnsOptions = [];
    private readonly List<string> extraHosts = [];
    private readonly List<string> groups = [];
    private readonly List<string> deviceRules = [];
    private readonly List<string> attach = [];
    private readonly List<string> networks = [];
    private readonly List<string> dependsOn = [];
    private readonly Dictionary<string, string> labels = [];
    private readonly SortedSet<string> exposed = new(StringComparer.Ordinal);
    private readonly SortedSet<string> volumes = new(StringComparer.Ordinal);
    private readonly HealthcheckConfig health = new();
    private readonly EndpointAddressing addressing = new();
    private ContainerCreateRequest request = new();
    private string? entrypoint;
    private string? endpointMac;
    private bool healthGiven;
    private bool noHealth;

    public string? Name { get; private set; }

    public string? Platform { get; private set; }

    /// <summary><c>missing</c>, <c>always</c> or <c>never</c>.</summary>
    public string Pull { get; private set; } = "missing";

    public bool Quiet { get; private set; }

    public string? IdFile { get; private set; }

    public bool Interactive { get; private set; }

    public bool Terminal { get; private set; }

    public bool Remove => host.AutoRemove;

    /// <summary>What <c>-a</c> names; empty for the default.</summary>
    public IReadOnlyList<string> Attach => attach;

    public void Define(FlagSet flags)
    {
        flags.Interspersed = false;
        Process(flags);
        Storage(flags);
        Networking(flags);
        Security(flags);
        Limits(flags);
        Life(flags);
    }

    /// <summary>The request for an image and the command to run in it.</summary>
    public ContainerCreateRequest Build(string image, IReadOnlyList<string> command)
    {
        request.Image = image;
        request.Cmd = command.Count > 0 ? command : null;
        request.Entrypoint = entrypoint is null ? null : entrypoint.Length == 0 ? [""] : [entrypoint];
        request.Env = environment;
        request.Labels = labels.Count > 0 ? labels : null;
        request.ExposedPorts = exposed.Count > 0 ? exposed : null;
        request.Volumes = volumes.Count > 0 ? volumes : null;
        request.Tty = Terminal;
        request.OpenStdin = Interactive;
        request.StdinOnce = Interactive;
        request.Healthcheck = noHealth ? new HealthcheckConfig { Test = ["NONE"] } : healthGiven ? health : null;
        host.Binds = Null(binds);
        host.CapAdd = Null(capabilitiesAdd);
        host.CapDrop = Null(capabilitiesDrop);
        host.SecurityOpt = Null(securityOptions);
        host.VolumesFrom = Null(volumesFrom);
        host.Links = Null(links);
        host.Dns = Null(dns);
        host.DnsSearch = Null(dnsSearch);
        host.DnsOptions = Null(dnsOptions);
        host.ExtraHosts = Null(extraHosts);
        host.GroupAdd = Null(groups);
        host.DeviceCgroupRules = Null(deviceRules);
        host.DependsOn = Null(dependsOn);
        request.HostConfig = host;
        BuildNetworks();
        return request;
    }

    private void Process(FlagSet flags) => flags
        .Value("name", null, "name", "name of the container", v => Name = v)
        .Switch("interactive", 'i', "keep standard input open", v => Interactive = v)
        .Switch("tty", 't', "give it a terminal", v => Terminal = v)
        .Value("attach", 'a', "stream", "attach to stdin, stdout or stderr", v => attach.Add(v.ToLowerInvariant()))
        .Value("env", 'e', "name[=value]", "set an environment variable", v => environment.Add(EnvironmentFile.Expand(v)))
        .Value("env-file", null, "file", "read environment variables from a file", v => environment.AddRange(EnvironmentFile.Read(v)))
        .Value("entrypoint", null, "program", "replace the image's entrypoint", v => entrypoint = v)
        .Value("workdir", 'w', "directory", "working directory inside", v => request.WorkingDir = v)
        .Value("user", 'u', "user[:group]", "user name or id", v => request.User = v)
        .Value("group-add", null, "group", "further group", groups.Add)
        .Value("label", 'l', "key[=value]", "set a label", v => AddPair(labels, v))
        .Value("label-file", null, "file", "read labels from a file", v => { foreach (var line in EnvironmentFile.Read(v)) AddPair(labels, line); })
        .Value("annotation", null, "key=value", "annotation; vm.memory, vm.cpus … are options of the virtual machine", v => AddPair(host.Annotations ??= [], v))
        .Value("platform", null, "os/arch", "platform of the image", v => Platform = v)
        .Value("pull", null, "when", "missing (default), always or never", v => Pull = Choice("pull", v, "missing", "always", "never"))
        .Switch("quiet", 'q', "do not show what is waited for, such as a pull", v => Quiet = v)
        .Value("cidfile", null, "file", "write the container's id to a file", v => IdFile = v)
        .Value("isolation", null, "isolation", "container or vm", v => host.Isolation = v)
        .Value("runtime", null, "name", "OCI runtime to use", v => host.Runtime = v);

    private void Storage(FlagSet flags) => flags
        .Value("volume", 'v', "[source:]target[:options]", "mount a directory or a volume", AddVolume)
        .Value("mount", null, "type=…", "mount with every option", v => (host.Mounts ??= []).Add(MountOption.Parse(v)))
        .Value("tmpfs", null, "target[:options]", "mount a tmpfs", AddTmpfs)
        .Value("volumes-from", null, "container", "take over a container's mounts", volumesFrom.Add)
        .Value("volume-driver", null, "driver", "driver of volumes that are made", v => host.VolumeDriver = v)
        .Switch("read-only", null, "make the root read-only", v => host.ReadonlyRootfs = v)
        .Value("device", null, "host[:inside[:rwm]]", "give it a device", v => (host.Devices ??= []).Add(Device(v)))
        .Value("device-cgroup-rule", null, "rule", "rule such as 'c 42:* rmw'", deviceRules.Add)
        .Value("gpus", null, "count", "not supported: name the devices", v => (host.DeviceRequests ??= []).Add(new DeviceRequest { Count = -1, Driver = "gpu" }))
        .Value("storage-opt", null, "key=value", "option of the storage", v => AddPair(host.StorageOpt ??= [], v))
        .Value("shm-size", null, "bytes", "size of /dev/shm (64m)", v => host.ShmSize = ByteSize.Parse(v));

    private void Networking(FlagSet flags) => flags
        .Value("publish", 'p', "[[address:]port:]port[/protocol]", "make a port reachable through the host", v => PortOption.Add(host.PortBindings ??= [], exposed, v))
        .Switch("publish-all", 'P', "publish every exposed port", v => host.PublishAllPorts = v)
        .Value("expose", null, "port[/protocol]", "declare a port", v => exposed.Add(v.Contains('/', StringComparison.Ordinal) ? v : v + "/tcp"))
        .Value("network", null, "network", "network, host, none or container:NAME; may be repeated", networks.Add)
        .Add(new Flag("net", null, "network", "as --network", networks.Add) { Hidden = true })
        .Value("network-alias", null, "name", "further name on the network", aliases.Add)
        .Add(new Flag("net-alias", null, "name", "as --network-alias", aliases.Add) { Hidden = true })
        .Value("ip", null, "address", "IPv4 address", v => addressing.IPv4Address = v)
        .Value("ip6", null, "address", "IPv6 address", v => addressing.IPv6Address = v)
        .Value("mac-address", null, "address", "MAC address", v => endpointMac = v)
        .Value("hostname", 'h', "name", "host name inside", v => request.Hostname = v)
        .Value("domainname", null, "name", "domain name inside", v => request.Domainname = v)
        .Value("add-host", null, "name:address", "line of /etc/hosts", v => extraHosts.Add(v.Replace('=', ':')))
        .Value("dns", null, "address", "name server", dns.Add)
        .Value("dns-search", null, "domain", "search domain", dnsSearch.Add)
        .Value("dns-option", null, "option", "resolver option", dnsOptions.Add)
        .Add(new Flag("dns-opt", null, "option", "as --dns-option", dnsOptions.Add) { Hidden = true })
        .Value("link", null, "container[:alias]", "link to another container", links.Add);

    private void Security(FlagSet flags) => flags
        .Switch("privileged", null, "full access to the host", v => host.Privileged = v)
        .Value("cap-add", null, "capability", "add a capability", capabilitiesAdd.Add)
        .Value("cap-drop", null, "capability", "drop a capability", capabilitiesDrop.Add)
        .Value("security-opt", null, "option", "seccomp=FILE, apparmor=NAME, label=…, no-new-privileges", v => AddSecurity(v))
        .Value("pid", null, "mode", "pid namespace: host or container:NAME", v => host.PidMode = v)
        .Value("ipc", null, "mode", "ipc namespace", v => host.IpcMode = v)
        .Value("uts", null, "mode", "uts namespace: host", v => host.UTSMode = v)
        .Value("userns", null, "mode", "user namespace: host, private, auto[:size=N] or container:NAME", v => host.UsernsMode = v)
        .Value("cgroupns", null, "mode", "cgroup namespace: host or private", v => host.CgroupnsMode = v)
        .Value("cgroup-parent", null, "path", "cgroup to put it below", v => host.CgroupParent = v)
        .Value("sysctl", null, "name=value", "kernel setting of its namespaces", v => AddPair(host.Sysctls ??= [], v));

    private void Limits(FlagSet flags)
    {
        ResourceFlags.Define(flags, host);
        flags.Value("group", null, "name", "group whose resources it shares", v => host.Group = v);
        flags.Value("ulimit", null, "name=soft[:hard]", "resource limit", v => (host.Ulimits ??= []).Add(ResourceFlags.Ulimit(v)))
            .Number("oom-score-adj", null, "bias for the kernel's choice under memory pressure", v => host.OomScoreAdj = (int)v)
            .Switch("oom-kill-disable", null, "stall instead of being killed for memory", v => host.OomKillDisable = v);
    }

    private void Life(FlagSet flags) => flags
        .Switch("rm", null, "remove it when it ends", v => host.AutoRemove = v)
        .Value("restart", null, "policy", "no, on-failure[:times], always or unless-stopped", v => host.RestartPolicy = ResourceFlags.Restart(v))
        .Switch("init", null, "run a small init that reaps processes", v => host.Init = v)
        .Value("stop-signal", null, "signal", "signal that asks it to end", v => request.StopSignal = v)
        .Number("stop-timeout", null, "seconds before it is killed", v => request.StopTimeout = (int)v)
        .Value("depends-on", null, "container", "must run before this one when the machine boots", dependsOn.Add)
        .Value("log-driver", null, "driver", "json-file, local, journald, syslog or none", v => (host.LogConfig ??= new LogConfig()).Type = v)
        .Value("log-opt", null, "key=value", "option of the log driver", v => AddPair((host.LogConfig ??= new LogConfig()).Config ??= [], v))
        .Value("health-cmd", null, "command", "command that tells whether it works", v => SetHealth(h => h.Test = ["CMD-SHELL", v]))
        .Value("health-interval", null, "duration", "time between checks", v => SetHealth(h => h.Interval = GoDuration.Parse(v).Ticks * 100))
        .Value("health-timeout", null, "duration", "time a check may take", v => SetHealth(h => h.Timeout = GoDuration.Parse(v).Ticks * 100))
        .Value("health-start-period", null, "duration", "time in which failures do not count", v => SetHealth(h => h.StartPeriod = GoDuration.Parse(v).Ticks * 100))
        .Value("health-start-interval", null, "duration", "time between checks in that time", v => SetHealth(h => h.StartInterval = GoDuration.Parse(v).Ticks * 100))
        .Number("health-retries", null, "failures in a row that make it unhealthy", v => SetHealth(h => h.Retries = (int)v))
        .Value("health-on-failure", null, "action", "none, restart, stop or kill when it becomes unhealthy", v => SetHealth(h => h.OnFailure = Choice("health-on-failure", v, "none", "restart", "stop", "kill")))
        .Switch("no-healthcheck", null, "ignore the image's health check", v => noHealth = v);

    private void SetHealth(Action<HealthcheckConfig> set)
    {
        healthGiven = true;
        set(health);
    }

    private void AddVolume(string text)
    {
        if (text.StartsWith("./", StringComparison.Ordinal) || text.StartsWith("../", StringComparison.Ordinal) || text.StartsWith(".:", StringComparison.Ordinal))
            text = Path.GetFullPath(text[..text.IndexOf(':', StringComparison.Ordinal)]) + text[text.IndexOf(':', StringComparison.Ordinal)..];
        if (text.Contains(':', StringComparison.Ordinal)) binds.Add(text);
        else volumes.Add(text);
    }

    private void AddTmpfs(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        (host.Tmpfs ??= [])[colon < 0 ? text : text[..colon]] = colon < 0 ? "" : text[(colon + 1)..];
    }

    private void AddSecurity(string option)
    {
        const string Seccomp = "seccomp=";
        // The engine may be on another machine: the profile itself travels, not its name.
        if (option.StartsWith(Seccomp, StringComparison.Ordinal) && option[Seccomp.Length..] is not ("unconfined" or "builtin") and var file)
            option = Seccomp + File.ReadAllText(file);
        if (option == "systempaths=unconfined") (host.MaskedPaths, host.ReadonlyPaths) = ([], []);
        else securityOptions.Add(option);
    }

    private void BuildNetworks()
    {
        if (networks.Count > 0) host.NetworkMode = networks[0].Split(':') is [var name, ..] && !networks[0].StartsWith("container:", StringComparison.Ordinal) ? name : networks[0];
        var own = aliases.Count > 0 || endpointMac is not null || addressing.IPv4Address is not null || addressing.IPv6Address is not null;
        if (!own && networks.Count < 2) return;
        var endpoints = new Dictionary<string, EndpointSettings?>();
        foreach (var network in networks.DefaultIfEmpty("bridge")) endpoints[network] = new EndpointSettings();
        endpoints[networks.FirstOrDefault() ?? "bridge"] = new EndpointSettings
        {
            Aliases = Null(aliases),
            MacAddress = endpointMac,
            IPAMConfig = addressing.IPv4Address is null && addressing.IPv6Address is null ? null : addressing,
        };
        request.NetworkingConfig = new NetworkingConfig { EndpointsConfig = endpoints };
    }

    private static DeviceMapping Device(string text)
    {
        var parts = text.Split(':');
        return parts.Length is > 0 and <= 3 && parts[0].StartsWith('/')
            ? new DeviceMapping
            {
                PathOnHost = parts[0],
                PathInContainer = parts.Length > 1 && parts[1].StartsWith('/') ? parts[1] : parts[0],
                CgroupPermissions = parts.Length == 3 ? parts[2] : parts.Length == 2 && !parts[1].StartsWith('/') ? parts[1] : "rwm",
            }
            : throw HullException.Invalid($"invalid device '{text}': expected /dev/host[:/dev/inside[:rwm]]");
    }

    private static void AddPair(Dictionary<string, string> map, string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        map[equals < 0 ? text : text[..equals]] = equals < 0 ? "" : text[(equals + 1)..];
    }

    private static string Choice(string name, string value, params ReadOnlySpan<string> choices) => choices.Contains(value)
        ? value
        : throw HullException.Invalid($"invalid value '{value}' for --{name}: expected one of {string.Join(", ", choices!)}");

    private static IReadOnlyList<string>? Null(List<string> list) => list.Count > 0 ? list : null;
}
