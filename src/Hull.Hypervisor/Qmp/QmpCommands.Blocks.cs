using System.Text.Json;

namespace Hull.Hypervisor.Qmp;

public static partial class QmpCommands
{
    public static QmpCommand<QmpVoid> BlockdevAdd(QemuProperties node) => Plain("blockdev-add", node);

    public static QmpCommand<QmpVoid> BlockdevDelete(string nodeName) =>
        Plain("blockdev-del", new QemuProperties().Add("node-name", nodeName));

    public static QmpCommand<QmpVoid> BlockResize(string nodeName, long bytes) =>
        Plain("block_resize", new QemuProperties().Add("node-name", nodeName).Add("size", bytes));

    /// <summary>Makes <paramref name="overlay"/>, added without a backing file, the new writable top above <paramref name="node"/>.</summary>
    public static QmpCommand<QmpVoid> BlockdevSnapshot(string node, string overlay) =>
        Plain("blockdev-snapshot", new QemuProperties().Add("node", node).Add("overlay", overlay));

    public static QmpCommand<QmpVoid> BlockDirtyBitmapAdd(string node, string name, bool persistent) =>
        Plain("block-dirty-bitmap-add", Bitmap(node, name).Add("persistent", persistent));

    public static QmpCommand<QmpVoid> BlockDirtyBitmapRemove(string node, string name) =>
        Plain("block-dirty-bitmap-remove", Bitmap(node, name));

    /// <summary>The dirty bitmaps of a node.</summary>
    public static QmpCommand<IReadOnlyList<DirtyBitmap>> QueryBitmaps(string node) =>
        new("query-named-block-nodes", new QemuProperties().Add("flat", true), answer =>
        [
            .. answer.EnumerateArray().Where(entry => entry.GetProperty("node-name").GetString() == node)
                .SelectMany(entry => entry.TryGetProperty("dirty-bitmaps", out var bitmaps) ? bitmaps.EnumerateArray().ToArray() : [])
                .Select(entry => new DirtyBitmap(entry.GetProperty("name").GetString() ?? "",
                    entry.TryGetProperty("inconsistent", out var inconsistent) && inconsistent.GetBoolean())),
        ]);

    /// <summary>Copies a node into another one: all of it, or what a bitmap says changed.</summary>
    public static QmpCommand<QmpVoid> BlockdevBackup(BackupJob job) => Plain("blockdev-backup", job.ToProperties());

    /// <summary>Runs block operations at one point in time: all or none of them take effect.</summary>
    public static QmpCommand<QmpVoid> Transaction(IReadOnlyList<(string Type, QemuProperties Data)> actions) =>
        Plain("transaction", new QemuProperties().Add("actions",
            [.. actions.Select(action => new QemuProperties().Add("type", action.Type).Add("data", action.Data))]));

    public static QmpCommand<QmpVoid> BlockCommit(string job, string device, string? topNode = null, string? baseNode = null) =>
        Plain("block-commit", new QemuProperties().Add("job-id", job).Add("device", device)
            .AddOptional("top-node", topNode).AddOptional("base-node", baseNode));

    public static QmpCommand<QmpVoid> BlockJobCancel(string job) =>
        Plain("block-job-cancel", new QemuProperties().Add("device", job));

    public static QmpCommand<QmpVoid> JobDismiss(string job) => Plain("job-dismiss", new QemuProperties().Add("id", job));

    public static QmpCommand<IReadOnlyList<JobStatus>> QueryJobs() => new("query-jobs", null, answer =>
    [
        .. answer.EnumerateArray().Select(job => new JobStatus(job.GetProperty("id").GetString() ?? "",
            job.GetProperty("status").GetString() ?? "",
            job.TryGetProperty("error", out var error) ? error.GetString() : null)),
    ]);

    /// <summary>Bytes and operations per block device since the machine started.</summary>
    public static QmpCommand<IReadOnlyList<BlockStatistics>> QueryBlockStatistics() => new("query-blockstats", null, answer =>
        [.. answer.EnumerateArray().Select(ParseStatistics)]);

    /// <summary>The device path and the node of every block device with a medium.</summary>
    public static QmpCommand<IReadOnlyList<(string Device, string Node)>> QueryBlockNodes() => new("query-block", null, answer =>
    [
        .. answer.EnumerateArray().Where(entry => entry.TryGetProperty("qdev", out _) && entry.TryGetProperty("inserted", out _))
            .Select(entry => (entry.GetProperty("qdev").GetString() ?? "",
                entry.GetProperty("inserted").TryGetProperty("node-name", out var node) ? node.GetString() ?? "" : "")),
    ]);

    /// <summary>The nodes that have a name of their own, whatever stands on them.</summary>
    public static QmpCommand<IReadOnlyList<string>> QueryNodeNames() => new("query-named-block-nodes", new QemuProperties().Add("flat", true), answer =>
        [.. answer.EnumerateArray().Select(entry => entry.GetProperty("node-name").GetString() ?? "")]);

    internal static QemuProperties Bitmap(string node, string name) => new QemuProperties().Add("node", node).Add("name", name);

    private static BlockStatistics ParseStatistics(JsonElement entry)
    {
        var stats = entry.GetProperty("stats");
        return new BlockStatistics(
            entry.TryGetProperty("qdev", out var device) ? device.GetString() ?? "" : "",
            stats.GetProperty("rd_bytes").GetInt64(), stats.GetProperty("wr_bytes").GetInt64(),
            stats.GetProperty("rd_operations").GetInt64(), stats.GetProperty("wr_operations").GetInt64());
    }
}

/// <summary>A copy of a block node.</summary>
/// <param name="Job">Name of the job, unique in the machine.</param>
/// <param name="Device">The node that is copied.</param>
/// <param name="Target">The node that is written.</param>
/// <param name="Sync"><c>full</c>, <c>top</c>, <c>incremental</c> or <c>none</c>.</param>
/// <param name="Bitmap">The dirty bitmap of an incremental copy.</param>
public sealed record BackupJob(string Job, string Device, string Target, string Sync, string? Bitmap = null)
{
    public QemuProperties ToProperties() => new QemuProperties().Add("job-id", Job).Add("device", Device)
        .Add("target", Target).Add("sync", Sync).AddOptional("bitmap", Bitmap).Add("auto-dismiss", false);
}

public sealed record JobStatus(string Id, string Status, string? Error);

public sealed record BlockStatistics(string Device, long ReadBytes, long WrittenBytes, long Reads, long Writes);

/// <param name="Inconsistent">It was not written back when the image was last closed, and says nothing any more.</param>
public sealed record DirtyBitmap(string Name, bool Inconsistent);
