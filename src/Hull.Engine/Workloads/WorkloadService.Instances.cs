using System.Net;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Images.Snapshots;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>What a start needs: network and instance spec.</summary>
internal sealed partial class WorkloadService
{
    private static readonly PreparedNetwork NoNetwork = new(null, false, null, null, null, "", []);

    /// <summary>The network side of one start.</summary>
    private sealed record PreparedNetwork(string? NamespacePath, bool Host, string? HostsPath, string? ResolvConfPath, string? HostnamePath,
        string Hostname, IReadOnlyList<Endpoint> Endpoints);

    private InstanceSpec BuildInstance(Workload workload, PreparedNetwork network, IReadOnlyList<MountPoint> mounts, HeldUserNamespace? users = null, BorrowedMemory? memory = null)
    {
        var record = workload.Record;
        var config = record.Config;
        var joins = new Dictionary<string, int>();
        var joined = new List<string>();
        foreach (var (type, mode) in ((string, string?)[])[("pid", config.Namespaces.Pid), ("ipc", config.Namespaces.Ipc), ("uts", config.Namespaces.Uts)])
        {
            if (mode?.StartsWith("container:", StringComparison.Ordinal) != true || ReferenceEquals(network, NoNetwork)) continue;
            var other = Get(mode[10..]);
            joins[type] = other.RequireRunning().ProcessId;
            joined.Add(other.Id);
        }

        var context = new StartContext
        {
            Options = Options,
            Record = record,
            NetworkNamespace = network.NamespacePath,
            HostNetwork = network.Host,
            UserNamespace = users?.Path,
            Hostname = network.Hostname.Length > 0 ? network.Hostname : HostnameOf(record),
            HostsPath = network.HostsPath,
            ResolvConfPath = network.ResolvConfPath,
            HostnamePath = network.HostnamePath,
            Mounts = mounts,
            Joined = joins,
            SharedMemory = memory?.Path,
            InitProgram = (config.Init ?? Options.DefaultInit) && record.Isolation == "container" ? InitProgram() : null,
        };
        if (record.UserNamespaceOf is { } owner && !joined.Contains(owner) && !ReferenceEquals(network, NoNetwork)) joined.Add(owner);
        return new InstanceSpec
        {
            Id = record.Id,
            RuntimeDirectory = RuntimeDirectoryOf(record.Id),
            StateDirectory = _store.DirectoryOf(record.Id),
            Spec = SpecBuilder.Build(context),
            User = record.Process.User,
            AdditionalGroups = config.Process.Groups,
            Root = BuildRoot(record, mounts),
            Stdio = new StdioSpec(config.Process.Terminal, config.Process.OpenInput, config.Process.InputOnce)
            {
                Columns = config.Process.Columns,
                Rows = config.Process.Rows,
            },
            Log = LogSettings.ToSpec(record, _store.DirectoryOf(record.Id)),
            Network = new InstanceNetworking { NamespacePath = network.NamespacePath, Host = network.Host, Endpoints = network.Endpoints },
            Resources = config.Resources,
            Isolation = new IsolationOptions { Runtime = config.Runtime is { Length: > 0 } runtime ? runtime : null, Options = config.IsolationOptions },
            Joins = joined,
            Tenant = TenantOf(config.Labels),
        };
    }

    private string TenantOf(IReadOnlyDictionary<string, string> labels) =>
        string.Join('\n', Options.TenantLabels.Where(labels.ContainsKey).Select(name => $"{name}={labels[name]}"));

    private InstanceRoot BuildRoot(WorkloadRecord record, IReadOnlyList<MountPoint> mounts)
    {
        var images = ImageMounts(mounts);
        if (record.Config.RootDirectory is { } directory)
            return new InstanceRoot { Directory = directory, Images = images, ReadOnly = record.Config.Security.ReadOnlyRoot };
        if (!record.HasSnapshot) return new InstanceRoot { ReadOnly = record.Config.Security.ReadOnlyRoot };
        var snapshots = _services.Images!.Snapshotter;
        return new InstanceRoot
        {
            SnapshotKey = record.Id,
            Mounts = [.. snapshots.Mounts(record.Id).Select(ToRootMount)],
            Images = images,
            LayerFiles = record.Isolation == "container" || snapshots.Capabilities.WhyNoLayerFiles is not null
                ? [] : [.. snapshots.LayerFiles(record.Id).Select(layer => layer.Path)],
            ReadOnly = record.Config.Security.ReadOnlyRoot,
        };
    }

