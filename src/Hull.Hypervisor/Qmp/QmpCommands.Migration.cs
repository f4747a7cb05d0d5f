using System.Text.Json;

namespace Hull.Hypervisor.Qmp;

public static partial class QmpCommands
{
    /// <summary>
    /// Switches one migration capability. <c>x-ignore-shared</c> leaves RAM that is in a shared mapping out of
    /// the stream: with RAM in a file, the stream is the device state alone.
    /// </summary>
    public static QmpCommand<QmpVoid> MigrateSetCapability(string capability, bool state) =>
        Plain("migrate-set-capabilities", new QemuProperties().Add("capabilities",
            [new QemuProperties().Add("capability", capability).Add("state", state)]));

    /// <summary>
    /// Writes the state of the devices alone, without RAM wherever it is; the machine must be stopped. Xen's name for it,
    /// but part of every QEMU.
    /// </summary>
    public static QmpCommand<QmpVoid> SaveDevices(string file) =>
        Plain("xen-save-devices-state", new QemuProperties().Add("filename", file).Add("live", false));

    /// <summary>Gives the monitor a file, sent with the command, that it opens as <c>/dev/fdset/N</c>.</summary>
    public static QmpCommand<QmpVoid> AddFd(long set) => Plain("add-fd", new QemuProperties().Add("fdset-id", set));

    /// <summary>As <see cref="AddFd"/>, into a new set whose number is answered.</summary>
    /// <param name="purpose">What the set is found by in <see cref="QueryFdSets"/>.</param>
    public static QmpCommand<long> PassFile(string purpose) =>
        new("add-fd", new QemuProperties().Add("opaque", purpose), answer => answer.GetProperty("fdset-id").GetInt64());

    /// <summary>The sets of descriptors with their purposes.</summary>
    public static QmpCommand<IReadOnlyList<(long Set, string Purpose)>> QueryFdSets() => new("query-fdsets", null, answer =>
    [
        .. answer.EnumerateArray().SelectMany(set => set.GetProperty("fds").EnumerateArray()
            .Select(file => (set.GetProperty("fdset-id").GetInt64(), file.TryGetProperty("opaque", out var purpose) ? purpose.GetString() ?? "" : ""))),
    ]);

    public static QmpCommand<QmpVoid> RemoveFd(long set) => Plain("remove-fd", new QemuProperties().Add("fdset-id", set));

    /// <param name="maximumBandwidth">Bytes per second.</param>
    /// <param name="downtimeLimit">Milliseconds.</param>
    public static QmpCommand<QmpVoid> MigrateSetParameters(long? maximumBandwidth = null, long? downtimeLimit = null) =>
        Plain("migrate-set-parameters", new QemuProperties()
            .AddOptional("max-bandwidth", maximumBandwidth).AddOptional("downtime-limit", downtimeLimit));

    public static QmpCommand<QmpVoid> Migrate(string uri) => Plain("migrate", new QemuProperties().Add("uri", uri));

    public static QmpCommand<QmpVoid> MigrateStartPostcopy() => Plain("migrate-start-postcopy");

    public static QmpCommand<QmpVoid> MigrateCancel() => Plain("migrate_cancel");

    public static QmpCommand<QmpVoid> MigrateIncoming(string uri) =>
        Plain("migrate-incoming", new QemuProperties().Add("uri", uri));

    public static QmpCommand<MigrationStatus> QueryMigrate() => new("query-migrate", null, answer => new MigrationStatus(
        answer.TryGetProperty("status", out var status) ? status.GetString() ?? "none" : "none",
        answer.TryGetProperty("error-desc", out var error) ? error.GetString() : null,
        answer.TryGetProperty("downtime", out var downtime) ? TimeSpan.FromMilliseconds(downtime.GetInt64()) : null,
        answer.TryGetProperty("total-time", out var total) ? TimeSpan.FromMilliseconds(total.GetInt64()) : null,
        answer.TryGetProperty("ram", out var ram) ? ram.GetProperty("transferred").GetInt64() : 0,
        answer.TryGetProperty("ram", out var dirty) && dirty.TryGetProperty("dirty-sync-count", out var count)
            ? count.GetInt64() : 0));
}

/// <summary>Progress of a migration, a snapshot of memory or the load of one.</summary>
public sealed record MigrationStatus(
    string Status, string? Error, TimeSpan? Downtime, TimeSpan? Total, long TransferredBytes, long DirtySyncs)
{
    public bool Completed => Status == "completed";

    public bool Failed => Status is "failed" or "cancelled";
}
