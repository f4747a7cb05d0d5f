using System.Text.Json.Serialization;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Templates;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// What the virtual machine of a bundle is, beside the OCI spec: the file <c>vm.json</c> of the bundle directory.
/// It is written by the engine from what the user asked for; nothing of it ever comes from an image.
/// </summary>
public sealed record VmBundle
{
    public const string FileName = "vm.json";

    /// <summary>File of the bundle directory that says, as cgroup v2's memory.events does, whether the guest ran out of memory.</summary>
    public const string MemoryEventsName = "memory.events";

    public required string HostName { get; init; }

    /// <summary>32 hexadecimal digits, machine-id(5).</summary>
    public required string MachineId { get; init; }

    public long MemoryBytes { get; init; }

    public int Processors { get; init; } = 1;

    public required GuestSource Guest { get; init; }

    /// <summary>The template to clone; null boots from the kernel.</summary>
    public TemplateSource? Template { get; init; }

    /// <summary>
    /// The container to take over, by the id it has in the guest: <see cref="Template"/> is then a machine that was saved
    /// while it ran. Null makes one.
    /// </summary>
    public string? Adopted { get; init; }

    /// <summary>Who supervises it starts it at once: its program may run as soon as all is ready for that.</summary>
    public bool Begins { get; init; }

    /// <summary>Layer files, lowest first.</summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    /// <summary>An ext4 image for what is written; null keeps it in the guest's memory.</summary>
    public string? WritableDisk { get; init; }

    /// <summary>The writable disk is a copy of the template's, never used by a machine before.</summary>
    public bool WritableIsPrepared { get; init; }

    /// <summary>Destinations of the bind mounts of the spec whose files the guest shares with the host; others are given by copy.</summary>
    public IReadOnlyList<string> SharedMounts { get; init; } = [];

    public IReadOnlyList<VmNic> Nics { get; init; } = [];

    public IReadOnlyList<VmRoute> Routes { get; init; } = [];
}

/// <summary>The monitor program and what it boots.</summary>
/// <param name="AcceleratorReason">Why this accelerator; for messages.</param>
public sealed record GuestSource(string QemuProgram, string QemuBuild, string Accelerator, string AcceleratorReason,
    string Digest, string Kernel, string Initrd, string Release)
{
    internal GuestImage ToImage() => new(Digest, Kernel, Initrd, Release);

    internal QemuHypervisor ToHypervisor() => new(new QemuInstallation(QemuProgram, "amd64", new QmpVersion(0, 0, 0, ""), QemuBuild),
        new AcceleratorChoice(Accelerator, AcceleratorReason));
}

/// <param name="MemoryPath">The sealed memory file, by the descriptor of the process that keeps it: /proc/PID/fd/N.</param>
/// <param name="WritablePath">The disk it has mounted, to be copied for a machine that writes.</param>
/// <param name="Live">One that runs, to make twins of; null where there is none.</param>
public sealed record TemplateSource(string Key, string MemoryPath, string StatePath, string WritablePath, LiveTemplate? Live = null);

/// <param name="Tap">Name of the tap device, in the network namespace of the engine.</param>
public sealed record VmNic(string Tap, string Name, string MacAddress, IReadOnlyList<string> Addresses, uint Mtu);

/// <param name="Gateway">Empty where the destination is on the link.</param>
public sealed record VmRoute(string Interface, string Destination, string Gateway)
{
    internal RouteSetup ToSetup() => new(Interface, Destination, Gateway);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(VmBundle))]
public sealed partial class VmBundleJson : JsonSerializerContext;
