using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;

namespace Hull.Daemon;

/// <summary>
/// The configuration file: dockerd's keys where the meaning is the same, a few of Hull's own. Keys nobody knows are an
/// error, so that a spelling mistake does not silently leave something open. docs/CONFIGURATION.md describes each.
/// What has a value without being named is <c>set</c>, not <c>init</c>: the generated reader gives every <c>init</c>
/// property that a file leaves out the value null.
/// </summary>
/// <remarks>Members can be set because generated code gives init-only ones that a file leaves out null, not their default.</remarks>
public sealed record DaemonConfig
{
    public const string DefaultPath = "/etc/hull/hulld.json";

    [JsonPropertyName("data-root")]
    public string? DataRoot { get; set; }

    [JsonPropertyName("exec-root")]
    public string? ExecRoot { get; set; }

    [JsonPropertyName("hosts")]
    public IReadOnlyList<string> Hosts { get; set; } = [];

    [JsonPropertyName("group")]
    public string? Group { get; set; }

    [JsonPropertyName("pidfile")]
    public string? PidFile { get; set; }

    [JsonPropertyName("log-level")]
    public string? LogLevel { get; set; }

    [JsonPropertyName("log-format")]
    public string? LogFormat { get; set; }

    [JsonPropertyName("debug")]
    public bool Debug { get; set; }

    [JsonPropertyName("tls")]
    public bool Tls { get; set; }

    [JsonPropertyName("tlsverify")]
    public bool TlsVerify { get; set; }

    [JsonPropertyName("tlscacert")]
    public string? TlsAuthority { get; set; }

    [JsonPropertyName("tlscert")]
    public string? TlsCertificate { get; set; }

    [JsonPropertyName("tlskey")]
    public string? TlsKey { get; set; }

    [JsonPropertyName("insecure-registries")]
    public IReadOnlyList<string> InsecureRegistries { get; set; } = [];

    [JsonPropertyName("registry-mirrors")]
    public IReadOnlyList<string> RegistryMirrors { get; set; } = [];

    [JsonPropertyName("default-runtime")]
    public string? DefaultRuntime { get; set; }

    [JsonPropertyName("runtimes")]
    public IReadOnlyDictionary<string, RuntimeEntry> Runtimes { get; set; } = new Dictionary<string, RuntimeEntry>();

    [JsonPropertyName("default-isolation")]
    public string? DefaultIsolation { get; set; }

    [JsonPropertyName("cgroup-parent")]
    public string? CgroupParent { get; set; }

    [JsonPropertyName("log-driver")]
    public string? LogDriver { get; set; }

    [JsonPropertyName("log-opts")]
    public IReadOnlyDictionary<string, string> LogOptions { get; set; } = new Dictionary<string, string>();

    [JsonPropertyName("default-ulimits")]
    public IReadOnlyDictionary<string, UlimitEntry> DefaultUlimits { get; set; } = new Dictionary<string, UlimitEntry>();

    [JsonPropertyName("init")]
    public bool Init { get; set; }

    /// <summary>The program of <see cref="Init"/>; null for the one beside hull-shim.</summary>
    [JsonPropertyName("init-path")]
    public string? InitPath { get; set; }

    [JsonPropertyName("exec-opts")]
    public IReadOnlyList<string> ExecOptions { get; set; } = [];

    /// <summary>The engine's own score.</summary>
    [JsonPropertyName("oom-score-adjust")]
    public int? OomScoreAdjust { get; set; }

    [JsonPropertyName("max-concurrent-downloads")]
    public int? MaxDownloads { get; set; }

    [JsonPropertyName("max-concurrent-uploads")]
    public int? MaxUploads { get; set; }

    [JsonPropertyName("max-download-attempts")]
    public int? MaxDownloadAttempts { get; set; }

    [JsonPropertyName("proxies")]
    public ProxyEntry Proxies { get; set; } = new();

    [JsonPropertyName("no-new-privileges")]
    public bool NoNewPrivileges { get; set; }

    [JsonPropertyName("userns-remap")]
    public string? UserNamespaceRemap { get; set; }

    [JsonPropertyName("seccomp-profile")]
    public string? SeccompProfile { get; set; }

    [JsonPropertyName("default-cgroupns-mode")]
    public string? DefaultCgroupNamespace { get; set; }

    [JsonPropertyName("default-ipc-mode")]
    public string? DefaultIpc { get; set; }

