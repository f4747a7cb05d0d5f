using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// What the user asked for. Immutable input: editing a workload replaces it. Members that are null or empty fall back
/// to the image's own, and then to the engine's defaults. An image never sets anything but <see cref="Process"/>
/// defaults, exposed ports, anonymous volumes, labels and the health check.
/// </summary>
public sealed record WorkloadConfig
{
    /// <summary>Without a leading slash; null for a generated one.</summary>
    public string? Name { get; init; }

    /// <summary>Reference, id or digest of the image as the user wrote it; empty with <see cref="RootDirectory"/>.</summary>
    public string Image { get; init; } = "";

    /// <summary>A directory of the host used as root in place of an image.</summary>
    public string? RootDirectory { get; init; }

    /// <summary><c>os/arch[/variant]</c>; null for the host's.</summary>
    public string? Platform { get; init; }

    /// <summary><c>container</c> or <c>vm</c>; null for the engine's default.</summary>
    public string? Isolation { get; init; }

    /// <summary>A configured runtime by name; null for the default.</summary>
    public string? Runtime { get; init; }

    /// <summary>Options of the isolation, such as <c>vm.memory</c>.</summary>
    public IReadOnlyDictionary<string, string> IsolationOptions { get; init; } = new Dictionary<string, string>();

    public ProcessConfig Process { get; init; } = new();
    public NamespaceConfig Namespaces { get; init; } = new();
    public SecurityConfig Security { get; init; } = new();
    public ResourceLimits Resources { get; init; } = new();
    public NetworkingConfig Networking { get; init; } = new();
    public IReadOnlyList<MountConfig> Mounts { get; init; } = [];

    /// <summary>Workloads whose mounts are taken over: <c>id[:ro|rw]</c>.</summary>
    public IReadOnlyList<string> VolumesFrom { get; init; } = [];

    public IReadOnlyList<DeviceConfig> Devices { get; init; } = [];

    /// <summary>Device cgroup rules such as <c>c 42:* rmw</c>.</summary>
    public IReadOnlyList<string> DeviceRules { get; init; } = [];

    public IReadOnlyList<UlimitConfig> Ulimits { get; init; } = [];
    public IReadOnlyDictionary<string, string> Sysctls { get; init; } = new Dictionary<string, string>();

    /// <summary>Bytes of /dev/shm; null for 64 MiB.</summary>
    public long? ShmSize { get; init; }

    public int? OomScoreAdjust { get; init; }
    public bool OomKillDisable { get; init; }
    public string? CgroupParent { get; init; }

    /// <summary>The group whose resources it shares; null for none. An image never sets it.</summary>
    public string? Group { get; init; }

    /// <summary>Run a tiny init that reaps orphans and forwards signals; null for the engine's default.</summary>
    public bool? Init { get; init; }

    public bool AutoRemove { get; init; }
    public RestartPolicy Restart { get; init; } = new();
    public HealthConfig? Health { get; init; }
    public LogConfig Log { get; init; } = new();
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    /// <summary>Workloads (ids or names) that must be running before this one when the machine boots.</summary>
    public IReadOnlyList<string> DependsOn { get; init; } = [];

    /// <summary>
    /// Opaque data of a wire edge, stored and given back as it is, by name of the edge: what a protocol carries and the
    /// engine has no use for.
    /// </summary>
    public IReadOnlyDictionary<string, string> EdgeData { get; init; } = new Dictionary<string, string>();
}

/// <summary>The first process.</summary>
public sealed record ProcessConfig
{
    /// <summary>Null for the image's; an empty list for none.</summary>
    public IReadOnlyList<string>? Entrypoint { get; init; }

    /// <summary>Null for the image's (unless an entrypoint is given here, as with a shell's quoting rules).</summary>
    public IReadOnlyList<string>? Command { get; init; }

    /// <summary><c>NAME=value</c>; a bare <c>NAME</c> removes the image's.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    public string? WorkingDirectory { get; init; }
    public string? User { get; init; }

    /// <summary>Additional groups, by name or id.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    public bool Terminal { get; init; }
    public bool OpenInput { get; init; }
    public bool InputOnce { get; init; }

    /// <summary>What clients attach to by default; recorded for them.</summary>
    public StreamSelection AttachDefault { get; init; }

