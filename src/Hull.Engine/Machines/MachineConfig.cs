using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Resources;
using Hull.Engine.Workloads;
using Hull.Network;

namespace Hull.Engine.Machines;

/// <summary>
/// What the operator wants of a full machine: its own operating system on its own disks, unlike a workload's VM, whose
/// root is an OCI image. Immutable; an edit makes a new one.
/// </summary>
public sealed record MachineConfig
{
    private static readonly ResourceLimits s_unlimited = new();
    private readonly ResourceLimits? _resources;

    /// <summary>Unique in the engine: a letter or digit, then letters, digits, dots, dashes and underscores.</summary>
    public required string Name { get; init; }

    /// <summary>In Go's words: <c>amd64</c> or <c>arm64</c>.</summary>
    public string Architecture { get; init; } = Platform.Host.Architecture;

    public int Processors { get; init; } = 1;

    /// <summary>Processors that can be plugged while it runs; 0 is <see cref="Processors"/>.</summary>
    public int MaximumProcessors { get; init; }

    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>Memory that can be plugged up to while it runs; 0 is <see cref="MemoryBytes"/>.</summary>
    public long MaximumMemoryBytes { get; init; }

    /// <summary><c>bios</c> or <c>uefi</c>.</summary>
    public string Firmware { get; init; } = "bios";

    /// <summary>An emulated TPM 2.0, through the program swtpm.</summary>
    public bool Tpm { get; init; }

    /// <summary>A display served by VNC on a unix socket, needed for screenshots.</summary>
    public bool Display { get; init; } = true;

    public IReadOnlyList<MachineDisk> Disks { get; init; } = [];

    public IReadOnlyList<MachineNic> Nics { get; init; } = [];

    /// <summary>Ports published through the first NIC on a network with a way out.</summary>
    public IReadOnlyList<PortConfig> Ports { get; init; } = [];

    /// <summary>Seed for cloud-init; null tells it of the network alone, where there is one.</summary>
    public MachineSeed? Seed { get; init; }

    /// <summary>Kept running: started with the engine when it was running before, and again when its monitor fails.</summary>
    public bool AutoStart { get; init; }

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>The group whose allowance it shares; null for none.</summary>
    public string? Group { get; init; }

    /// <summary>Shares, limits and reservations of its monitor on the host: processors, disks, memory that is kept for it, and its priority.</summary>
    public ResourceLimits Resources
    {
        // A document of an engine that knew no limits has none, which the reader takes for null.
        get => _resources ?? s_unlimited;
        init => _resources = value;
    }

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> naming the first thing that is wrong.</summary>
    public MachineConfig Validated()
    {
        if (!IsName(Name)) throw HullException.Invalid($"invalid machine name '{Name}': use letters, digits, '.', '-' and '_', beginning with a letter or digit");
        if (Processors is < 1 or > 255) throw HullException.Invalid($"machine '{Name}' cannot have {Processors} processors: give it 1 to 255");
        if (MaximumProcessors != 0 && MaximumProcessors < Processors)
            throw HullException.Invalid($"machine '{Name}' has {Processors} processors, more than its maximum of {MaximumProcessors}");
        if (MemoryBytes < 32 << 20 || MemoryBytes % (1 << 20) != 0)
            throw HullException.Invalid($"machine '{Name}' cannot have {MemoryBytes} bytes of memory: give it whole MiB, 32 or more");
        if (MaximumMemoryBytes != 0 && MaximumMemoryBytes < MemoryBytes)
            throw HullException.Invalid($"machine '{Name}' has more memory than its maximum");
        if (Firmware is not ("bios" or "uefi")) throw HullException.Invalid($"unknown firmware '{Firmware}': expected bios or uefi");
        if (Architecture is not ("amd64" or "arm64")) throw HullException.Unsupported($"no machine of architecture '{Architecture}' is known: use amd64 or arm64");
        if (Architecture == "arm64" && Firmware == "bios") throw HullException.Invalid($"machine '{Name}' is of architecture arm64, which boots by uefi: use --firmware uefi");
        foreach (var twice in Disks.Select(disk => disk.Id).Concat(Nics.Select(nic => nic.Id)).GroupBy(id => id).Where(group => group.Count() > 1))
            throw HullException.Invalid($"machine '{Name}' has two devices with the id '{twice.Key}'");
        LimitChecks.Check(Resources);
        if (Resources.MemoryReservation > MemoryBytes) throw HullException.Invalid($"machine '{Name}' has {MemoryBytes} bytes of memory: no more can be kept for it");
        if (Ports.Count > 0 && Nics.All(nic => nic.Network is null))
            throw HullException.Invalid($"machine '{Name}' publishes ports but has no NIC on a network: give it one with --network");
        return this;
    }

    public static bool IsName(string name) =>
        name.Length is > 0 and <= 63 && char.IsAsciiLetterOrDigit(name[0]) &&
        name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
}

