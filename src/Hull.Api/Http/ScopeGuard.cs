using System.Text.Json;
using Hull.Api.Docker.Containers;
using Hull.Core;
using Hull.Engine;
using Hull.Protocol;
using Hull.Protocol.Containers;

namespace Hull.Api.Http;

/// <summary>
/// Holds a caller to what carries its label. Finds objects only where they do, adds the label to what is made, and takes
/// of a request's body only members known to stay inside: a workload that reached the host would reach everything else.
/// </summary>
internal sealed class ScopeGuard(IHullEngine engine, AccessScope access)
{
    /// <summary>Members of a workload's host configuration that cannot lead out of it.</summary>
    private static readonly HashSet<string> s_hostConfig = new(StringComparer.OrdinalIgnoreCase)
    {
        "AutoRemove", "BlkioWeight", "CapDrop", "ConsoleSize", "CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "CpusetMems", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts",
        "GroupAdd", "Init", "Memory", "MemorySwap", "MemorySwappiness", "NanoCpus", "NetworkEgress", "NetworkIngress", "PidsLimit", "PortBindings", "PublishAllPorts", "ReadonlyRootfs",
        "RestartPolicy", "ShmSize", "Tmpfs", "ContainerIDFile", "DependsOn",
        // Judged one by one below.
        "Binds", "Mounts", "NetworkMode", "SecurityOpt", "IpcMode", "CgroupnsMode", "LogConfig", "Isolation",
    };

    private static readonly HashSet<string> s_update = new(StringComparer.OrdinalIgnoreCase)
    {
        "BlkioWeight", "CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "CpusetMems", "Memory", "MemorySwap", "MemorySwappiness", "NanoCpus", "NetworkEgress", "NetworkIngress",
        "PidsLimit", "PortBindings", "RestartPolicy", "Healthcheck", "DependsOn",
    };

    private static readonly HashSet<string> s_network = new(StringComparer.OrdinalIgnoreCase)
    {
        "Name", "Driver", "Internal", "EnableIPv4", "EnableIPv6", "IPAM", "Labels", "Attachable", "CheckDuplicate",
    };

    private static readonly HashSet<string> s_volume = new(StringComparer.OrdinalIgnoreCase) { "Name", "Driver", "Labels" };
    private static readonly HashSet<string> s_clone = new(StringComparer.OrdinalIgnoreCase) { "Name", "Snapshot", "Labels" };
    private static readonly HashSet<string> s_snapshot = new(StringComparer.OrdinalIgnoreCase) { "Name" };
    private static readonly HashSet<string> s_fork = new(StringComparer.OrdinalIgnoreCase) { "Count", "Names" };
    private static readonly HashSet<string> s_exec = new(StringComparer.OrdinalIgnoreCase)
    {
        "AttachStdin", "AttachStdout", "AttachStderr", "Cmd", "ConsoleSize", "DetachKeys", "Env", "Tty", "User", "WorkingDir", "Detach",
    };

    private readonly string key = access.Label!.Split('=', 2)[0];
    private readonly string value = access.Label!.Contains('=', StringComparison.Ordinal) ? access.Label.Split('=', 2)[1] : "";

    public async Task<string> WorkloadAsync(string reference)
    {
        if (engine.Workloads.Find(reference) is { } id
            && (await engine.Workloads.InspectAsync(id, false, CancellationToken.None).ConfigureAwait(false)) is var found && Covers(found.Labels)) return id;
        throw HullException.NotFound($"no such container: {reference}");
    }

    public async Task<string> ExecAsync(string id)
    {
        var exec = engine.Execs.Inspect(id);
        await WorkloadAsync(exec.WorkloadId).ConfigureAwait(false);
        return id;
    }

    public string Network(string reference)
    {
        var network = engine.Networks.GetNetwork(reference);
        return Covers(network.Spec.Labels) ? network.Id : throw HullException.NotFound($"network '{reference}' does not exist");
    }

    public string Volume(string name) =>
        Covers(engine.Volumes.Get(name).Labels) ? name : throw HullException.NotFound($"no such volume: {name}");

    /// <summary>A name that is free, or taken by a volume in the scope.</summary>
    public string NewVolume(string name) => engine.Volumes.List().Any(one => one.Name == name) ? Volume(name) : name;

    /// <summary>Judges a volume that is described in the query; answers the labels it is to have.</summary>
    public Dictionary<string, string> AdmitVolume(Dictionary<string, string> options, Dictionary<string, string> labels) =>
        options.Count == 0 ? Labelled(labels) : throw Refused("'opt' of a volume");

