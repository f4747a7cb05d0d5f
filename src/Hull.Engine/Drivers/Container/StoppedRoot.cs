using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers.Container;

/// <summary>
/// The root of a container that does not run, with what is bound into it when it does: whoever reads or writes its files
/// means those of its volumes too.
/// </summary>
internal static class StoppedRoot
{
    public static DetachedMount Open(DetachedMount root, Spec spec)
    {
        var mounts = (spec.Mounts ?? []).Where(IsContent).ToList();
        if (mounts.Count == 0) return root;
        // Paths of the host are followed before, while they still lead somewhere.
        var sources = mounts.Where(mount => Path.Exists(mount.Source)).Select(mount => (mount, Made: Clone(mount))).ToList();
        try
        {
            return MountTree.Assemble(root, place =>
            {
                using var view = RootDirectory.FromDescriptor(place.Duplicate(), "the container");
                foreach (var (mount, made) in sources) RootPlaces.Attach(view, mount.Destination!, made);
            });
        }
        finally
        {
            foreach (var (_, made) in sources) made.Dispose();
            root.Dispose();
        }
    }

    /// <summary>File systems of a running container (proc, tmpfs, shared memory) have nothing in them now.</summary>
    private static bool IsContent(MountSpec mount) => mount.Type == "bind" && mount.Destination is not (null or "/proc" or "/dev/shm" or "/dev/mqueue");

    private static DetachedMount Clone(MountSpec mount)
    {
        using var source = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, mount.Source!, Fcntl.O_PATH), $"open {mount.Source}");
        var made = DetachedMount.Clone(source, (mount.Options ?? []).Contains("rbind"), mount.Source!);
        if ((mount.Options ?? []).Contains("ro")) made.SetAttributes(new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY });
        return made;
    }
}
