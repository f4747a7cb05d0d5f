using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Shim;

/// <summary>
/// The root file system is attached in the shim's own mount namespace and nowhere else: nobody can hold it busy, and it
/// goes with the shim, even with one that is killed. The rest of the namespace stays a peer of the engine's, so that
/// bind mounts propagate as the user asked and an unmount outside is one inside.
/// </summary>
internal static class RootMount
{
    /// <summary>Name of the mount point in the bundle.</summary>
    public const string Name = "rootfs";

    /// <summary>Enters a new mount namespace and attaches the mount below the (then private) bundle directory.</summary>
    public static void Attach(string bundle, SafeFd? root)
    {
        Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_NEWNS), $"make a mount namespace");
        if (root is null) return;
        Check.Result(MountCalls.Mount(bundle, bundle, null, MountFlags.MS_BIND, null), $"mount {bundle}");
        Check.Result(MountCalls.Mount(null, bundle, null, MountFlags.MS_PRIVATE, null), $"make {bundle} private");
        Check.Result(
            MountCalls.MoveMount(root.Value, "", Fcntl.AT_FDCWD, Path.Combine(bundle, Name), MountApi.MOVE_MOUNT_F_EMPTY_PATH),
            $"attach the root at {bundle}/{Name}");
    }
}