    /// <summary>Judges a body, and labels what it makes. A kind of body that is not known here is refused.</summary>
    public async Task AdmitAsync(ReadOnlyMemory<byte> content, object body)
    {
        using var document = content.Length == 0 ? null : JsonDocument.Parse(content, new JsonDocumentOptions { MaxDepth = 32 });
        switch (body)
        {
            case ContainerCreateRequest create:
                AdmitCreate(document!.RootElement, create);
                create.Labels = Labelled(create.Labels);
                break;
            case ContainerUpdateRequest:
                Only(document!.RootElement, s_update, "an update");
                break;
            case ExecCreateRequest or ExecStartBody:
                if (document is not null) Only(document.RootElement, s_exec, "an exec");
                break;
            case NetworkCreateRequest network:
                Only(document!.RootElement, s_network, "a network");
                if (network.Driver is not (null or "" or "bridge")) throw Refused($"networks with driver '{network.Driver}'");
                network.Labels = Labelled(network.Labels);
                break;
            case VolumeCreateRequest volume:
                if (document is not null) Only(document.RootElement, s_volume, "a volume");
                NewVolume(volume.Name ?? "");
                volume.Labels = Labelled(volume.Labels);
                break;
            case VolumeCloneRequest clone:
                Only(document!.RootElement, s_clone, "a volume");
                NewVolume(clone.Name ?? "");
                clone.Labels = Labelled(clone.Labels);
                break;
            case VolumeSnapshotRequest or WorkloadSnapshotRequest:
                Only(document!.RootElement, s_snapshot, "a snapshot");
                break;
            case ForkWorkloadRequest:
                // A fork has the labels of its source, which is in the scope.
                Only(document!.RootElement, s_fork, "a fork");
                break;
            case NetworkConnectRequest connect:
                connect.Container = await WorkloadAsync(connect.Container ?? "").ConfigureAwait(false);
                if (connect.EndpointConfig?.Links is { Count: > 0 }) throw Refused("links");
                break;
            case NetworkDisconnectRequest disconnect:
                disconnect.Container = await WorkloadAsync(disconnect.Container ?? "").ConfigureAwait(false);
                break;
            default:
                throw Refused("a body of this kind");
        }
    }

    private bool Covers(IReadOnlyDictionary<string, string> labels) =>
        labels.TryGetValue(key, out var found) && (!access.Label!.Contains('=', StringComparison.Ordinal) || found == value);

    private Dictionary<string, string> Labelled(Dictionary<string, string>? labels)
    {
        labels ??= [];
        if (!Covers(labels)) labels[key] = value;
        return labels;
    }

    private void AdmitCreate(JsonElement root, ContainerCreateRequest create)
    {
        foreach (var member in root.EnumerateObject().Where(member => member.Name.Equals("HostConfig", StringComparison.OrdinalIgnoreCase) && member.Value.ValueKind == JsonValueKind.Object))
            Only(member.Value, s_hostConfig, "a workload");
        // A reservation is taken from everybody else.
        if ((create.Labels ?? []).Keys.FirstOrDefault(ResourceLabels.Asks) is { } label) throw Refused($"label '{label}'");
        var host = create.HostConfig;
        foreach (var bind in host?.Binds ?? []) AdmitSource(bind.Split(':')[0], bind.Contains(':', StringComparison.Ordinal));
        foreach (var mount in host?.Mounts ?? [])
        {
            if (mount.Type == "tmpfs") continue;
            if (mount.Type != "volume" || mount.VolumeOptions?.DriverConfig is not null) throw Refused($"mounts of type {mount.Type}, or with a driver's options");
            AdmitSource(mount.Source ?? "", named: mount.Source is { Length: > 0 });
        }

        if (host?.NetworkMode is { } mode) AdmitNetwork(mode);
        foreach (var (network, endpoint) in create.NetworkingConfig?.EndpointsConfig ?? [])
        {
            AdmitNetwork(network);
            if (endpoint?.Links is { Count: > 0 }) throw Refused("links");
        }

        if (host?.SecurityOpt is { } security && security.Any(option => !option.StartsWith("no-new-privileges", StringComparison.Ordinal))) throw Refused("security options");
        if (host?.IpcMode is not (null or "" or "private" or "none")) throw Refused($"ipc mode '{host.IpcMode}'");
        if (host?.CgroupnsMode is not (null or "" or "private")) throw Refused($"cgroup namespace '{host.CgroupnsMode}'");
        if (host?.LogConfig?.Type is not (null or "" or "json-file" or "local" or "none")) throw Refused($"log driver '{host.LogConfig.Type}'");
    }

    /// <summary>A volume in the scope; never a path of the host.</summary>
    private void AdmitSource(string source, bool named)
    {
        if (!named) return;
        if (source.Length == 0 || !char.IsAsciiLetterOrDigit(source[0])) throw Refused("directories of the host");
        Volume(source);
    }

    private void AdmitNetwork(string name)
    {
        if (name is "" or "default" or "bridge" or "none") return;
        if (name == "host" || name.Contains(':', StringComparison.Ordinal)) throw Refused($"network mode '{name}'");
        Network(name);
    }

    private void Only(JsonElement element, HashSet<string> known, string what)
    {
        if (element.ValueKind != JsonValueKind.Object) throw HullException.Invalid("the request's body is no object");
        foreach (var member in element.EnumerateObject())
        {
            if (!known.Contains(member.Name) && !IsEmpty(member.Value)) throw Refused($"'{member.Name}' of {what}");
        }
    }

    /// <summary>Clients send every member they know, most with nothing in it.</summary>
    private static bool IsEmpty(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.String => element.GetString() is "" or "default",
        JsonValueKind.Number => element.TryGetInt64(out var number) && number == 0,
        JsonValueKind.Array => element.GetArrayLength() == 0,
        JsonValueKind.Object => !element.EnumerateObject().Any(),
        _ => false,
    };

    private HullException Refused(string what) => new(ErrorKind.PermissionDenied, $"'{access.Name}' may only deal with what is labelled {access.Label}: {what} could lead out of that");
}
