using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Mounts;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// Mounts an erofs image: straight from the file (Linux 6.12 on), else through a loop device that goes with the mount.
/// </summary>
internal static class ErofsMount
{
    private const ulong Attributes = MountApi.MOUNT_ATTR_RDONLY | MountApi.MOUNT_ATTR_NOSUID | MountApi.MOUNT_ATTR_NODEV;

    private static bool _needsLoop;

    public static DetachedMount Create(string image)
    {
        if (!_needsLoop)
        {
            try
            {
                return Create(image, Attributes);
            }
            catch (HullException error) when (error.Errno is Errno.ENOTBLK or Errno.EINVAL or Errno.EOPNOTSUPP)
            {
                // Before 6.12, or a store that itself lies on an overlay: a second level of stacking is too much.
                _needsLoop = true;
            }
        }

        using var loop = LoopDevice.Attach(image);
        return Create(loop.Path, Attributes);
    }

    private static DetachedMount Create(string source, ulong attributes) =>
        DetachedMount.Create("erofs", [("source", source), ("ro", null)], attributes);
}
