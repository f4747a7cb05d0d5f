using System.Text.Json.Serialization;

namespace Hull.Protocol.Machines;

/// <summary>A machine as the engine's own API shows it.</summary>
public sealed record MachineResource
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    /// <summary><c>stopped</c>, <c>running</c> or <c>paused</c>.</summary>
    public required string Status { get; init; }

    public required DateTimeOffset Created { get; init; }

    public string Architecture { get; init; } = "";

    public string Firmware { get; init; } = "";

    public int Processors { get; init; }

    public int MaximumProcessors { get; init; }

    public long MemoryBytes { get; init; }

    public long MaximumMemoryBytes { get; init; }

    public bool AutoStart { get; init; }

    /// <summary>The group whose allowance it shares; null for none.</summary>
    public string? Group { get; init; }

    /// <summary>Shares, limits and reservations of its monitor, as the Docker API writes them.</summary>
    public ResourceSettings Resources { get; init; } = new();

    /// <summary>Process of the monitor; null while it does not run.</summary>
    public int? ProcessId { get; init; }

    public string? LastExit { get; init; }

    public List<MachineDiskResource> Disks { get; init; } = [];

    public List<MachineNicResource> Nics { get; init; } = [];

    /// <summary>Ports as they are published now, such as <c>127.0.0.1:8080->80/tcp</c>.</summary>
    public List<string> Ports { get; init; } = [];

    public List<MachineSnapshotResource> Snapshots { get; init; } = [];

    /// <summary>The snapshot its disks stand on.</summary>
    public string? Current { get; init; }

    public Dictionary<string, string> Labels { get; init; } = [];
}

public sealed record MachineDiskResource(string Id, string File, string Format, bool Medium);

/// <param name="Addresses">What it has on its network while the machine runs, and had last while it does not.</param>
public sealed record MachineNicResource(string Id, string? Network, string MacAddress, string Model, List<string> Addresses);

public sealed record MachineSnapshotResource(string Name, string? Parent, DateTimeOffset Created, string Description, bool Memory);

/// <summary>What to make a machine of. Paths are those of the engine's host.</summary>
public sealed record MachineCreateRequest
{
    public required string Name { get; init; }

    public string? Architecture { get; init; }

    public string? Firmware { get; init; }

    public int? Processors { get; init; }

    public int? MaximumProcessors { get; init; }

    public long? MemoryBytes { get; init; }

    public long? MaximumMemoryBytes { get; init; }

    public bool Tpm { get; init; }

    public bool AutoStart { get; init; }

    /// <summary>The group whose allowance it shares; null for none.</summary>
    public string? Group { get; init; }

    /// <summary>Shares, limits and reservations of its monitor, as the Docker API writes them.</summary>
    public ResourceSettings? Resources { get; init; }

    public List<MachineDiskRequest> Disks { get; init; } = [];

    public List<MachineNicRequest> Nics { get; init; } = [];

    /// <summary>Ports to publish, by <c>port/protocol</c>, as the Docker API has them.</summary>
    public Dictionary<string, List<PortBinding>?>? Ports { get; init; }

    /// <summary>cloud-init's user data; null makes no seed.</summary>
    public string? UserData { get; init; }

    public string? NetworkConfig { get; init; }

    public Dictionary<string, string> Labels { get; init; } = [];
}

/// <param name="Path">An image file to copy, or, with <paramref name="Medium"/>, a CD-ROM image to read; null makes an empty disk.</param>
/// <param name="Bytes">Size of an empty disk, or the size a copied one grows to.</param>
public sealed record MachineDiskRequest(string? Path, long? Bytes, bool Medium = false);

/// <param name="Network">Null for a NIC without a cable.</param>
/// <param name="Address">A static IPv4 address; null lets the engine choose.</param>
public sealed record MachineNicRequest(string? Network, string? Address = null);

/// <param name="Path">The image to write, on the engine's host.</param>
public sealed record MachineDiskExportRequest(string Path, string Format);

/// <summary>What to change; a member that is null stays as it is.</summary>
public sealed record MachineEditRequest
{
    public string? Name { get; init; }

    public int? Processors { get; init; }

    public int? MaximumProcessors { get; init; }

    public long? MemoryBytes { get; init; }

    public long? MaximumMemoryBytes { get; init; }

    public bool? AutoStart { get; init; }

    /// <summary>A group, empty for none; null leaves it as it is.</summary>
    public string? Group { get; init; }

    /// <summary>Limits and reservations to change, as the Docker API writes them.</summary>
    public ResourceSettings? Resources { get; init; }

    /// <summary>All ports to publish from the next start on.</summary>
    public Dictionary<string, List<PortBinding>?>? Ports { get; init; }
}

public sealed record MachineCloneRequest(string Name, bool Linked);

public sealed record MachineSnapshotRequest(string Name, bool Memory, string Description);

/// <param name="Directory">Directory of backups, on the engine's host.</param>
public sealed record MachineBackupRequest(string Directory, bool Incremental);

public sealed record MachineBackupResource(string Name, string? Parent, long Bytes);

/// <param name="Kind"><c>backup</c> or <c>ova</c>.</param>
public sealed record MachineImportRequest(string Kind, string Path, string Name);

public sealed record MachineExportRequest(string Path);

/// <param name="Reference">Where to, such as <c>registry.example.com/machines/web:v1</c>.</param>
public sealed record MachinePushRequest(string Reference);

/// <param name="Digest">That of the manifest.</param>
public sealed record MachinePushResource(string Reference, string Digest);

/// <param name="Name">Of the machine to make.</param>
/// <param name="Networks">One NIC is made on each.</param>
public sealed record MachinePullRequest(string Reference, string Name, List<string> Networks);

/// <param name="System">Such as <c>debian:bookworm</c>.</param>
/// <param name="Path">The disk image to write, on the engine's host.</param>
public sealed record MachineBootstrapRequest(string System, string Path, long Bytes, List<string> Packages);

/// <summary>One line of a stream that reports progress; the last one may be an error.</summary>
public sealed record MachineProgress(string? Step, string? Error = null);

/// <summary>JSON of the engine's own API.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(List<MachineResource>))]
[JsonSerializable(typeof(MachineCreateRequest))]
[JsonSerializable(typeof(MachineEditRequest))]
[JsonSerializable(typeof(MachineNicRequest))]
[JsonSerializable(typeof(MachineDiskExportRequest))]
[JsonSerializable(typeof(MachineCloneRequest))]
[JsonSerializable(typeof(MachineSnapshotRequest))]
[JsonSerializable(typeof(MachineBackupRequest))]
[JsonSerializable(typeof(MachineBackupResource))]
[JsonSerializable(typeof(MachineImportRequest))]
[JsonSerializable(typeof(MachineExportRequest))]
[JsonSerializable(typeof(MachinePushRequest))]
[JsonSerializable(typeof(MachinePushResource))]
[JsonSerializable(typeof(MachinePullRequest))]
[JsonSerializable(typeof(MachineBootstrapRequest))]
[JsonSerializable(typeof(MachineProgress))]
public sealed partial class MachineProtocolJson : JsonSerializerContext;
