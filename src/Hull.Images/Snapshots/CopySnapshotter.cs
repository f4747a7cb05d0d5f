using Hull.Core;
using Hull.Images.Archive;
using Hull.Linux;
using Hull.Linux.Archives;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>
/// Every active snapshot is a full copy of its layers: slow and large, but it needs nothing of the kernel. What was copied
/// is written down, so that changes can be told later.
/// </summary>
public sealed class CopySnapshotter(string root, TimeProvider? time = null)
    : Snapshotter("copy", root, time, catalog => new DirectoryLayerStore(catalog))
{
    private const string TreeName = "tree";
    private const string BaselineName = "baseline";

    public override SnapshotCapabilities Capabilities { get; } = new(
        "the copy snapshotter keeps layers as directories: use the erofs snapshotter for virtual machines",
        "every snapshot is a copy", int.MaxValue);

    public override IReadOnlyList<SnapshotMount> Mounts(string key)
    {
        var record = RequireActive(key);
        IReadOnlyList<string> options = record.Kind == SnapshotKind.View ? ["bind", "ro"] : ["bind"];
        return [new SnapshotMount("bind", TreePath(key), options, [])];
    }

    public override string? WritableDirectory(string key) => RequireActive(key).Kind == SnapshotKind.Active ? TreePath(key) : null;

    public override RootDirectory OpenTree(string key) => RootDirectory.Open(TreePath(RequireActive(key).Key));

    public override Task<IReadOnlyList<SnapshotChange>> ChangesAsync(string key, CancellationToken cancellation = default) => Task.Run(() =>
    {
        using var tree = RootDirectory.Open(WritableDirectory(key) ?? throw NoChanges(key), RootScope.Beneath);
        return TreeBaseline.Read(BaselinePath(key)).Changes(tree);
    }, cancellation);

    public override Task DiffAsync(string key, Stream output, CancellationToken cancellation = default) => Task.Run(() =>
    {
        using var tree = RootDirectory.Open(WritableDirectory(key) ?? throw NoChanges(key), RootScope.Beneath);
        var archive = new TreeArchiver(tree, output);
        foreach (var change in TreeBaseline.Read(BaselinePath(key)).Changes(tree))
        {
            cancellation.ThrowIfCancellationRequested();
            var path = change.Path[1..];
            var slash = path.LastIndexOf('/') + 1;
            if (change.Kind == ChangeKind.Deleted) archive.AddMark(path[..slash] + ".wh." + path[slash..]);
            else archive.Add(path, tree.Stat(path));
        }

        archive.Finish();
    }, cancellation);

    private protected override void FillActive(string directory, ChainId? parent, PrepareOptions options)
    {
        Fill(directory, parent);
        using var tree = RootDirectory.Open(Path.Combine(directory, TreeName), RootScope.Beneath);
        if (parent is null) DescriptorMetadata.SetOwner(tree.Descriptor, (uint)options.UserId, (uint)options.GroupId, directory);
        TreeBaseline.Of(tree).Write(Path.Combine(directory, BaselineName));
    }

    private protected override void FillView(string directory, ChainId parent) => Fill(directory, parent);

    private void Fill(string directory, ChainId? parent)
    {
        var path = Path.Combine(directory, TreeName);
        Directory.CreateDirectory(path);
        if (parent is not { } chain) return;
        foreach (var diffId in LayersOf(Catalog.FindCommitted(chain)!).Reverse())
        {
            using var layer = RootDirectory.Open(LayerStore.LowerPath(diffId), RootScope.Beneath);
            using var target = RootDirectory.Open(path, RootScope.Beneath);
            new LayerCopier(layer, target, [.. LayerStore.Read(diffId).Implied]).Copy();
        }
    }

    private string TreePath(string key) => Path.Combine(Catalog.ActiveDirectory(key), TreeName);

    private string BaselinePath(string key) => Path.Combine(Catalog.ActiveDirectory(key), BaselineName);

    private static HullException NoChanges(string key) => HullException.Invalid($"snapshot {key} is a view and has no changes");
}
