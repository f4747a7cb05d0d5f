using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>Directories that are layers of an overlay.</summary>
/// <param name="Lower">Topmost first.</param>
/// <param name="Upper">With <paramref name="Work"/> in the same directory; both null for a view that is not written to.</param>
public sealed record OverlayLayers(IReadOnlyList<string> Lower, string? Upper, string? Work);

/// <summary>
/// Mounts that show the files' owners as a user namespace has them (mount_setattr(2), MOUNT_ATTR_IDMAP): on the disk is what
/// the namespace's own processes see, whatever range the namespace has.
/// </summary>
public static class MappedMounts
{
    /// <summary>Maps a mount, with all below where <paramref name="recursive"/>; <see cref="ErrorKind.Unsupported"/> where the file system cannot.</summary>
    public static void Apply(DetachedMount mount, SafeFd userNamespace, bool recursive)
    {
        try
        {
            mount.SetAttributes(new MountAttr { attr_set = MountApi.MOUNT_ATTR_IDMAP, userns_fd = (ulong)userNamespace.Value }, recursive);
        }
        catch (HullException error) when (error.Errno is Errno.EINVAL or Errno.ENOSYS)
        {
            throw HullException.Unsupported(
                $"this kernel does not map the owners of files on the file system of {mount.Description}, as a user namespace needs it: use ext4, xfs or btrfs, or the host's user namespace");
        }
    }

    /// <summary>
    /// An overlay whose layers are mapped: overlayfs itself cannot be (it has no FS_ALLOW_IDMAP), but takes mapped layers
    /// since Linux 5.19.
    /// </summary>
    /// <param name="root">User and group outside that are the namespace's root.</param>
    public static DetachedMount CreateOverlay(OverlayLayers layers, IEnumerable<(string Key, string? Value)> options, ulong attributes,
        SafeFd userNamespace, (uint User, uint Group) root)
    {
        var mapped = new List<DetachedMount>();
        try
        {
            foreach (var lower in layers.Lower) mapped.Add(CloneMapped(lower, userNamespace));
            // Upper and work must be on one mount, so their parent is what is cloned.
            if (layers.Upper is { } upper) mapped.Add(CloneMapped(Path.GetDirectoryName(upper)!, userNamespace));
            return OwnThread.Run("mounts", () => Assemble(layers, mapped, options, attributes, root));
        }
        finally
        {
            // The overlay has private clones of its layers.
            foreach (var layer in mapped) layer.Dispose();
        }
    }

    private static DetachedMount CloneMapped(string path, SafeFd userNamespace)
    {
        using var source = RootDirectory.Open(path);
        var clone = DetachedMount.Clone(source.Descriptor, recursive: false, path);
        try
        {
            Apply(clone, userNamespace, recursive: false);
            return clone;
        }
        catch
        {
            clone.Dispose();
            throw;
        }
    }

    /// <summary>
    /// On a thread of its own: kernels before 6.15 take no layer that is attached nowhere, so all are attached, one over the
    /// other, in a mount namespace that ends with the thread; and overlayfs writes to its upper as who mounted it, who has to
    /// be somebody the mapping knows.
    /// </summary>
    private static DetachedMount Assemble(OverlayLayers layers, List<DetachedMount> mapped, IEnumerable<(string Key, string? Value)> options, ulong attributes,
        (uint User, uint Group) root)
    {
        Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_NEWNS), $"make a mount namespace");
        Check.Result(MountCalls.Mount(null, "/", null, MountFlags.MS_REC | MountFlags.MS_PRIVATE, null), $"keep the mounts of a namespace to itself");
        using var place = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/", Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open /");
        foreach (var layer in mapped) layer.AttachTo(place, "/");
        var all = options.ToList();
        foreach (var layer in mapped.Take(layers.Lower.Count)) all.Add(("lowerdir+", DescriptorMetadata.ProcPath(layer.Descriptor)));
        if (layers is { Upper: { } upper, Work: { } work })
        {
            var parent = DescriptorMetadata.ProcPath(mapped[^1].Descriptor);
            all.Add(("upperdir", parent + "/" + Path.GetFileName(upper)));
            all.Add(("workdir", parent + "/" + Path.GetFileName(work)));
        }

        using (FileOwner.Assume(root.User, root.Group)) return DetachedMount.Create("overlay", all, attributes);
    }
}