    [JsonPropertyName("default-shm-size")]
    public string? DefaultShmSize { get; set; }

    [JsonPropertyName("shutdown-timeout")]
    public int? ShutdownTimeout { get; set; }

    [JsonPropertyName("live-restore")]
    public bool? LiveRestore { get; set; }

    [JsonPropertyName("vm-live-templates")]
    public bool? VmLiveTemplates { get; set; }

    [JsonPropertyName("vm-image-templates")]
    public int? VmImageTemplates { get; set; }

    [JsonPropertyName("vm-warm-pool")]
    public int? VmWarmPool { get; set; }

    /// <summary><c>project</c> (default) or <c>shared</c>.</summary>
    [JsonPropertyName("vm-template-sharing")]
    public string? VmTemplateSharing { get; set; }

    [JsonPropertyName("labels")]
    public IReadOnlyList<string> Labels { get; set; } = [];

    [JsonPropertyName("bridge")]
    public string? Bridge { get; set; }

    [JsonPropertyName("bip")]
    public string? BridgeAddress { get; set; }

    [JsonPropertyName("bip6")]
    public string? BridgeAddressV6 { get; set; }

    [JsonPropertyName("fixed-cidr")]
    public string? FixedRange { get; set; }

    [JsonPropertyName("default-gateway")]
    public string? DefaultGateway { get; set; }

    [JsonPropertyName("default-gateway-v6")]
    public string? DefaultGatewayV6 { get; set; }

    [JsonPropertyName("ipv6")]
    public bool? IPv6 { get; set; }

    [JsonPropertyName("ip6tables")]
    public bool? FirewallV6 { get; set; }

    [JsonPropertyName("ip-masq")]
    public bool? Masquerade { get; set; }

    [JsonPropertyName("fixed-cidr-v6")]
    public string? FixedRangeV6 { get; set; }

    [JsonPropertyName("default-address-pools")]
    public IReadOnlyList<PoolEntry> AddressPools { get; set; } = [];

    [JsonPropertyName("dns")]
    public IReadOnlyList<string> Dns { get; set; } = [];

    [JsonPropertyName("dns-opts")]
    public IReadOnlyList<string> DnsOptions { get; set; } = [];

    [JsonPropertyName("dns-search")]
    public IReadOnlyList<string> DnsSearch { get; set; } = [];

    [JsonPropertyName("icc")]
    public bool? InterContainer { get; set; }

    [JsonPropertyName("ip")]
    public string? PublishAddress { get; set; }

    [JsonPropertyName("ip-forward")]
    public bool? IpForward { get; set; }

    [JsonPropertyName("iptables")]
    public bool? Firewall { get; set; }

    [JsonPropertyName("mtu")]
    public int? Mtu { get; set; }

    [JsonPropertyName("host-gateway-ip")]
    public string? HostGateway { get; set; }

    [JsonPropertyName("metrics-addr")]
    public string? MetricsAddress { get; set; }

    /// <summary>Hull's: file that records who changed what.</summary>
    [JsonPropertyName("audit-log")]
    public string? AuditLog { get; set; }

    /// <summary>Hull's: what may be reserved of the machine.</summary>
    [JsonPropertyName("resources")]
    public ResourcesEntry Resources { get; set; } = new();

    /// <summary>Hull's: access in scopes, by token or client certificate.</summary>
    [JsonPropertyName("access")]
    public IReadOnlyList<AccessEntry> Access { get; set; } = [];

    /// <summary>Accepted for the sake of files written for dockerd; Hull has no choice of storage drivers and no proxy processes.</summary>
    [JsonPropertyName("storage-driver")]
    public string? StorageDriver { get; set; }

    [JsonPropertyName("userland-proxy")]
    public bool? UserlandProxy { get; set; }

    [JsonPropertyName("features")]
    public IReadOnlyDictionary<string, bool>? Features { get; set; }

    [JsonPropertyName("experimental")]
    public bool? Experimental { get; set; }

    [JsonPropertyName("raw-logs")]
    public bool? RawLogs { get; set; }

