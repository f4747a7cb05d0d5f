using System.Globalization;
using System.Net;
using Hull.Api;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Resources;
using Hull.Engine.Users;
using Hull.Engine.Volumes;
using Hull.Engine.Workloads;
using Hull.Images;
using Hull.Images.Distribution;
using Hull.Network;

namespace Hull.Daemon;

/// <summary>Puts the engine together from its parts: the only place that names concrete drivers.</summary>
internal static class Composition
{
    private const string DefaultDataRoot = "/var/lib/hull";
    private const string DefaultExecRoot = "/run/hull";

    /// <param name="starts">Whether the engine starts with them, and not only looks at them.</param>
    public static EngineOptions Options(DaemonConfig config, bool starts = false) => Check(config) with
    {
        Labels = config.Labels,
        DataRoot = Path.GetFullPath(config.DataRoot ?? DefaultDataRoot),
        ExecRoot = Path.GetFullPath(config.ExecRoot ?? DefaultExecRoot),
        CgroupParent = config.CgroupParent ?? "/hull",
        DefaultIsolation = config.DefaultIsolation ?? "container",
        DefaultRuntime = config.DefaultRuntime ?? "hull",
        Runtimes = config.Runtimes.ToDictionary(r => r.Key, r => new RuntimeOption(r.Value.Path, r.Value.Arguments), StringComparer.Ordinal),
        DefaultLogDriver = config.LogDriver ?? "json-file",
        DefaultLogOptions = config.LogOptions,
        DefaultInit = config.Init,
        InitPath = config.InitPath is { Length: > 0 } init ? Path.GetFullPath(init) : null,
        NoNewPrivileges = config.NoNewPrivileges,
        UserNamespaceRemap = config.UserNamespaceRemap is { Length: > 0 } remap ? new SubordinateIds().Remap(remap, reserve: starts) : null,
        DefaultUlimits = [.. config.DefaultUlimits.Select(u => new UlimitConfig(u.Value.Name.Length > 0 ? u.Value.Name : u.Key, u.Value.Soft, u.Value.Hard))],
        DefaultCgroupNamespace = config.DefaultCgroupNamespace ?? "private",
        DefaultIpc = config.DefaultIpc ?? "private",
        DefaultShmSize = config.DefaultShmSize is { } size ? Size(size) : 64L << 20,
        SeccompProfile = config.SeccompProfile is { Length: > 0 } profile and not ("builtin" or "unconfined") ? ReadProfile(profile)
            : config.SeccompProfile == "unconfined" ? "unconfined" : null,
        Resources = Resources(config.Resources),
        ShutdownTimeout = config.ShutdownTimeout ?? 15,
        KeepWorkloadsOnShutdown = config.LiveRestore ?? true,
        LiveTemplates = config.VmLiveTemplates ?? true,
        ImageTemplates = config.VmImageTemplates ?? 4,
        WarmMachines = config.VmWarmPool ?? 0,
        TenantLabels = config.VmTemplateSharing == "shared" ? [] : TenantLabels(config),
    };

    /// <summary>Options to begin with, once what is said of them can be.</summary>
    private static EngineOptions Check(DaemonConfig config)
    {
        OneOf(config.DefaultCgroupNamespace, "default-cgroupns-mode", "private", "host");
        OneOf(config.DefaultIpc, "default-ipc-mode", "private", "shareable");
        OneOf(config.VmTemplateSharing, "vm-template-sharing", "project", "shared");
        foreach (var option in config.ExecOptions.Where(option => option != "native.cgroupdriver=cgroupfs"))
        {
            throw HullException.Unsupported($"exec-opts: '{option}' is not supported: "
                + "the engine makes the cgroups of workloads itself (native.cgroupdriver=cgroupfs); let systemd delegate it one, and name that by cgroup-parent");
        }

        if (config.FirewallV6 is { } six && six != (config.Firewall ?? true))
            throw HullException.Unsupported("ip6tables: the firewall is one table for IPv4 and IPv6: set iptables to the same");
        if (config.InitPath is { Length: > 0 } init && !File.Exists(init)) throw HullException.NotFound($"init-path: {init} does not exist");
        if (config.VmImageTemplates is < 0 or > 100) throw HullException.Invalid("vm-image-templates must be between 0 and 100");
        if (config.VmWarmPool is < 0 or > 100) throw HullException.Invalid("vm-warm-pool must be between 0 and 100");
        if (config.OomScoreAdjust is < -1000 or > 1000) throw HullException.Invalid("oom-score-adjust must be between -1000 and 1000");
        foreach (var (value, key) in new[] { (config.MaxDownloads, "max-concurrent-downloads"), (config.MaxUploads, "max-concurrent-uploads"), (config.MaxDownloadAttempts, "max-download-attempts") })
        {
            if (value is < 1) throw HullException.Invalid($"invalid value {value} for {key}: expected at least 1");
        }

        return new EngineOptions();
    }

