using Hull.Api.Docker.Containers;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Machines;
using Hull.Protocol;
using Hull.Protocol.Machines;

namespace Hull.Api.Native;

/// <summary>Machines between the engine's words and those of its own API.</summary>
internal static class MachineMapping
{
    public static MachineResource ToResource(MachineView view)
    {
        var (record, config) = (view.Record, view.Record.Config);
        return new MachineResource
        {
            Id = record.Id,
            Name = config.Name,
            Status = view.Status.ToString().ToLowerInvariant(),
            Created = record.Created,
            Architecture = config.Architecture,
            Firmware = config.Firmware,
            Processors = config.Processors,
            MaximumProcessors = Math.Max(config.Processors, config.MaximumProcessors),
            MemoryBytes = config.MemoryBytes,
            MaximumMemoryBytes = Math.Max(config.MemoryBytes, config.MaximumMemoryBytes),
            AutoStart = config.AutoStart,
            Group = config.Group,
            Resources = Show(config.Resources),
            ProcessId = view.Status == MachineStatus.Stopped ? null : record.Monitor?.ProcessId,
            LastExit = record.LastExit,
            Disks = [.. config.Disks.Select(disk => new MachineDiskResource(disk.Id, disk.File, disk.Format, disk.Medium))],
            Nics = [.. config.Nics.Select(nic => new MachineNicResource(nic.Id, nic.Network, nic.MacAddress, nic.Model, [.. new[] { nic.LastIPv4, nic.LastIPv6 }.OfType<string>()]))],
            Ports = [.. view.Ports.Select(port => $"{port.HostAddress}:{port.HostPort}->{port.Port}/{port.Protocol.ToString().ToLowerInvariant()}")],
            Snapshots = [.. record.Snapshots.Select(ToResource)],
            Current = record.Current,
            Labels = config.Labels.ToDictionary(),
        };
    }

    public static MachineSnapshotResource ToResource(MachineSnapshot snapshot) =>
        new(snapshot.Name, snapshot.Parent, snapshot.Created, snapshot.Description, snapshot.StateFile is not null);

    public static MachineConfig ToConfig(MachineCreateRequest request)
    {
        var defaults = new MachineConfig { Name = request.Name };
        return defaults with
        {
            Architecture = request.Architecture ?? defaults.Architecture,
            Firmware = request.Firmware ?? (request.Architecture == "arm64" ? "uefi" : defaults.Firmware),
            Processors = request.Processors ?? defaults.Processors,
            MaximumProcessors = request.MaximumProcessors ?? 0,
            MemoryBytes = request.MemoryBytes ?? defaults.MemoryBytes,
            MaximumMemoryBytes = request.MaximumMemoryBytes ?? 0,
            Tpm = request.Tpm,
            AutoStart = request.AutoStart,
            Group = request.Group is { Length: > 0 } group ? group : null,
            Resources = Limits(request.Resources),
            Seed = request.UserData is null ? null : new MachineSeed(request.UserData, request.NetworkConfig),
            Nics = [.. request.Nics.Select((nic, index) => new MachineNic($"nic{index}", nic.Network, "", Address: nic.Address))],
            Ports = NetworkingMapping.ToPorts(request.Ports),
            Labels = request.Labels,
        };
    }

    /// <summary>A machine as it was pushed, under a name of its own and on the networks that are asked for here.</summary>
    public static MachineConfig ToConfig(MachineArtifact artifact, MachinePullRequest request) => new()
    {
        Name = request.Name,
        Architecture = artifact.Architecture,
        Firmware = artifact.Firmware,
        Processors = artifact.Processors,
        MemoryBytes = artifact.MemoryBytes,
        Nics = [.. request.Networks.Select((network, index) => new MachineNic($"nic{index}", network, ""))],
    };

    public static DiskSource ToSource(MachineDiskRequest request) => request switch
    {
        { Medium: true, Path: { } path } => new MediumDisk(Absolute(path)),
        { Path: { } path } => new ImportedDisk(Absolute(path), request.Bytes),
        { Bytes: { } bytes } => new BlankDisk(bytes),
        _ => throw HullException.Invalid("a disk needs a path or a size"),
    };

    public static MachineConfig Apply(MachineConfig config, MachineEditRequest edit) => config with
    {
        Name = edit.Name ?? config.Name,
        Processors = edit.Processors ?? config.Processors,
        MaximumProcessors = edit.MaximumProcessors ?? config.MaximumProcessors,
        MemoryBytes = edit.MemoryBytes ?? config.MemoryBytes,
        MaximumMemoryBytes = edit.MaximumMemoryBytes ?? config.MaximumMemoryBytes,
        AutoStart = edit.AutoStart ?? config.AutoStart,
        Group = edit.Group is { } group ? group.Length > 0 ? group : null : config.Group,
        Resources = edit.Resources is null ? config.Resources : LimitTranslation.Merge(config.Resources, Limits(edit.Resources)),
        Ports = edit.Ports is null ? config.Ports : NetworkingMapping.ToPorts(edit.Ports),
    };

    private static ResourceSettings Show(ResourceLimits limits)
    {
        var settings = new ResourceSettings();
        ResourceMapping.Show(limits, settings);
        return settings;
    }

    /// <summary>Of a whole machine only what its monitor's cgroup can do: memory is what the machine has, and so is the number of its processes.</summary>
    private static ResourceLimits Limits(ResourceSettings? settings)
    {
        if (settings is null) return new ResourceLimits();
        var limits = ResourceMapping.ToLimits(settings);
        return limits is { Memory: null, MemorySwap: null, PidsLimit: null, NetworkEgressBits: null, NetworkIngressBits: null } ? limits
            : throw HullException.Unsupported("a full machine has shares, limits and reservations of processors and disks, a reservation of memory and a priority; no others");
    }

    /// <summary>The engine's working directory means nothing to a client, so only whole paths do.</summary>
    public static string Absolute(string path) => Path.IsPathFullyQualified(path)
        ? path
        : throw HullException.Invalid($"'{path}' is not an absolute path on the engine's host");
}