/// <summary>A disk of a machine, kept in the machine's own directory.</summary>
/// <param name="Id">Device id, such as <c>disk0</c>.</param>
/// <param name="File">File name in the machine's directory, or an absolute path for a medium that is only read.</param>
/// <param name="Format">Format of the file.</param>
/// <param name="Medium">A CD-ROM, read-only.</param>
/// <param name="BootIndex">Place in the boot order, from 0; null is not booted from.</param>
/// <param name="Slot">The slot it was plugged into while the machine ran; null from its next start on.</param>
public sealed record MachineDisk(string Id, string File, string Format, bool Medium = false, int? BootIndex = null, int? Slot = null);

/// <summary>A network device of a machine.</summary>
/// <param name="Id">Device id, such as <c>nic0</c>.</param>
/// <param name="Network">A network of the engine; null leaves the device without a cable.</param>
/// <param name="MacAddress">Such as <c>02:42:ac:11:00:02</c>.</param>
/// <param name="Model">QEMU's device name.</param>
/// <param name="Address">A static IPv4 address; null lets the engine choose.</param>
/// <param name="LastIPv4">What it had last, and gets again where that is still free.</param>
/// <param name="LastIPv6">As <paramref name="LastIPv4"/>.</param>
/// <param name="Slot">The slot it was plugged into while the machine ran; null from its next start on.</param>
public sealed record MachineNic(string Id, string? Network, string MacAddress, string Model = "virtio-net-pci", string? Address = null,
    string? LastIPv4 = null, string? LastIPv6 = null, int? Slot = null);

/// <summary>What a running machine was started with and what was plugged into it since: a saved state fits nothing else.</summary>
/// <param name="Processors">Processors at its start; those plugged in later are the difference to <see cref="MachineConfig.Processors"/>.</param>
/// <param name="Modules">Bytes of each memory module plugged in, in order.</param>
public sealed record MachineShape(int Processors, int MaximumProcessors, long MemoryBytes, long MaximumMemoryBytes, IReadOnlyList<long> Modules)
{
    public static MachineShape Of(MachineConfig config) => new(config.Processors, Math.Max(config.Processors, config.MaximumProcessors),
        config.MemoryBytes, config.MaximumMemoryBytes, []);
}

/// <summary>What cloud-init is told; see <see cref="Hull.Hypervisor.CloudInit.CloudInitSeed"/>.</summary>
public sealed record MachineSeed(string UserData, string? NetworkConfig = null);

/// <summary>A machine as it is stored: what is wanted, and what the engine must find again.</summary>
public sealed record MachineRecord
{
    public required string Id { get; init; }

    public required MachineConfig Config { get; init; }

    public required DateTimeOffset Created { get; init; }

    /// <summary>Changes with every clone and restore, so that the guest's cloud-init renews its identity.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Whether it was asked to run.</summary>
    public bool WantedRunning { get; init; }

    /// <summary>Whether it was asked to stand still: one that does so without is in the middle of an operation that was cut off.</summary>
    public bool WantedPaused { get; init; }

    /// <summary>The monitor that runs it, or the last one; null where it never ran.</summary>
    public MonitorRecord? Monitor { get; init; }

    /// <summary>What it was started with; null where it never ran.</summary>
    public MachineShape? Shape { get; init; }

    /// <summary>How it last ended.</summary>
    public string? LastExit { get; init; }

    /// <summary>Snapshots, oldest first; they form a tree by <see cref="MachineSnapshot.Parent"/>.</summary>
    public IReadOnlyList<MachineSnapshot> Snapshots { get; init; } = [];

    /// <summary>The snapshot its disks stand on now.</summary>
    public string? Current { get; init; }

    /// <summary>
    /// The image that each of its files stands on, by file name, as an absolute path. What the files say of it themselves is
    /// not believed: the monitor writes them. Null in a document from before it was kept.
    /// </summary>
    public IReadOnlyDictionary<string, string>? Backings { get; init; }
}

/// <summary>A monitor process, told apart from a later one with the same number by its start time.</summary>
/// <param name="StartTicks">Field 22 of /proc/PID/stat.</param>
public sealed record MonitorRecord(int ProcessId, ulong StartTicks, DateTimeOffset Started);

/// <summary>A VM snapshot: the disks as they were, frozen, and the memory if it ran and that was asked for.</summary>
/// <param name="Disks">File name of each disk's frozen image by disk id.</param>
/// <param name="StateFile">Saved device and memory state in the machine's directory; null for disks alone.</param>
/// <param name="Config">The machine as it was.</param>
/// <param name="Shape">The shape of the machine whose memory is in <paramref name="StateFile"/>.</param>
public sealed record MachineSnapshot(string Name, string? Parent, DateTimeOffset Created, string Description,
    IReadOnlyDictionary<string, string> Disks, string? StateFile, MachineConfig Config, MachineShape? Shape = null);

/// <summary>What a machine is doing.</summary>
public enum MachineStatus
{
    Stopped,
    Running,
    Paused,
}

/// <summary>A machine with what it is doing now.</summary>
/// <param name="Ports">Published ports as they are now.</param>
public sealed record MachineView(MachineRecord Record, MachineStatus Status, IReadOnlyList<PublishedPort> Ports);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(MachineRecord))]
[JsonSerializable(typeof(MachineConfig))]
internal sealed partial class MachineJson : JsonSerializerContext;
