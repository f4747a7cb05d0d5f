using System.Text.Json;

namespace Hull.Hypervisor.Qmp;

public static partial class QmpCommands
{
    public static QmpCommand<QmpVoid> DeviceAdd(QemuProperties device) => Plain("device_add", device);

    /// <summary>Asks the guest to give a device up; <c>DEVICE_DELETED</c> says when it has.</summary>
    public static QmpCommand<QmpVoid> DeviceDelete(string id) => Plain("device_del", new QemuProperties().Add("id", id));

    public static QmpCommand<QmpVoid> NetdevAdd(QemuProperties netdev) => Plain("netdev_add", netdev);

    public static QmpCommand<QmpVoid> NetdevDelete(string id) => Plain("netdev_del", new QemuProperties().Add("id", id));

    /// <summary>A character device on a connected socket that was sent by <see cref="GetFd"/>.</summary>
    public static QmpCommand<QmpVoid> ChardevAddSocket(string id, string descriptorName) =>
        Plain("chardev-add", new QemuProperties().Add("id", id).Add("backend", new QemuProperties().Add("type", "socket")
            .Add("data", new QemuProperties().Add("server", false).Add("addr", new QemuProperties().Add("type", "fd")
                .Add("data", new QemuProperties().Add("str", descriptorName))))));

    public static QmpCommand<QmpVoid> ObjectAdd(QemuProperties definition) => Plain("object-add", definition);

    public static QmpCommand<QmpVoid> ObjectDelete(string id) => Plain("object-del", new QemuProperties().Add("id", id));

    /// <summary>Sets a property of an object; with <c>drive</c> of a disk it exchanges the medium while the machine runs.</summary>
    public static QmpCommand<QmpVoid> QomSet(string path, string property, string value) =>
        Plain("qom-set", new QemuProperties().Add("path", path).Add("property", property).Add("value", value));

    public static QmpCommand<QmpVoid> QomSet(string path, string property, long value) =>
        Plain("qom-set", new QemuProperties().Add("path", path).Add("property", property).Add("value", value));

    /// <summary>Sets the balloon's target: the bytes of RAM the guest keeps.</summary>
    public static QmpCommand<QmpVoid> Balloon(long bytes) => Plain("balloon", new QemuProperties().Add("value", bytes));

    public static QmpCommand<long> QueryBalloon() =>
        new("query-balloon", null, answer => answer.GetProperty("actual").GetInt64());

    /// <summary>
    /// What the guest said last of its memory that is available (virtio 1.2, 5.5.6.3, VIRTIO_BALLOON_S_AVAIL); null where it
    /// said nothing. It is asked as often as the property <c>guest-stats-polling-interval</c> says.
    /// </summary>
    public static QmpCommand<long?> QueryAvailableMemory(string path) =>
        new("qom-get", new QemuProperties().Add("path", path).Add("property", "guest-stats"), answer =>
            answer.GetProperty("last-update").GetInt64() > 0 && answer.GetProperty("stats").GetProperty("stat-available-memory").TryGetInt64(out var bytes) && bytes >= 0 ? bytes : null);

    public static QmpCommand<QmpVoid> SetLink(string name, bool up) =>
        Plain("set_link", new QemuProperties().Add("name", name).Add("up", up));

    public static QmpCommand<IReadOnlyList<HotpluggableProcessor>> QueryHotpluggableProcessors() =>
        new("query-hotpluggable-cpus", null, answer => [.. answer.EnumerateArray().Select(ParseProcessor)]);

    /// <summary>Bytes of RAM the machine started with and bytes plugged since.</summary>
    public static QmpCommand<(long Base, long Plugged)> QueryMemorySize() => new("query-memory-size-summary", null,
        answer => (answer.GetProperty("base-memory").GetInt64(),
            answer.TryGetProperty("plugged-memory", out var plugged) ? plugged.GetInt64() : 0));

    private static HotpluggableProcessor ParseProcessor(JsonElement entry)
    {
        var position = new QemuProperties();
        foreach (var member in entry.GetProperty("props").EnumerateObject())
            position.Add(member.Name, member.Value.GetInt64());
        return new HotpluggableProcessor(entry.GetProperty("type").GetString() ?? "", position,
            entry.TryGetProperty("qom-path", out var path) ? path.GetString() : null);
    }
}

/// <summary>A processor slot: the device type and position to plug, and the object that fills it, if any.</summary>
public sealed record HotpluggableProcessor(string Type, QemuProperties Position, string? OccupiedBy);
