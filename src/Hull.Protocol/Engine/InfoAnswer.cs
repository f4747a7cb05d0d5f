using System.Text.Json.Serialization;

namespace Hull.Protocol;

/// <summary>Answer to <c>GET /info</c>.</summary>
public sealed class InfoAnswer
{
    public string ID { get; set; } = "";
    public int Containers { get; set; }
    public int ContainersRunning { get; set; }
    public int ContainersPaused { get; set; }
    public int ContainersStopped { get; set; }
    public int Images { get; set; }
    public string Driver { get; set; } = "";
    public List<List<string>> DriverStatus { get; set; } = [];
    public PluginNames Plugins { get; set; } = new();
    public bool MemoryLimit { get; set; }
    public bool SwapLimit { get; set; }
    public bool CpuCfsPeriod { get; set; }
    public bool CpuCfsQuota { get; set; }
    public bool CPUShares { get; set; }
    public bool CPUSet { get; set; }
    public bool PidsLimit { get; set; }
    public bool OomKillDisable { get; set; }
    public bool IPv4Forwarding { get; set; }
    public bool BridgeNfIptables { get; set; }
    public bool BridgeNfIp6tables { get; set; }
    public bool Debug { get; set; }
    public int NFd { get; set; }
    public int NGoroutines { get; set; }
    public string SystemTime { get; set; } = "";
    public string LoggingDriver { get; set; } = "";
    public string CgroupDriver { get; set; } = "";
    public string CgroupVersion { get; set; } = "";
    public int NEventsListener { get; set; }
    public string KernelVersion { get; set; } = "";
    public string OperatingSystem { get; set; } = "";
    public string OSVersion { get; set; } = "";
    public string OSType { get; set; } = "linux";
    public string Architecture { get; set; } = "";
    public string IndexServerAddress { get; set; } = "https://index.docker.io/v1/";
    public RegistrySettings RegistryConfig { get; set; } = new();
    public int NCPU { get; set; }
    public long MemTotal { get; set; }
    public List<string>? GenericResources { get; set; }
    public string DockerRootDir { get; set; } = "";
    public string HttpProxy { get; set; } = "";
    public string HttpsProxy { get; set; } = "";
    public string NoProxy { get; set; } = "";
    public string Name { get; set; } = "";
    public IReadOnlyList<string> Labels { get; set; } = [];
    public bool ExperimentalBuild { get; set; }
    public string ServerVersion { get; set; } = "";
    public SortedDictionary<string, RuntimeInfo> Runtimes { get; set; } = new(StringComparer.Ordinal);
    public string DefaultRuntime { get; set; } = "";
    public SwarmInfo Swarm { get; set; } = new();
    public bool LiveRestoreEnabled { get; set; } = true;
    public string Isolation { get; set; } = "";
    public string InitBinary { get; set; } = "";
    public ComponentCommit ContainerdCommit { get; set; } = new();
    public ComponentCommit RuncCommit { get; set; } = new();
    public ComponentCommit InitCommit { get; set; } = new();
    public IReadOnlyList<string> SecurityOptions { get; set; } = [];
    public List<AddressPoolInfo>? DefaultAddressPools { get; set; }
    public List<string>? CDISpecDirs { get; set; }
    public IReadOnlyList<string>? Warnings { get; set; }

    /// <summary>Hull's: what each isolation is and can do.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SortedDictionary<string, IsolationInfo>? Isolations { get; set; }
}

public sealed class IsolationInfo
{
    /// <summary>The fact that says, for people, what those who start something have to wait for at present.</summary>
    public const string Preparing = "preparing";

    public IReadOnlyDictionary<string, string> Facts { get; set; } = new Dictionary<string, string>();
    public IReadOnlyList<string> Supported { get; set; } = [];

    /// <summary>What it cannot do, and why.</summary>
    public SortedDictionary<string, string> Unsupported { get; set; } = new(StringComparer.Ordinal);
}

public sealed class PluginNames
{
    public IReadOnlyList<string> Volume { get; set; } = ["local"];
    public IReadOnlyList<string> Network { get; set; } = ["bridge", "host", "ipvlan", "macvlan", "null"];
    public IReadOnlyList<string>? Authorization { get; set; }
    public IReadOnlyList<string> Log { get; set; } = [];
}

public sealed class RegistrySettings
{
    public IReadOnlyList<string> AllowNondistributableArtifactsCIDRs { get; set; } = [];
    public IReadOnlyList<string> AllowNondistributableArtifactsHostnames { get; set; } = [];
    public IReadOnlyList<string> InsecureRegistryCIDRs { get; set; } = ["::1/128", "127.0.0.0/8"];
    public SortedDictionary<string, RegistryIndex> IndexConfigs { get; set; } = new(StringComparer.Ordinal);
    public IReadOnlyList<string>? Mirrors { get; set; }
}

public sealed class RegistryIndex
{
    public string Name { get; set; } = "";
    public IReadOnlyList<string> Mirrors { get; set; } = [];
    public bool Secure { get; set; } = true;
    public bool Official { get; set; }
}

public sealed class RuntimeInfo
{
    [JsonPropertyName("path")]
    public string Path { get; set; } = "";

    [JsonPropertyName("runtimeArgs"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? RuntimeArgs { get; set; }
}

public sealed class SwarmInfo
{
    public string NodeID { get; set; } = "";
    public string NodeAddr { get; set; } = "";
    public string LocalNodeState { get; set; } = "inactive";
    public bool ControlAvailable { get; set; }
    public string Error { get; set; } = "";
    public IReadOnlyList<string>? RemoteManagers { get; set; }
}

public sealed class ComponentCommit
{
    public string ID { get; set; } = "";
}

public sealed class AddressPoolInfo
{
    public string Base { get; set; } = "";
    public int Size { get; set; }
}
