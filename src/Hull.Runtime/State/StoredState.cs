using System.Globalization;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;
using Hull.Oci.Runtime.Parsing;

namespace Hull.Runtime.State;

/// <summary>
/// What a container's state.json holds. It is written before anything outside the state directory is made, so that
/// whoever finds it can undo all of it, and again when init is there.
/// </summary>
internal sealed record StoredState
{
    public required string Id { get; init; }

    public required string OciVersion { get; init; }

    public required string Bundle { get; init; }

    public required string Rootfs { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required uint OwnerUser { get; init; }

    public required CgroupRecord Cgroup { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <summary>Init, or 0 before it was made.</summary>
    public int Pid { get; init; }

    /// <summary>Start time of init in clock ticks since boot, which tells it from a later process of the same number.</summary>
    public ulong StartTime { get; init; }

    /// <summary>Kinds of namespaces the container does not share with the runtime.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = [];

    public bool Rootless { get; init; }

    /// <summary>The group of resctrl the container is in, where it is in one.</summary>
    public ResctrlRecord? Resctrl { get; init; }

    /// <summary>Others were in the cgroup when the container was made.</summary>
    public bool SharesCgroup { get; init; }

    /// <summary>The mount that is the container's root, as statx(2) numbers it, or 0 where the runtime did not see it.</summary>
    public ulong RootMount { get; init; }
}

/// <summary>The JSON of <see cref="StoredState"/>.</summary>
internal static class StateDocument
{
    internal static byte[] Write(StoredState state)
    {
        var writer = new DocumentWriter(indented: true).BeginObject()
            .Member("id", state.Id)
            .Member("ociVersion", state.OciVersion)
            .Member("pid", state.Pid)
            .Member("startTime", state.StartTime)
            .Member("bundle", state.Bundle)
            .Member("rootfs", state.Rootfs)
            .Member("created", state.Created.ToString("O", CultureInfo.InvariantCulture))
            .Member("ownerUser", state.OwnerUser)
            .Member("rootless", state.Rootless)
            .Member("rootMount", state.RootMount)
            .Member("sharesCgroup", state.SharesCgroup)
            .Member("namespaces", state.Namespaces)
            .Member("annotations", state.Annotations)
            .BeginObject("cgroup")
            .Member("driver", state.Cgroup.Driver == CgroupDriver.Systemd ? "systemd" : "cgroupfs")
            .Member("unit", state.Cgroup.Unit)
            .Member("paths", state.Cgroup.Paths)
            .Member("createdParents", state.Cgroup.CreatedParents)
            .EndObject();
        if (state.Resctrl is { } resctrl)
            writer.BeginObject("resctrl").Member("path", resctrl.Path).Member("isOwn", resctrl.IsOwn).Member("monitorPath", resctrl.MonitorPath).EndObject();
        return writer.EndObject().ToBytes();
    }

    internal static StoredState Read(ReadOnlySpan<byte> content, string name) => DocumentReader.Read(content, name, State);

    private static StoredState? State(ref DocumentReader json)
    {
        if (!json.Enter("the state")) return null;
        var state = new StoredState
        {
            Id = "", OciVersion = "", Bundle = "", Rootfs = "", Created = default, OwnerUser = 0, Cgroup = new CgroupRecord(CgroupDriver.Cgroupfs, null, new Dictionary<string, string>()),
        };
        while (json.Next())
        {
            if (json.Is("id"u8)) state = state with { Id = json.Text("id") ?? "" };
            else if (json.Is("ociVersion"u8)) state = state with { OciVersion = json.Text("ociVersion") ?? "" };
            else if (json.Is("pid"u8)) state = state with { Pid = json.Int32("pid") ?? 0 };
            else if (json.Is("startTime"u8)) state = state with { StartTime = json.Unsigned("startTime") ?? 0 };
            else if (json.Is("bundle"u8)) state = state with { Bundle = json.Text("bundle") ?? "" };
            else if (json.Is("rootfs"u8)) state = state with { Rootfs = json.Text("rootfs") ?? "" };
            else if (json.Is("created"u8)) state = state with { Created = Time(json.Text("created")) };
            else if (json.Is("ownerUser"u8)) state = state with { OwnerUser = json.UInt32("ownerUser") ?? 0 };
            else if (json.Is("rootless"u8)) state = state with { Rootless = json.Flag("rootless") };
            else if (json.Is("sharesCgroup"u8)) state = state with { SharesCgroup = json.Flag("sharesCgroup") };
            else if (json.Is("rootMount"u8)) state = state with { RootMount = json.Unsigned("rootMount") ?? 0 };
            else if (json.Is("namespaces"u8)) state = state with { Namespaces = json.Texts("namespaces") ?? [] };
            else if (json.Is("annotations"u8)) state = state with { Annotations = json.TextMap("annotations") };
            else if (json.Is("resctrl"u8)) state = state with { Resctrl = Resctrl(ref json) };
            else if (json.Is("cgroup"u8)) state = state with { Cgroup = Cgroup(ref json) ?? state.Cgroup };
            else json.Skip();
        }

        return state;
    }

    private static CgroupRecord? Cgroup(ref DocumentReader json)
    {
        if (!json.Enter("cgroup")) return null;
        var record = new CgroupRecord(CgroupDriver.Cgroupfs, null, new Dictionary<string, string>());
        while (json.Next())
        {
            if (json.Is("driver"u8)) record = record with { Driver = json.Text("cgroup.driver") == "systemd" ? CgroupDriver.Systemd : CgroupDriver.Cgroupfs };
            else if (json.Is("unit"u8)) record = record with { Unit = json.Text("cgroup.unit") };
            else if (json.Is("paths"u8)) record = record with { Paths = json.TextMap("cgroup.paths") ?? [] };
            else if (json.Is("createdParents"u8)) record = record with { CreatedParents = json.Texts("cgroup.createdParents") ?? [] };
            else json.Skip();
        }

        return record;
    }

    private static ResctrlRecord? Resctrl(ref DocumentReader json)
    {
        if (!json.Enter("resctrl")) return null;
        var record = new ResctrlRecord("", false, null);
        while (json.Next())
        {
            if (json.Is("path"u8)) record = record with { Path = json.Text("resctrl.path") ?? "" };
            else if (json.Is("isOwn"u8)) record = record with { IsOwn = json.Flag("resctrl.isOwn") };
            else if (json.Is("monitorPath"u8)) record = record with { MonitorPath = json.Text("resctrl.monitorPath") };
            else json.Skip();
        }

        return record.Path.Contains('/') ? record : null;
    }

    private static DateTimeOffset Time(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var time) ? time : default;
}