    /// <summary>Compose's projects are tenants, and so is whoever may see only what has a label.</summary>
    private static IReadOnlyList<string> TenantLabels(DaemonConfig config) =>
    [
        .. config.Access.Select(entry => entry.ToScope().Label).OfType<string>().Select(label => label.Split('=')[0]).Prepend("com.docker.compose.project").Distinct(),
    ];

    private static void OneOf(string? value, string key, params string[] values)
    {
        if (value is { Length: > 0 } && !values.Contains(value)) throw HullException.Invalid($"invalid value '{value}' for {key}: expected {string.Join(" or ", values)}");
    }

    public static TransferBounds Transfers(DaemonConfig config) => new(config.MaxDownloads ?? TransferBounds.Default.Downloads,
        config.MaxUploads ?? TransferBounds.Default.Uploads, config.MaxDownloadAttempts ?? TransferBounds.Default.Attempts);

    public static async Task<(HullEngine Engine, IImageService Images)> OpenAsync(DaemonConfig config, EngineOptions options, Logger log, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(options.DataRoot);
        var images = ImageService.Open(options.DataRoot, config.StorageDriver is "erofs" or "overlay" or "copy" ? config.StorageDriver : null,
            limits: RegistriesConfig.Load().Layers.ToLimits());
        var networks = await NetworkManager.OpenAsync(Networks(config, options, log), TimeProvider.System, cancellationToken).ConfigureAwait(false);
        var machines = new VmDriver(options);
        try
        {
            var engine = await HullEngine.OpenAsync(options, new EngineParts
            {
                Drivers = [new ContainerDriver(options), machines],
                Images = images,
                Networks = networks,
                Volumes = new VolumeManager(Path.Combine(options.DataRoot, "volumes"), log: log.Line),
                Log = log.Line,
            }, cancellationToken).ConfigureAwait(false);
            if (machines.WasUsed) _ = PrepareAsync(machines, log);
            return (engine, images);
        }
        catch
        {
            await networks.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Where machines ran before, the first one is not to wait for a template that QEMU, kernel or agent have outdated.</summary>
    private static async Task PrepareAsync(VmDriver machines, Logger log)
    {
        var began = TimeProvider.System.GetTimestamp();
        try
        {
            await Task.Run(() => machines.PrepareAsync(CancellationToken.None)).ConfigureAwait(false);
            log.Line(string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"the template of virtual machines is ready, after {TimeProvider.System.GetElapsedTime(began).TotalSeconds:0.0} s"));
        }
        catch (HullException cause)
        {
            log.Line($"no template of virtual machines: {cause.FullMessage}");
        }
    }

    /// <summary>The scopes of the configuration, each checked: one that cannot work as written would leave something open.</summary>
    public static AccessPolicy Access(DaemonConfig config)
    {
        foreach (var entry in config.Access)
        {
            if (entry.Name.Length == 0) throw HullException.Invalid("an entry of 'access' has no name");
            if ((entry.TokenSha256 ?? entry.Certificate ?? entry.Socket) is null)
                throw HullException.Invalid($"access '{entry.Name}': expected token-sha256, certificate or socket");
            if (entry.TokenSha256 is { } digest && (digest.Length != 64 || !digest.All(char.IsAsciiHexDigit)))
                throw HullException.Invalid($"access '{entry.Name}': token-sha256 has to be 64 hexadecimal digits, as printf %s TOKEN | sha256sum prints them");
            if (entry.Project is not null && entry.Label is not null) throw HullException.Invalid($"access '{entry.Name}': project and label exclude each other");
        }

        return new AccessPolicy([.. config.Access.Select(entry => new AccessGrant(entry.ToScope(), entry.TokenSha256, entry.Certificate))]);
    }

    /// <summary>The machine's registry settings with those of the engine put over them.</summary>
    public static RegistriesConfig Registries(DaemonConfig config)
    {
        var registries = config.InsecureRegistries.Aggregate(RegistriesConfig.Load(), (r, domain) => r.WithInsecure(domain));
        foreach (var text in config.RegistryMirrors)
        {
            // Docker's form is an address alone, for its Hub; Hull takes mirrors for every registry.
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            var (domain, address) = equals > 0 && !text[..equals].Contains('/', StringComparison.Ordinal) ? (text[..equals], text[(equals + 1)..]) : (ImageReference.DefaultDomain, text);
            var settings = registries.For(domain);
            registries = registries with
            {
                Registries = new Dictionary<string, RegistrySettings>(registries.Registries) { [domain] = settings with { Mirrors = [.. settings.Mirrors, address] } },
            };
        }

        return registries;
    }

    private static ResourceOptions Resources(ResourcesEntry entry)
    {
        if (entry.HostCpus is < 0 or > 65536) throw HullException.Invalid($"resources.host-cpus is {entry.HostCpus}: expected a number of processors");
        foreach (var (name, factor) in new[] { ("cpu-overcommit", entry.CpuOvercommit), ("memory-overcommit", entry.MemoryOvercommit) })
        {
            if (factor is not (> 0 and <= 1000)) throw HullException.Invalid($"resources.{name} is {factor}: expected how many times what there is may be reserved, such as 1.5");
        }

        if (entry.VmMemoryReserved is < 0 or > 100) throw HullException.Invalid($"resources.vm-memory-reserved is {entry.VmMemoryReserved}: expected a percentage");
        var defaults = new ResourceOptions();
        return new ResourceOptions
        {
            HostNanoCpus = (long)(entry.HostCpus * 1_000_000_000),
            HostMemory = entry.HostMemory is { } memory ? Size(memory, "resources.host-memory") : defaults.HostMemory,
            CpuOvercommit = entry.CpuOvercommit,
            MemoryOvercommit = entry.MemoryOvercommit,
            VmMemoryPercent = entry.VmMemoryReserved ?? defaults.VmMemoryPercent,
            Reclaim = Reclaim(entry.Reclaim),
        };
    }

    private static ReclaimOptions Reclaim(ReclaimEntry entry)
    {
        foreach (var (name, percent) in new[] { ("short", entry.Short), ("plenty", entry.Plenty), ("stalled", entry.Stalled), ("step", entry.Step) })
        {
            if (percent is < 1 or > 100) throw HullException.Invalid($"resources.reclaim.{name} is {percent}: expected a percentage from 1 to 100");
        }

        if (entry.Period is < 1 or > 3600) throw HullException.Invalid($"resources.reclaim.period is {entry.Period}: expected 1 to 3600 seconds");
        var defaults = new ReclaimOptions();
        var options = new ReclaimOptions
        {
            Enabled = entry.Enabled,
            ShortPercent = entry.Short ?? defaults.ShortPercent,
            PlentyPercent = entry.Plenty ?? Math.Max(defaults.PlentyPercent, entry.Short ?? 0),
            StalledPercent = entry.Stalled ?? defaults.StalledPercent,
            StepPercent = entry.Step ?? defaults.StepPercent,
            Period = entry.Period is { } seconds ? TimeSpan.FromSeconds(seconds) : defaults.Period,
        };
        return options.PlentyPercent >= options.ShortPercent ? options
            : throw HullException.Invalid($"resources.reclaim.plenty is {options.PlentyPercent}: it cannot be less than short, which is {options.ShortPercent}");
    }

    public static NetworkManagerOptions Networks(DaemonConfig config, EngineOptions options, Logger log)
    {
        var network = new NetworkManagerOptions
        {
            StateDirectory = Path.Combine(options.DataRoot, "networks"),
            RuntimeDirectory = Path.Combine(options.ExecRoot, "networks"),
            PublishDefaultAddress = config.PublishAddress is { } ip ? Address(ip, "ip") : IPAddress.Loopback,
            DefaultSubnet = config.BridgeAddress is { } bip ? Subnet(bip, "bip") : null,
            DefaultBridgeAddress = config.BridgeAddress is { } own ? HostOf(own, "bip") : null,
            DefaultRange = config.FixedRange is { } range ? Subnet(range, "fixed-cidr") : null,
            DefaultSubnetV6 = config.FixedRangeV6 is { } v6 ? Subnet(v6, "fixed-cidr-v6") : config.BridgeAddressV6 is { } bip6 ? Subnet(bip6, "bip6") : null,
            DefaultIPv6 = config.IPv6,
            DefaultRouters = [.. Routers(config)],
            DefaultMasquerade = config.Masquerade ?? true,
            DefaultBridgeName = config.Bridge is null or "" or "none" ? null : config.Bridge,
            DefaultNetwork = config.Bridge != "none",
            InterContainer = config.InterContainer ?? true,
            Mtu = config.Mtu ?? 0,
            DnsServers = [.. config.Dns.Select(d => Address(d, "dns"))],
            DnsSearch = config.DnsSearch,
            DnsOptions = config.DnsOptions,
            HostGateway = config.HostGateway is { } gateway ? Address(gateway, "host-gateway-ip") : null,
            Firewall = config.Firewall ?? true,
            EnableForwarding = config.IpForward ?? true,
            Log = log.Line,
        };
        return config.AddressPools.Count == 0 ? network
            : network with { AddressPools = [.. config.AddressPools.Select(p => new AddressPool(Subnet(p.Base, "default-address-pool"), p.Size))] };
    }

    private static IEnumerable<IPAddress> Routers(DaemonConfig config)
    {
        if (config.DefaultGateway is { Length: > 0 } four) yield return Address(four, "default-gateway");
        if (config.DefaultGatewayV6 is { Length: > 0 } six) yield return Address(six, "default-gateway-v6");
    }

    /// <summary>The address of a host with its range; null where the range alone was given.</summary>
    private static IPAddress? HostOf(string text, string key)
    {
        var range = Subnet(text, key);
        var address = Address(text[..text.IndexOf('/', StringComparison.Ordinal)], key);
        return address.Equals(range.BaseAddress) ? null : address;
    }

    private static IPAddress Address(string text, string key) => IPAddress.TryParse(text, out var address)
        ? address
        : throw HullException.Invalid($"invalid value '{text}' for {key}: expected an IP address");

    /// <summary>A range; the address of a host in it (<c>--bip 10.1.0.1/16</c>) stands for the range.</summary>
    private static IPNetwork Subnet(string text, string key)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && IPAddress.TryParse(text.AsSpan(0, slash), out var address)
            && int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var length))
        {
            var bytes = address.GetAddressBytes();
            if (length <= bytes.Length * 8)
            {
                for (var bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
                return new IPNetwork(new IPAddress(bytes), length);
            }
        }

        throw HullException.Invalid($"invalid value '{text}' for {key}: expected a range such as 10.1.0.0/16");
    }

    private static long Size(string text, string key = "default-shm-size")
    {
        if (text.Length == 0) throw HullException.Invalid($"no value for {key}: expected a size such as 64m");
        var shift = char.ToLowerInvariant(text[^1]) switch { 'k' => 10, 'm' => 20, 'g' => 30, _ => 0 };
        var digits = shift > 0 ? text[..^1] : text;
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number << shift
            : throw HullException.Invalid($"invalid value '{text}' for {key}: expected a size such as 64m");
    }

    private static string ReadProfile(string path) => File.Exists(path)
        ? File.ReadAllText(path)
        : throw HullException.NotFound($"seccomp profile {path} does not exist");
}