    /// <summary>Members that are none of the above.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Reads a file; null where none is there and none was asked for by name.</summary>
    public static DaemonConfig? Load(string path, bool required)
    {
        if (!File.Exists(path))
        {
            return required ? throw HullException.NotFound($"configuration file {path} does not exist") : null;
        }

        try
        {
            var config = JsonSerializer.Deserialize(File.ReadAllBytes(path), DaemonJson.Default.DaemonConfig) ?? new DaemonConfig();
            ForeignOptions.Check(config.Others ?? [], path);
            return config;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw HullException.Invalid($"configuration file {path} cannot be read", e);
        }
    }
}

public sealed record RuntimeEntry
{
    [JsonPropertyName("path")]
    public string Path { get; set; } = "";

    [JsonPropertyName("runtimeArgs")]
    public IReadOnlyList<string> Arguments { get; set; } = [];
}

public sealed record ProxyEntry
{
    [JsonPropertyName("http-proxy")]
    public string? Http { get; set; }

    [JsonPropertyName("https-proxy")]
    public string? Https { get; set; }

    [JsonPropertyName("no-proxy")]
    public string? Except { get; set; }
}

public sealed record UlimitEntry
{
    public string Name { get; set; } = "";

    public long Soft { get; set; }

    public long Hard { get; set; }
}

/// <summary>What may be reserved of the machine; docs/RESOURCES.md.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ResourcesEntry
{
    /// <summary>Processors that are never reserved.</summary>
    [JsonPropertyName("host-cpus")]
    public double HostCpus { get; set; }

    /// <summary>Memory that is never reserved.</summary>
    [JsonPropertyName("host-memory")]
    public string? HostMemory { get; set; }

    [JsonPropertyName("cpu-overcommit")]
    public double CpuOvercommit { get; set; } = 1;

    [JsonPropertyName("memory-overcommit")]
    public double MemoryOvercommit { get; set; } = 1;

    /// <summary>Percent of a virtual machine's memory that counts as reserved unless it says what it reserves.</summary>
    [JsonPropertyName("vm-memory-reserved")]
    public int? VmMemoryReserved { get; set; }

    [JsonPropertyName("reclaim")]
    public ReclaimEntry Reclaim { get; set; } = new();
}

/// <summary>When memory is taken from low priorities; percentages.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ReclaimEntry
{
    [JsonPropertyName("enabled")]
    public bool Enabled { get; set; } = true;

    [JsonPropertyName("short")]
    public int? Short { get; set; }

    [JsonPropertyName("plenty")]
    public int? Plenty { get; set; }

    [JsonPropertyName("stalled")]
    public int? Stalled { get; set; }

    [JsonPropertyName("step")]
    public int? Step { get; set; }

    /// <summary>Seconds.</summary>
    [JsonPropertyName("period")]
    public int? Period { get; set; }
}

public sealed record PoolEntry
{
    [JsonPropertyName("base")]
    public string Base { get; set; } = "";

    [JsonPropertyName("size")]
    public int Size { get; set; }
}

/// <summary>What the bearer of a token or a client certificate may do.</summary>
public sealed record AccessEntry
{
    /// <summary>For the audit log.</summary>
    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    /// <summary>SHA-256 of the token in hexadecimal digits, so that the file holds no secret.</summary>
    [JsonPropertyName("token-sha256")]
    public string? TokenSha256 { get; set; }

    /// <summary>Common name of the client certificate.</summary>
    [JsonPropertyName("certificate")]
    public string? Certificate { get; set; }

    /// <summary>Path of a unix socket of its own: whoever reaches it has this scope.</summary>
    [JsonPropertyName("socket")]
    public string? Socket { get; set; }

    /// <summary>Name or number of the group that may use the socket; root alone without one.</summary>
    [JsonPropertyName("group")]
    public string? Group { get; set; }

    [JsonPropertyName("read-only")]
    public bool ReadOnly { get; set; }

    /// <summary>A compose project: short for the label <c>com.docker.compose.project=NAME</c>.</summary>
    [JsonPropertyName("project")]
    public string? Project { get; set; }

    /// <summary><c>key</c> or <c>key=value</c> that workloads, networks and volumes must carry; null for all.</summary>
    [JsonPropertyName("label")]
    public string? Label { get; set; }

    public Hull.Api.Http.AccessScope ToScope() => new(Name, ReadOnly, Project is null ? Label : "com.docker.compose.project=" + Project);
}

[JsonSerializable(typeof(DaemonConfig))]
[JsonSourceGenerationOptions(ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, RespectNullableAnnotations = true)]
internal sealed partial class DaemonJson : JsonSerializerContext;
