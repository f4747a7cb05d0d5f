using Hull.Core;
using Hull.Core.Tar;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>Snapshots that are overlay mounts: layers below, <c>upper</c> and <c>work</c> of the active snapshot above.</summary>
public abstract class OverlayBasedSnapshotter : Snapshotter
{
    /// <summary>OVL_MAX_STACK of the kernel.</summary>
    private protected const int MaxOverlayLayers = 500;

    private protected OverlayBasedSnapshotter(string name, string root, TimeProvider? time, Func<SnapshotCatalog, ILayerStore> layers)
        : base(name, root, time, layers)
    {
    }

    public override IReadOnlyList<SnapshotMount> Mounts(string key)
    {
        var record = RequireActive(key);
        var lower = LowerPaths(record);
        var directory = Catalog.ActiveDirectory(key);
        var source = "hull-" + key;
        if (record.Kind == SnapshotKind.View)
        {
            return lower.Count == 1
                ? [new SnapshotMount("bind", lower[0], ["bind", "ro"], [])]
                : [new SnapshotMount("overlay", source, ["ro", .. FixedOptions], lower)];
        }

        var upper = Path.Combine(directory, "upper");
        return lower.Count == 0
            ? [new SnapshotMount("bind", upper, ["bind"], [])]
            : [new SnapshotMount("overlay", source, ["upperdir=" + upper, "workdir=" + Path.Combine(directory, "work"), .. FixedOptions], lower)];
    }

    public override string? WritableDirectory(string key) =>
        RequireActive(key).Kind == SnapshotKind.Active ? Path.Combine(Catalog.ActiveDirectory(key), "upper") : null;

    public override RootDirectory OpenTree(string key)
    {
        var record = RequireActive(key);
        // The upper as the topmost of the lower directories: an instance may have the same one mounted for writing.
        var layers = LowerPaths(record);
        if (record.Kind == SnapshotKind.Active) layers.Insert(0, WritableDirectory(key)!);
        using var view = CreateView(layers);
        return RootDirectory.FromDescriptor(view.Descriptor.Duplicate(), "snapshot " + key);
    }

    public override Task<IReadOnlyList<SnapshotChange>> ChangesAsync(string key, CancellationToken cancellation = default) => Task.Run(() =>
    {
        using var compared = Compare(key);
        return compared.Changes(cancellation);
    }, cancellation);

    public override Task DiffAsync(string key, Stream output, CancellationToken cancellation = default) => Task.Run(() =>
    {
        using var compared = Compare(key);
        compared.WriteDiff(output, cancellation);
    }, cancellation);

    private protected override void FillActive(string directory, ChainId? parent, PrepareOptions options)
    {
        var upper = Path.Combine(directory, "upper");
        Directory.CreateDirectory(upper, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        Directory.CreateDirectory(Path.Combine(directory, "work"));
        using var created = RootDirectory.Open(upper);
        // An overlay shows the upper's root: it must look like the topmost layer's.
        if (parent is { } chain) CopyRootMetadata(chain, created.Descriptor);
        else DescriptorMetadata.SetOwner(created.Descriptor, (uint)options.UserId, (uint)options.GroupId, upper);
    }

    private protected override Digest? MakeCorrection(ChainId parent, Digest diffId)
    {
        var implied = LayerStore.Read(diffId).Implied;
        if (!implied.Any(path => path.Length > 0)) return null;
        var below = LayersOf(Catalog.FindCommitted(parent)!).ToList();
        if (new ImpliedDirectories(LayerStore).Describe(diffId, implied, below) is not { } tar) return null;
        var correction = Digest.Sha256(tar);
        using var taken = FileLock.Acquire(Catalog.LayerLock(correction));
        if (!LayerStore.Has(correction)) LayerStore.Write(correction, new MemoryStream(tar), UnpackLimits.Default, flush: true, CancellationToken.None);
        return correction;
    }

    /// <summary>
    /// redirect_dir and metacopy would put names and half files into the upper that only overlayfs understands; a diff needs
    /// whole ones.
    /// </summary>
    private static IEnumerable<string> FixedOptions => ["index=off", "redirect_dir=nofollow", "metacopy=off"];

    private List<string> LowerPaths(SnapshotRecord record)
    {
        var lower = LayersOf(record).Select(LayerStore.LowerPath).ToList();
        return lower.Count <= MaxOverlayLayers
            ? lower
            : throw HullException.Unsupported($"snapshot {record.Key} has {lower.Count} layers, overlayfs takes {MaxOverlayLayers}: use the copy snapshotter");
    }

    private OverlayComparison Compare(string key)
    {
        var record = RequireActive(key);
        if (record.Kind == SnapshotKind.View) throw HullException.Invalid($"snapshot {key} is a view and has no changes");
        var lower = LowerPaths(record);
        using var view = lower.Count == 0 ? null : CreateView(lower);
        return new OverlayComparison(
            RootDirectory.Open(WritableDirectory(key)!, RootScope.Beneath),
            view is null ? null : RootDirectory.FromDescriptor(view.Descriptor.Duplicate(), "lower layers", RootScope.Beneath));
    }

    private static DetachedMount CreateView(List<string> lower) => lower.Count == 1
        ? SnapshotMounter.Create(new SnapshotMount("bind", lower[0], ["bind", "ro"], []))
        : SnapshotMounter.Create(new SnapshotMount("overlay", "hull-view", ["ro", .. FixedOptions], lower));

    private void CopyRootMetadata(ChainId chain, SafeFd target)
    {
        var layers = LayersOf(Catalog.FindCommitted(chain)!).ToList();
        var top = layers[0];
        // The topmost layer that says something of its root decides.
        foreach (var diffId in layers)
        {
            if (LayerStore.Read(diffId).Implied.Contains("")) continue;
            top = diffId;
            break;
        }

        using var source = RootDirectory.Open(LayerStore.LowerPath(top));
        var status = source.Descriptor.Stat();
        DescriptorMetadata.SetOwner(target, status.User, status.Group, "the snapshot's root");
        DescriptorMetadata.SetMode(target, status.Mode, "the snapshot's root");
    }
}

/// <summary>The snapshotter of choice: one erofs file per layer, for containers and VMs alike.</summary>
public sealed class ErofsSnapshotter(string root, TimeProvider? time = null)
    : OverlayBasedSnapshotter("erofs", root, time, catalog => new Erofs.ErofsLayerStore(catalog))
{
    public override SnapshotCapabilities Capabilities { get; } = new(null, null, MaxOverlayLayers);

    /// <summary>Detaches all layers, to be done before the store's directory is removed.</summary>
    public void UnmountLayers() => ((Erofs.ErofsLayerStore)LayerStore).UnmountAll();
}

/// <summary>Layers as directories: for kernels without erofs.</summary>
public sealed class OverlaySnapshotter(string root, TimeProvider? time = null)
    : OverlayBasedSnapshotter("overlay", root, time, catalog => new DirectoryLayerStore(catalog))
{
    public override SnapshotCapabilities Capabilities { get; } =
        new("the overlay snapshotter keeps layers as directories: use the erofs snapshotter for virtual machines", null, MaxOverlayLayers);
}