    /// <summary>Terminal size at the start.</summary>
    public int Columns { get; init; }

    public int Rows { get; init; }

    /// <summary>Name or number; null for the image's, else SIGTERM.</summary>
    public string? StopSignal { get; init; }

    /// <summary>Seconds between the stop signal and SIGKILL; -1 waits for ever; null for 10.</summary>
    public int? StopTimeout { get; init; }
}

/// <summary>
/// Namespace modes. Each is null for the default, or <c>private</c>, <c>host</c>, <c>shareable</c>, <c>none</c> or
/// <c>container:&lt;id or name&gt;</c> where that has a meaning.
/// </summary>
public sealed record NamespaceConfig
{
    public string? Pid { get; init; }
    public string? Ipc { get; init; }
    public string? Uts { get; init; }
    public string? Cgroup { get; init; }

    /// <summary><c>host</c>, <c>private</c>, <c>auto[:size=N]</c> or <c>container:&lt;id or name&gt;</c>; null for the engine's setting.</summary>
    public string? User { get; init; }
}

/// <summary>What the workload may do to the machine. Comes from the user's request only.</summary>
public sealed record SecurityConfig
{
    public bool Privileged { get; init; }
    public IReadOnlyList<string> CapabilitiesAdd { get; init; } = [];
    public IReadOnlyList<string> CapabilitiesDrop { get; init; } = [];
    public bool NoNewPrivileges { get; init; }
    public bool ReadOnlyRoot { get; init; }

    /// <summary>Null for the default profile, <c>unconfined</c>, or the profile's JSON.</summary>
    public string? Seccomp { get; init; }

    /// <summary>AppArmor profile by name; null for the default, <c>unconfined</c> for none.</summary>
    public string? AppArmor { get; init; }

    /// <summary>SELinux label parts, such as <c>type:svirt_t</c>.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Null for the defaults; an empty list unmasks everything.</summary>
    public IReadOnlyList<string>? MaskedPaths { get; init; }

    public IReadOnlyList<string>? ReadOnlyPaths { get; init; }
}

/// <summary>How the workload is reached and what it reaches.</summary>
public sealed record NetworkingConfig
{
    /// <summary>
    /// Null for the default bridge, or <c>none</c>, <c>host</c>, <c>container:&lt;id or name&gt;</c>, or the name or id of
    /// the first network.
    /// </summary>
    public string? Mode { get; init; }

    public string? Hostname { get; init; }
    public string? DomainName { get; init; }
    public string? MacAddress { get; init; }

    /// <summary>Settings per network, and further networks, by name or id.</summary>
    public IReadOnlyDictionary<string, AttachmentConfig> Networks { get; init; } = new Dictionary<string, AttachmentConfig>();

    /// <summary>Ports declared by the user, such as <c>80/tcp</c>; the image's are added.</summary>
    public IReadOnlyList<string> ExposedPorts { get; init; } = [];

    public IReadOnlyList<PortConfig> Ports { get; init; } = [];

    /// <summary>Publish every exposed port on a free port of the host.</summary>
    public bool PublishAll { get; init; }

    public IReadOnlyList<string> Dns { get; init; } = [];
    public IReadOnlyList<string> DnsSearch { get; init; } = [];
    public IReadOnlyList<string> DnsOptions { get; init; } = [];

    /// <summary><c>name:address</c>; the address <c>host-gateway</c> stands for the host.</summary>
    public IReadOnlyList<string> ExtraHosts { get; init; } = [];

    /// <summary>Links on the default bridge: <c>workload[:alias]</c>.</summary>
    public IReadOnlyList<string> Links { get; init; } = [];
}

/// <summary>Settings of one network for one workload.</summary>
public sealed record AttachmentConfig
{
    public IReadOnlyList<string> Aliases { get; init; } = [];
    public IReadOnlyList<string> Links { get; init; } = [];
    public string? Ipv4Address { get; init; }
    public string? Ipv6Address { get; init; }
    public IReadOnlyList<string> LinkLocalAddresses { get; init; } = [];
    public string? MacAddress { get; init; }
    public int? GatewayPriority { get; init; }
    public IReadOnlyDictionary<string, string> DriverOptions { get; init; } = new Dictionary<string, string>();
}