    private string InitProgram()
    {
        if (Options.InitPath is { } chosen) return chosen;
        var path = Path.Combine(Path.GetDirectoryName(Options.ShimPath) ?? AppContext.BaseDirectory, "hull-init");
        return File.Exists(path) ? path : throw HullException.Unsupported($"--init needs {path}, which is missing: install it beside hull-shim");
    }

    private static string HostnameOf(WorkloadRecord record) => record.Config.Networking switch
    {
        { Hostname: { Length: > 0 } name } => name,
        { Mode: "host" } => Dns.GetHostName(),
        _ => RandomId.Short(record.Id),
    };

    private async Task<PreparedNetwork> SetUpNetworkAsync(Workload workload, HeldUserNamespace? users, CancellationToken cancellationToken)
    {
        var record = workload.Record;
        var networking = record.Config.Networking;
        if (networking.Mode?.StartsWith("container:", StringComparison.Ordinal) == true) return JoinNetwork(networking.Mode[10..]);
        var host = networking.Mode == "host";
        if (_services.Networks is not { } networks) return new PreparedNetwork(null, host, null, null, null, HostnameOf(record), []);
        var directory = _store.DirectoryOf(record.Id);
        var made = await networks.SetUpAsync(new InstanceNetworkSpec
        {
            InstanceId = record.Id,
            Name = record.Name,
            Kind = DriverOf(record.Isolation).NetworkAttachment,
            Endpoints = host || networking.Mode == "none" ? [] : [.. record.Networks.Select(pair => ToEndpoint(pair.Key, pair.Value, record))],
            Ports = host || networking.Mode == "none" ? [] : PortsOf(record),
            FilesDirectory = directory,
            HostNetwork = host,
            UserNamespacePath = users?.Path,
            Hostname = HostnameOf(record),
            Domainname = networking.DomainName ?? "",
            DnsServers = [.. networking.Dns.Select(ParseAddress)],
            DnsSearch = networking.DnsSearch,
            DnsOptions = networking.DnsOptions,
            ExtraHosts = [.. networking.ExtraHosts, .. LinkedHosts(record)],
        }, cancellationToken).ConfigureAwait(false);
        if (record.UserMap is { } map) GiveFiles([made.HostsPath, made.ResolvConfPath, made.HostnamePath], map);
        return new PreparedNetwork(made.SandboxPath, host, made.HostsPath, made.ResolvConfPath, made.HostnamePath, HostnameOf(record), made.Endpoints);
    }

    private PreparedNetwork JoinNetwork(string reference)
    {
        var other = Get(reference);
        var instance = other.RequireRunning();
        var directory = _store.DirectoryOf(other.Id);
        var host = other.Record.Config.Networking.Mode == "host";
        return new PreparedNetwork(host ? null : $"/proc/{instance.ProcessId}/ns/net", host, Existing("hosts"), Existing("resolv.conf"),
            Existing("hostname"), HostnameOf(other.Record), []);

        string? Existing(string name)
        {
            var path = Path.Combine(directory, name);
            return File.Exists(path) ? path : null;
        }
    }

