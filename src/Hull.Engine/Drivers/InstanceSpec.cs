using System.Text.Json.Serialization;
using Hull.Network;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers;

/// <summary>
/// Everything a driver needs to realize a workload, whatever the isolation. Immutable; stored beside the workload so
/// that an instance can be found again and a root reopened after the engine was restarted.
/// </summary>
public sealed record InstanceSpec
{
    /// <summary>The workload's id: 64 hexadecimal digits; unique among live instances.</summary>
    public required string Id { get; init; }

    /// <summary>Directory for runtime files of this instance (sockets, pid files); on tmpfs, gone after a reboot.</summary>
    public required string RuntimeDirectory { get; init; }

    /// <summary>Directory that survives a reboot: exit record, log. Belongs to the engine.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>
    /// What runs, as the OCI runtime-spec has it: process, mounts, namespaces, resources. The root's path is the driver's,
    /// the process's ids come from <see cref="User"/>, and a driver that is no container takes what means something to it.
    /// </summary>
    public required Spec Spec { get; init; }

    /// <summary>User as the user or the image wrote it; looked up in the root's own files by whoever has the root.</summary>
    public string User { get; init; } = "";

    /// <summary>Additional groups, by name or id.</summary>
    public IReadOnlyList<string> AdditionalGroups { get; init; } = [];

    public required InstanceRoot Root { get; init; }

    public required StdioSpec Stdio { get; init; }

    public required LogSpec Log { get; init; }

    public InstanceNetworking Network { get; init; } = new();

    public ResourceLimits Resources { get; init; } = new();

    public IsolationOptions Isolation { get; init; } = new();

    /// <summary>Whose it is; empty for nobody's in particular. What could be measured from inside is not shared between tenants.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Instances whose namespaces this one joins must be running: ids.</summary>
    public IReadOnlyList<string> Joins { get; init; } = [];

    /// <summary>What the instance goes on from; null begins anew. Needed by the creation alone.</summary>
    [JsonIgnore]
    public ISavedInstance? Saved { get; init; }

    /// <summary>
    /// Says that the start follows at once, behind attachments with these streams: a driver may do all of it in the creation,
    /// which saves the way back and forth between. Null lets it wait for <see cref="IInstance.StartAsync"/>.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<StreamSelection>? Begin { get; init; }
}

/// <summary>The root file system, in each form a driver may want it.</summary>
public sealed record InstanceRoot
{
    /// <summary>Key of the active snapshot in the snapshot store; null when <see cref="Directory"/> is the root.</summary>
    public string? SnapshotKey { get; init; }

    /// <summary>A directory of the host used as root as it is.</summary>
    public string? Directory { get; init; }

    /// <summary>Mounts that make the root, in order (normally one overlay).</summary>
    public IReadOnlyList<RootMount> Mounts { get; init; } = [];

    /// <summary>Images mounted into it, read-only; null for none.</summary>
    public IReadOnlyList<ImageMount>? Images { get; init; }

    /// <summary>One uncompressed erofs file per layer, lowest first; empty when the store has none.</summary>
    public IReadOnlyList<string> LayerFiles { get; init; } = [];

    /// <summary>A disk image that is the root of a full machine.</summary>
    public string? DiskImage { get; init; }

    public bool ReadOnly { get; init; }
}

/// <summary>A mount of the root: type, source and options as mount(8) takes them.</summary>
public sealed record RootMount(string Type, string Source, IReadOnlyList<string> Options)
{
    /// <summary>overlay only: the lower directories, topmost first.</summary>
    public IReadOnlyList<string> Lower { get; init; } = [];
}

/// <summary>The files of an image at a place of the root.</summary>
/// <param name="Target">Absolute path in the root; no other mount is above it.</param>
/// <param name="Path">What of the image is mounted; null for all.</param>
public sealed record ImageMount(string Target, RootMount Mount, string? Path);

/// <summary>How the standard streams are made.</summary>
/// <param name="Terminal">One pseudo terminal instead of pipes.</param>
/// <param name="OpenInput">Keep the input open for attachments; otherwise it is /dev/null.</param>
/// <param name="InputOnce">The input ends when the first attachment that had it closes it.</param>
public sealed record StdioSpec(bool Terminal = false, bool OpenInput = false, bool InputOnce = false)
{
    /// <summary>Terminal size at the start, in characters; 0 leaves the kernel's default.</summary>
    public int Columns { get; init; }

    /// <summary>Terminal size at the start, in lines.</summary>
    public int Rows { get; init; }
}

/// <summary>Where output is recorded.</summary>
public sealed record LogSpec
{
    /// <summary><c>json-file</c>, <c>local</c>, <c>journald</c>, <c>syslog</c> or <c>none</c>.</summary>
    public string Driver { get; init; } = "json-file";

    /// <summary>The current log file for the file drivers; rotated ones are <c>Path.1</c>, <c>Path.2</c> …</summary>
    public string Path { get; init; } = "";

    /// <summary>Bytes of one file before it is rotated; 0 for no limit.</summary>
    public long MaxSize { get; init; } = 10L << 20;