/// <summary>One published port or range.</summary>
/// <param name="ContainerPort">Port inside.</param>
/// <param name="Protocol"><c>tcp</c>, <c>udp</c> or <c>sctp</c>.</param>
/// <param name="HostAddress">Null for the engine's default.</param>
/// <param name="HostPort">0 for a free one.</param>
/// <param name="HostPortEnd">Last port of a range to choose from; 0 for no range.</param>
public sealed record PortConfig(ushort ContainerPort, string Protocol = "tcp", string? HostAddress = null,
    ushort HostPort = 0, ushort HostPortEnd = 0);

/// <summary>Something mounted into the root.</summary>
public sealed record MountConfig
{
    /// <summary><c>bind</c>, <c>volume</c>, <c>tmpfs</c> or <c>image</c>.</summary>
    public required string Type { get; init; }

    /// <summary>Path, volume name or image; empty for an anonymous volume or a tmpfs.</summary>
    public string Source { get; init; } = "";

    /// <summary>Absolute path inside.</summary>
    public required string Target { get; init; }

    public bool ReadOnly { get; init; }

    /// <summary>Submounts become read-only too; null for "where the kernel can".</summary>
    public bool? RecursiveReadOnly { get; init; }

    /// <summary><c>rprivate</c> (default), <c>private</c>, <c>rshared</c>, <c>shared</c>, <c>rslave</c>, <c>slave</c>.</summary>
    public string? Propagation { get; init; }

    /// <summary>Leave submounts of the source out.</summary>
    public bool NonRecursive { get; init; }

    /// <summary>Make the source directory if it is missing (<c>-v</c>; not <c>--mount</c>).</summary>
    public bool CreateSource { get; init; }

    /// <summary>Do not fill an empty volume from the image.</summary>
    public bool NoCopy { get; init; }

    /// <summary>Path inside the volume or image.</summary>
    public string? Subpath { get; init; }

    /// <summary>Driver, options and labels for a volume that has to be made.</summary>
    public string? VolumeDriver { get; init; }

    public IReadOnlyDictionary<string, string> VolumeOptions { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> VolumeLabels { get; init; } = new Dictionary<string, string>();

    /// <summary>Bytes of a tmpfs; null for the kernel's default.</summary>
    public long? TmpfsSize { get; init; }

    /// <summary>Mode of a tmpfs's root, such as 0x3FF (01777).</summary>
    public int? TmpfsMode { get; init; }

    /// <summary>Mount options as the user wrote them for a tmpfs (<c>noexec</c>, <c>size=…</c>), or <c>z</c>/<c>Z</c>.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>Written with <c>--tmpfs</c> or <c>-v</c> rather than <c>--mount</c>: for clients that show it again.</summary>
    public bool ShortForm { get; init; }
}

public sealed record DeviceConfig(string HostPath, string ContainerPath, string Permissions = "rwm");

public sealed record UlimitConfig(string Name, long Soft, long Hard);

/// <param name="Name"><c>no</c>, <c>always</c>, <c>unless-stopped</c> or <c>on-failure</c>.</param>
/// <param name="MaximumRetries">With <c>on-failure</c>; 0 for no bound.</param>
public sealed record RestartPolicy(string Name = "no", int MaximumRetries = 0);

/// <summary>How to find out whether the workload does its work.</summary>
public sealed record HealthConfig
{
    /// <summary>Empty for the image's; <c>NONE</c>; <c>CMD</c> and arguments; <c>CMD-SHELL</c> and a line.</summary>
    public IReadOnlyList<string> Test { get; init; } = [];

    /// <summary>Zero for 30 s.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>Zero for 30 s.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>Failures in this time after the start do not count.</summary>
    public TimeSpan StartPeriod { get; init; }

    /// <summary>Interval within the start period; zero for 5 s.</summary>
    public TimeSpan StartInterval { get; init; }

    /// <summary>Consecutive failures that make it unhealthy; 0 for 3.</summary>
    public int Retries { get; init; }

    /// <summary><c>none</c>, <c>restart</c>, <c>stop</c> or <c>kill</c> when it becomes unhealthy.</summary>
    public string OnFailure { get; init; } = "none";
}

/// <param name="Driver">Null for the engine's default.</param>
public sealed record LogConfig(string? Driver = null)
{
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}