    private async Task TearDownNetworkAsync(Workload workload)
    {
        if (_services.Networks is not { } networks) return;
        try
        {
            await networks.TearDownAsync(workload.Id, CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException error)
        {
            _services.Log($"{workload.Name}: its network could not be taken down: {error.FullMessage}");
        }
    }

    private static Dictionary<string, AttachmentConfig> AttachmentsOf(WorkloadConfig config)
    {
        var networking = config.Networking;
        var attachments = new Dictionary<string, AttachmentConfig>();
        if (networking.Mode is "host" or "none" || networking.Mode?.StartsWith("container:", StringComparison.Ordinal) == true) return attachments;
        var first = networking.Mode is null or "" or "default" ? "bridge" : networking.Mode;
        attachments[first] = networking.Networks.GetValueOrDefault(first) ?? networking.Networks.GetValueOrDefault("default") ?? new AttachmentConfig();
        if (networking.MacAddress is { Length: > 0 } mac && attachments[first].MacAddress is null or "")
            attachments[first] = attachments[first] with { MacAddress = mac };
        foreach (var (name, attachment) in networking.Networks)
        {
            if (name != "default") attachments[name] = attachment;
        }

        return attachments;
    }

    private EndpointSpec ToEndpoint(string network, AttachmentConfig attachment, WorkloadRecord record) => new()
    {
        Network = network,
        Aliases = attachment.Aliases,
        IPv4Address = attachment.Ipv4Address is { Length: > 0 } four ? ParseAddress(four) : null,
        IPv6Address = attachment.Ipv6Address is { Length: > 0 } six ? ParseAddress(six) : null,
        MacAddress = attachment.MacAddress is { Length: > 0 } mac ? mac : null,
        GatewayPriority = attachment.GatewayPriority ?? 0,
        Links = attachment.Links.Select(ParseLink).ToDictionary(link => link.Alias, link => Get(link.Target).Id),
        Limits = BandwidthOf(record),
    };

    /// <summary>Links on the default bridge, which has no names of its own, are lines of the hosts file.</summary>
    private IEnumerable<string> LinkedHosts(WorkloadRecord record)
    {
        foreach (var (target, alias) in record.Config.Networking.Links.Select(ParseLink))
        {
            var other = Get(target);
            var address = _services.Networks?.FindInstance(other.Id)?.Endpoints.FirstOrDefault()?.IPv4Address
                ?? throw HullException.Conflict($"cannot link to {other.Name}: it is not running or has no address");
            foreach (var name in new[] { alias, other.Name, HostnameOf(other.Record) }.Distinct()) yield return $"{name}:{address}";
        }
    }

    internal static (string Target, string Alias) ParseLink(string link)
    {
        var colon = link.IndexOf(':');
        var target = (colon < 0 ? link : link[..colon]).TrimStart('/');
        return (target, colon < 0 ? target : link[(colon + 1)..].Split('/')[^1]);
    }

    private static List<PortMapping> PortsOf(WorkloadRecord record)
    {
        var networking = record.Config.Networking;
        var ports = networking.Ports.Select(ToMapping).ToList();
        if (!networking.PublishAll) return ports;
        foreach (var exposed in record.Process.ExposedPorts.SelectMany(ExposedPorts.Expand))
        {
            if (!ports.Any(port => port.Port == exposed.Port && port.Protocol == exposed.Protocol)) ports.Add(exposed);
        }

        return ports;
    }

    internal static PortMapping ToMapping(PortConfig port) => new(port.ContainerPort, ExposedPorts.ParseProtocol(port.Protocol),
        port.HostAddress is { Length: > 0 } address ? ParseAddress(address) : null, port.HostPort, port.HostPortEnd);

    private static IPAddress ParseAddress(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw HullException.Invalid($"'{text}' is not an IP address");
}

/// <summary>Ports as images and users declare them: <c>80</c>, <c>80/udp</c>, <c>8000-8010/tcp</c>.</summary>
internal static class ExposedPorts
{
    public static IEnumerable<PortMapping> Expand(string text)
    {
        var slash = text.IndexOf('/');
        var protocol = ParseProtocol(slash < 0 ? "tcp" : text[(slash + 1)..]);
        var range = (slash < 0 ? text : text[..slash]).Split('-');
        var first = Port(range[0]);
        var last = range.Length > 1 ? Port(range[1]) : first;
        for (int port = first; port <= last; port++) yield return new PortMapping((ushort)port, protocol);

        ushort Port(string number) => ushort.TryParse(number, System.Globalization.CultureInfo.InvariantCulture, out var port) && port > 0
            ? port : throw HullException.Invalid($"invalid port '{text}': expected PORT[-PORT][/tcp|udp|sctp]");
    }

    public static TransportProtocol ParseProtocol(string text) => text.ToLowerInvariant() switch
    {
        "tcp" or "" => TransportProtocol.Tcp,
        "udp" => TransportProtocol.Udp,
        "sctp" => TransportProtocol.Sctp,
        _ => throw HullException.Invalid($"invalid protocol '{text}': use tcp, udp or sctp"),
    };
}