    /// <summary>Files kept, the current one included.</summary>
    public int MaxFiles { get; init; } = 5;

    /// <summary>Compress rotated files with gzip.</summary>
    public bool Compress { get; init; }

    /// <summary>Tag, address, facility and the like for journald and syslog, and fields recorded with every line.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>What the instance's network is; prepared before the driver is called, taken down after it is done.</summary>
public sealed record InstanceNetworking
{
    /// <summary>Path of a prepared network namespace; null with <see cref="Host"/> and with taps.</summary>
    public string? NamespacePath { get; init; }

    /// <summary>Use the host's network itself.</summary>
    public bool Host { get; init; }

    /// <summary>
    /// The endpoints with their addresses. A driver of kind <see cref="Hull.Network.AttachmentKind.Tap"/> opens each by
    /// <see cref="Hull.Network.NetworkManager.OpenTap"/> and sets the addresses inside.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [];
}

/// <summary>
/// Limits in neutral units. A null member is "not set" at creation and "leave alone" in an update; -1 is "no limit"
/// where that has a meaning.
/// </summary>
public sealed record ResourceLimits
{
    /// <summary>Relative weight of processor time, cgroup v1 scale (2–262144, default 1024).</summary>
    public long? CpuShares { get; init; }

    /// <summary>Processors in billionths: 1.5 processors are 1,500,000,000. Excludes quota and period.</summary>
    public long? NanoCpus { get; init; }

    /// <summary>Microseconds of processor time per <see cref="CpuPeriod"/>.</summary>
    public long? CpuQuota { get; init; }

    public long? CpuPeriod { get; init; }
    public long? CpuRealtimePeriod { get; init; }
    public long? CpuRealtimeRuntime { get; init; }

    /// <summary>Processors it may run on, as a list such as <c>0-2,4</c>.</summary>
    public string? CpusetCpus { get; init; }

    public string? CpusetMems { get; init; }

    /// <summary>Bytes of memory.</summary>
    public long? Memory { get; init; }

    /// <summary>Bytes of memory plus swap; -1 for unlimited swap.</summary>
    public long? MemorySwap { get; init; }

    /// <summary>Soft limit in bytes.</summary>
    public long? MemoryReservation { get; init; }

    public long? KernelMemory { get; init; }

    /// <summary>0–100.</summary>
    public long? MemorySwappiness { get; init; }

    public long? PidsLimit { get; init; }

    /// <summary>Relative weight of block input and output (10–1000).</summary>
    public int? BlkioWeight { get; init; }

    public IReadOnlyList<DeviceWeight> BlkioWeightDevice { get; init; } = [];
    public IReadOnlyList<DeviceRate> ReadBytesPerSecond { get; init; } = [];
    public IReadOnlyList<DeviceRate> WriteBytesPerSecond { get; init; } = [];
    public IReadOnlyList<DeviceRate> ReadOperationsPerSecond { get; init; } = [];
    public IReadOnlyList<DeviceRate> WriteOperationsPerSecond { get; init; } = [];

    /// <summary>Bits per second into and out of the instance, on each of its networks; 0 or null for no limit.</summary>
    public long? NetworkIngressBits { get; init; }

    public long? NetworkEgressBits { get; init; }

    /// <summary>Billionths of processors that are kept for it; 0 or null for none. Bytes kept are <see cref="MemoryReservation"/>.</summary>
    public long? CpuReservation { get; init; }

    /// <summary>From whom memory is taken when it is short: 0 first, 100 last; null for 50.</summary>
    public int? Priority { get; init; }

    /// <summary>Cgroup v2 keys written as they are, such as <c>memory.high</c>.</summary>
    public IReadOnlyDictionary<string, string> Unified { get; init; } = new Dictionary<string, string>();
}

/// <summary>A weight for one block device, named by its path.</summary>
public sealed record DeviceWeight(string Path, int Weight);

/// <summary>A rate for one block device, named by its path.</summary>
public sealed record DeviceRate(string Path, long Rate);

/// <summary>What is particular to an isolation. Comes from the user's request only, never from an image.</summary>
public sealed record IsolationOptions
{
    /// <summary>Runtime by name (containers): null for Hull's own, else a configured OCI program.</summary>
    public string? Runtime { get; init; }

    /// <summary>Options a driver documents, such as <c>vm.memory</c>, <c>vm.kernel</c>, <c>vm.cpus</c>.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>A further process to start in an instance.</summary>
public sealed record ExecSpec
{
    public required string ExecId { get; init; }
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The whole environment, <c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    public string WorkingDirectory { get; init; } = "/";

    /// <summary>User as the user wrote it (name, id, <c>user:group</c>); looked up in the root's own files. Empty for the init's.</summary>
    public string User { get; init; } = "";

    public bool Privileged { get; init; }
    public StdioSpec Stdio { get; init; } = new();

    /// <summary>Streams connected from the first byte; the attachment is <see cref="IInstanceProcess.Attachment"/>.</summary>
    public StreamSelection Attach { get; init; }
}
