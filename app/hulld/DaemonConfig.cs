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
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record DaemonConfig
{
    public const string DefaultPath = "/etc/hull/hulld.json";

    [JsonPropertyName("data-root")]
    public string? DataRoot { get; init; }

    [JsonPropertyName("exec-root")]
    public string? ExecRoot { get; init; }

    [JsonPropertyName("hosts")]
    public IReadOnlyList<string> Hosts { get; set; } = [];

    [JsonPropertyName("group")]
    public string? Group { get; init; }

    [JsonPropertyName("pidfile")]
    public string? PidFile { get; init; }

    [JsonPropertyName("log-level")]
    public string? LogLevel { get; init; }

    [JsonPropertyName("log-format")]
    public string? LogFormat { get; init; }

    [JsonPropertyName("debug")]
    public bool Debug { get; init; }

    [JsonPropertyName("tls")]
    public bool Tls { get; init; }

    [JsonPropertyName("tlsverify")]
    public bool TlsVerify { get; init; }

    [JsonPropertyName("tlscacert")]
    public string? TlsAuthority { get; init; }

    [JsonPropertyName("tlscert")]
    public string? TlsCertificate { get; init; }

    [JsonPropertyName("tlskey")]
    public string? TlsKey { get; init; }

    [JsonPropertyName("insecure-registries")]
    public IReadOnlyList<string> InsecureRegistries { get; set; } = [];

    [JsonPropertyName("registry-mirrors")]
    public IReadOnlyList<string> RegistryMirrors { get; set; } = [];

    [JsonPropertyName("default-runtime")]
    public string? DefaultRuntime { get; init; }

    [JsonPropertyName("runtimes")]
    public IReadOnlyDictionary<string, RuntimeEntry> Runtimes { get; set; } = new Dictionary<string, RuntimeEntry>();

    [JsonPropertyName("default-isolation")]
    public string? DefaultIsolation { get; init; }

    [JsonPropertyName("cgroup-parent")]
    public string? CgroupParent { get; init; }

    [JsonPropertyName("log-driver")]
    public string? LogDriver { get; init; }

    [JsonPropertyName("log-opts")]
    public IReadOnlyDictionary<string, string> LogOptions { get; set; } = new Dictionary<string, string>();

    [JsonPropertyName("default-ulimits")]
    public IReadOnlyDictionary<string, UlimitEntry> DefaultUlimits { get; set; } = new Dictionary<string, UlimitEntry>();

    [JsonPropertyName("init")]
    public bool Init { get; init; }

    [JsonPropertyName("no-new-privileges")]
    public bool NoNewPrivileges { get; init; }

    [JsonPropertyName("seccomp-profile")]
    public string? SeccompProfile { get; init; }

    [JsonPropertyName("default-cgroupns-mode")]
    public string? DefaultCgroupNamespace { get; init; }

    [JsonPropertyName("default-ipc-mode")]
    public string? DefaultIpc { get; init; }

    [JsonPropertyName("default-shm-size")]
    public string? DefaultShmSize { get; init; }

    [JsonPropertyName("shutdown-timeout")]
    public int? ShutdownTimeout { get; init; }

    [JsonPropertyName("live-restore")]
    public bool? LiveRestore { get; init; }

    [JsonPropertyName("labels")]
    public IReadOnlyList<string> Labels { get; set; } = [];

    [JsonPropertyName("bridge")]
    public string? Bridge { get; init; }

    [JsonPropertyName("bip")]
    public string? BridgeAddress { get; init; }

    [JsonPropertyName("fixed-cidr-v6")]
    public string? FixedRangeV6 { get; init; }

    [JsonPropertyName("default-address-pools")]
    public IReadOnlyList<PoolEntry> AddressPools { get; set; } = [];

    [JsonPropertyName("dns")]
    public IReadOnlyList<string> Dns { get; set; } = [];

    [JsonPropertyName("dns-opts")]
    public IReadOnlyList<string> DnsOptions { get; set; } = [];

    [JsonPropertyName("dns-search")]
    public IReadOnlyList<string> DnsSearch { get; set; } = [];

    [JsonPropertyName("icc")]
    public bool? InterContainer { get; init; }

    [JsonPropertyName("ip")]
    public string? PublishAddress { get; init; }

    [JsonPropertyName("ip-forward")]
    public bool? IpForward { get; init; }

    [JsonPropertyName("iptables")]
    public bool? Firewall { get; init; }

    [JsonPropertyName("mtu")]
    public int? Mtu { get; init; }

    [JsonPropertyName("host-gateway-ip")]
    public string? HostGateway { get; init; }

    [JsonPropertyName("metrics-addr")]
    public string? MetricsAddress { get; init; }

    /// <summary>Hull's: file that records who changed what.</summary>
    [JsonPropertyName("audit-log")]
    public string? AuditLog { get; init; }

    /// <summary>Hull's: access in scopes, by token or client certificate.</summary>
    [JsonPropertyName("access")]
    public IReadOnlyList<AccessEntry> Access { get; set; } = [];

    /// <summary>Accepted for the sake of files written for dockerd; Hull has no choice of storage drivers and no proxy processes.</summary>
    [JsonPropertyName("storage-driver")]
    public string? StorageDriver { get; init; }

    [JsonPropertyName("userland-proxy")]
    public bool? UserlandProxy { get; init; }

    [JsonPropertyName("features")]
    public IReadOnlyDictionary<string, bool>? Features { get; init; }

    [JsonPropertyName("experimental")]
    public bool? Experimental { get; init; }

    /// <summary>Reads a file; null where none is there and none was asked for by name.</summary>
    public static DaemonConfig? Load(string path, bool required)
    {
        if (!File.Exists(path))
        {
            return required ? throw HullException.NotFound($"configuration file {path} does not exist") : null;
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), DaemonJson.Default.DaemonConfig) ?? new DaemonConfig();
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

public sealed record UlimitEntry
{
    public string Name { get; set; } = "";

    public long Soft { get; init; }

    public long Hard { get; init; }
}

public sealed record PoolEntry
{
    [JsonPropertyName("base")]
    public string Base { get; set; } = "";

    [JsonPropertyName("size")]
    public int Size { get; init; }
}

/// <summary>What the bearer of a token or a client certificate may do.</summary>
public sealed record AccessEntry
{
    /// <summary>For the audit log.</summary>
    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    /// <summary>SHA-256 of the token in hexadecimal digits, so that the file holds no secret.</summary>
    [JsonPropertyName("token-sha256")]
    public string? TokenSha256 { get; init; }

    /// <summary>Common name of the client certificate.</summary>
    [JsonPropertyName("certificate")]
    public string? Certificate { get; init; }

    [JsonPropertyName("read-only")]
    public bool ReadOnly { get; init; }

    /// <summary><c>key</c> or <c>key=value</c> that workloads, networks and volumes must carry; a compose project is <c>com.docker.compose.project=NAME</c>.</summary>
    [JsonPropertyName("label")]
    public string? Label { get; init; }
}

[JsonSerializable(typeof(DaemonConfig))]
[JsonSourceGenerationOptions(ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, RespectNullableAnnotations = true)]
internal sealed partial class DaemonJson : JsonSerializerContext;
