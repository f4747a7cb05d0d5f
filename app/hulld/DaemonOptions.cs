using System.Globalization;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Daemon;

/// <summary>Flags over the configuration file: a flag wins over the same key of the file, lists are joined.</summary>
internal sealed class DaemonOptions
{
    private readonly List<Func<DaemonConfig, DaemonConfig>> changes = [];
    private string? file;

    /// <summary>Only check the configuration.</summary>
    public bool Validate { get; private set; }

    /// <summary>Only look at the machine and print what is found, as JSON.</summary>
    public bool Diagnose { get; private set; }

    public bool ShowVersion { get; private set; }

    public bool ShowHelp { get; private set; }

    public DaemonConfig Config { get; private set; } = new();

    /// <summary>The file that is read again on SIGHUP.</summary>
    public string ConfigFile => file ?? DaemonConfig.DefaultPath;

    public static DaemonOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new DaemonOptions();
        var rest = options.Flags().Parse(arguments);
        if (rest.Count > 0) throw HullException.Invalid($"unexpected argument '{rest[0]}'");
        options.Reload();
        return options;
    }

    /// <summary>Reads the file again and puts the flags over it.</summary>
    public void Reload() => Config = changes.Aggregate(DaemonConfig.Load(ConfigFile, required: file is not null) ?? new DaemonConfig(), (c, change) => change(c));

    public FlagSet Flags()
    {
        var flags = new FlagSet();
        Files(flags);
        Listening(flags);
        Registries(flags);
        Workloads(flags);
        Networks(flags);
        ForeignOptions.AddTo(flags);
        return flags;
    }

    private void Files(FlagSet flags) => flags
        .Value("config-file", null, "file", $"configuration file ({DaemonConfig.DefaultPath})", v => file = v)
        .Value("data-root", null, "directory", "what survives a reboot (/var/lib/hull)", v => Set(c => c with { DataRoot = v }))
        .Value("exec-root", null, "directory", "runtime files (/run/hull)", v => Set(c => c with { ExecRoot = v }))
        .Value("pidfile", 'p', "file", "file to write the process id to", v => Set(c => c with { PidFile = v }))
        .Value("log-level", 'l', "level", "debug, info, warn or error", v => Set(c => c with { LogLevel = v }))
        .Value("log-format", null, "format", "text or json", v => Set(c => c with { LogFormat = v }))
        .Switch("debug", 'D', "as --log-level debug", v => Set(c => c with { Debug = v }))
        .Value("audit-log", null, "file", "record who changed what", v => Set(c => c with { AuditLog = v }))
        .Switch("validate", null, "check the configuration and end", v => Validate = v)
        .Switch("diagnose", null, "look at the machine, print what is found as JSON and end (see hull doctor)", v => Diagnose = v)
        .Switch("version", 'v', "print the version and end", v => ShowVersion = v)
        .Switch("help", 'h', "print the options and end", v => ShowHelp = v);

    private void Listening(FlagSet flags) => flags
        .Value("host", 'H', "address", "where to listen: unix:///path, tcp://address:port (mutual TLS) or fd://", v => Set(c => c with { Hosts = [.. c.Hosts, v] }))
        .Value("group", 'G', "group", "group that may use the unix socket (hull, if there is one)", v => Set(c => c with { Group = v }))
        .Switch("tls", null, "as --tlsverify: TCP is never served without client certificates", v => Set(c => c with { Tls = v }))
        .Switch("tlsverify", null, "serve TCP with TLS to clients with a certificate", v => Set(c => c with { TlsVerify = v }))
        .Value("tlscacert", null, "file", "certificates that clients' certificates must descend from", v => Set(c => c with { TlsAuthority = v }))
        .Value("tlscert", null, "file", "the engine's certificate", v => Set(c => c with { TlsCertificate = v }))
        .Value("tlskey", null, "file", "the key of the engine's certificate", v => Set(c => c with { TlsKey = v }))
        .Value("metrics-addr", null, "address:port", "where to serve metrics alone, without TLS", v => Set(c => c with { MetricsAddress = v }));

    private void Registries(FlagSet flags) => flags
        .Value("insecure-registry", null, "registry", "registry that may be spoken to without TLS", v => Set(c => c with { InsecureRegistries = [.. c.InsecureRegistries, v] }))
        .Value("registry-mirror", null, "[registry=]address", "mirror to ask first, of Docker Hub unless another registry is named", v => Set(c => c with { RegistryMirrors = [.. c.RegistryMirrors, v] }))
        .Number("max-concurrent-downloads", null, "layers of one pull fetched at once (3)", v => Set(c => c with { MaxDownloads = (int)v }))
        .Number("max-concurrent-uploads", null, "layers of one push sent at once (4)", v => Set(c => c with { MaxUploads = (int)v }))
        .Number("max-download-attempts", null, "attempts to fetch a layer (6)", v => Set(c => c with { MaxDownloadAttempts = (int)v }))
        .Value("http-proxy", null, "address", "proxy for registries without TLS", v => Set(c => c with { Proxies = c.Proxies with { Http = v } }))
        .Value("https-proxy", null, "address", "proxy for registries", v => Set(c => c with { Proxies = c.Proxies with { Https = v } }))
        .Value("no-proxy", null, "hosts", "hosts reached without a proxy", v => Set(c => c with { Proxies = c.Proxies with { Except = v } }));

    private void Workloads(FlagSet flags) => flags
        .Value("default-isolation", null, "isolation", "container or vm", v => Set(c => c with { DefaultIsolation = v }))
        .Value("default-runtime", null, "name", "runtime for containers that ask for none (hull)", v => Set(c => c with { DefaultRuntime = v }))
        .Value("add-runtime", null, "name=path", "another OCI runtime", v => Set(c => c with { Runtimes = WithRuntime(c.Runtimes, v) }))
        .Value("cgroup-parent", null, "path", "cgroup below which all others are (/hull)", v => Set(c => c with { CgroupParent = v }))
        .Value("log-driver", null, "driver", "log driver of workloads that name none (json-file)", v => Set(c => c with { LogDriver = v }))
        .Value("log-opt", null, "key=value", "option of the default log driver", v => Set(c => c with { LogOptions = With(c.LogOptions, v) }))
        .Value("default-ulimit", null, "name=soft[:hard]", "limit of workloads that set none", v => Set(c => c with { DefaultUlimits = WithUlimit(c.DefaultUlimits, v) }))
        .Switch("init", null, "run a small init in every container", v => Set(c => c with { Init = v }))
        .Value("init-path", null, "file", "program of --init (hull-init beside hull-shim)", v => Set(c => c with { InitPath = v }))
        .Value("exec-opt", null, "key=value", "native.cgroupdriver=cgroupfs", v => Set(c => c with { ExecOptions = [.. c.ExecOptions, v] }))
        .Number("oom-score-adjust", null, "the engine's own score, -1000 to 1000", v => Set(c => c with { OomScoreAdjust = (int)v }))
        .Switch("no-new-privileges", null, "set no-new-privileges for every container", v => Set(c => c with { NoNewPrivileges = v }))
        .Value("userns-remap", null, "user[:group]", "user namespace of containers that name none: ids of that user in /etc/subuid, or default", v => Set(c => c with { UserNamespaceRemap = v }))
        .Value("seccomp-profile", null, "file", "default seccomp profile", v => Set(c => c with { SeccompProfile = v }))
        .Value("default-cgroupns-mode", null, "mode", "private or host", v => Set(c => c with { DefaultCgroupNamespace = v }))
        .Value("default-ipc-mode", null, "mode", "private or shareable", v => Set(c => c with { DefaultIpc = v }))
        .Value("default-shm-size", null, "bytes", "size of /dev/shm (64m)", v => Set(c => c with { DefaultShmSize = v }))
        .Number("shutdown-timeout", null, "seconds that workloads have to end where they end with the engine", v => Set(c => c with { ShutdownTimeout = (int)v }))
        .Switch("live-restore", null, "workloads go on running while the engine does not (default)", v => Set(c => c with { LiveRestore = v }))
        .Switch("vm-live-templates", null, "emulated virtual machines begin as twins of one that runs (default)", v => Set(c => c with { VmLiveTemplates = v }))
        .Number("vm-image-templates", null, "images at most that machines are kept of with all but their program ready (4)", v => Set(c => c with { VmImageTemplates = (int)v }))
        .Number("vm-warm-pool", null, "virtual machines of each kind in use that are kept ready for the next (0)", v => Set(c => c with { VmWarmPool = (int)v }))
        .Value("vm-template-sharing", null, "who", "who shares memory of a virtual machine's template: project (default) or shared, which is all", v => Set(c => c with { VmTemplateSharing = v }))
        .Value("label", null, "key=value", "label of the engine", v => Set(c => c with { Labels = [.. c.Labels, v] }))
        .Value("storage-driver", 's', "driver", "erofs, overlay or copy; others are ignored", v => Set(c => c with { StorageDriver = v }))
        .Switch("userland-proxy", null, "accepted and ignored: ports are published without processes", v => Set(c => c with { UserlandProxy = v }))
        .Switch("raw-logs", null, "accepted: the engine's log has no colours", v => Set(c => c with { RawLogs = v }))
        .Switch("experimental", null, "accepted and ignored", v => Set(c => c with { Experimental = v }));

    private void Networks(FlagSet flags) => flags
        .Value("bridge", 'b', "name", "device name of the default bridge, or none", v => Set(c => c with { Bridge = v }))
        .Value("bip", null, "address/length", "address of the default bridge", v => Set(c => c with { BridgeAddress = v }))
        .Value("bip6", null, "address/length", "IPv6 address of the default bridge", v => Set(c => c with { BridgeAddressV6 = v }))
        .Value("fixed-cidr", null, "range", "part of the default bridge's range that containers get addresses of", v => Set(c => c with { FixedRange = v }))
        .Value("default-gateway", null, "address", "router of containers on the default bridge, in place of the bridge", v => Set(c => c with { DefaultGateway = v }))
        .Value("default-gateway-v6", null, "address", "the same for IPv6", v => Set(c => c with { DefaultGatewayV6 = v }))
        .Switch("ipv6", null, "give the default bridge IPv6", v => Set(c => c with { IPv6 = v }))
        .Switch("ip6tables", null, "has to be as iptables: the firewall is one table for both", v => Set(c => c with { FirewallV6 = v }))
        .Switch("ip-masq", null, "translate addresses of what leaves the default bridge (default)", v => Set(c => c with { Masquerade = v }))
        .Value("fixed-cidr-v6", null, "range", "IPv6 range of the default bridge", v => Set(c => c with { FixedRangeV6 = v }))
        .Value("default-address-pool", null, "base=range,size=length", "where networks' ranges come from", v => Set(c => c with { AddressPools = [.. c.AddressPools, Pool(v)] }))
        .Value("dns", null, "address", "name server", v => Set(c => c with { Dns = [.. c.Dns, v] }))
        .Value("dns-opt", null, "option", "resolver option", v => Set(c => c with { DnsOptions = [.. c.DnsOptions, v] }))
        .Value("dns-search", null, "domain", "search domain", v => Set(c => c with { DnsSearch = [.. c.DnsSearch, v] }))
        .Switch("icc", null, "containers of the default bridge reach each other (default)", v => Set(c => c with { InterContainer = v }))
        .Value("ip", null, "address", "address on which ports are published unless asked (127.0.0.1; Docker has 0.0.0.0)", v => Set(c => c with { PublishAddress = v }))
        .Switch("ip-forward", null, "turn on forwarding between interfaces (default)", v => Set(c => c with { IpForward = v }))
        .Switch("iptables", null, "manage the firewall (default)", v => Set(c => c with { Firewall = v }))
        .Number("mtu", null, "MTU of new networks", v => Set(c => c with { Mtu = (int)v }))
        .Value("host-gateway-ip", null, "address", "what host-gateway stands for", v => Set(c => c with { HostGateway = v }));

    private void Set(Func<DaemonConfig, DaemonConfig> change) => changes.Add(change);

    private static Dictionary<string, string> With(IReadOnlyDictionary<string, string> map, string text)
    {
        var (key, value) = Split(text);
        return new Dictionary<string, string>(map) { [key] = value };
    }

    private static Dictionary<string, RuntimeEntry> WithRuntime(IReadOnlyDictionary<string, RuntimeEntry> map, string text)
    {
        var (key, value) = Split(text);
        return new Dictionary<string, RuntimeEntry>(map) { [key] = new RuntimeEntry { Path = value } };
    }

    private static Dictionary<string, UlimitEntry> WithUlimit(IReadOnlyDictionary<string, UlimitEntry> map, string text)
    {
        var (key, value) = Split(text);
        var parts = value.Split(':');
        var soft = Number(parts[0], text);
        return new Dictionary<string, UlimitEntry>(map) { [key] = new UlimitEntry { Name = key, Soft = soft, Hard = parts.Length > 1 ? Number(parts[1], text) : soft } };
    }

    private static PoolEntry Pool(string text)
    {
        var values = text.Split(',').Select(Split).ToDictionary(p => p.Key, p => p.Value, StringComparer.Ordinal);
        return values.TryGetValue("base", out var range) && values.TryGetValue("size", out var size)
            ? new PoolEntry { Base = range, Size = (int)Number(size, text) }
            : throw HullException.Invalid($"invalid address pool '{text}': expected base=10.10.0.0/16,size=24");
    }

    private static (string Key, string Value) Split(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 ? (text[..equals], text[(equals + 1)..]) : throw HullException.Invalid($"invalid value '{text}': expected key=value");
    }

    private static long Number(string text, string whole) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw HullException.Invalid($"invalid value '{whole}': '{text}' is no number");
}
