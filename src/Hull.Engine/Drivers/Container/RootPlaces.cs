using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;

namespace Hull.Engine.Drivers.Container;

/// <summary>Places in a root that something is mounted at.</summary>
internal static class RootPlaces
{
    /// <summary>A place for it is made in the root as at a start, unless the root cannot be written to: nothing is mounted then.</summary>
    public static void Attach(RootDirectory view, string destination, DetachedMount made)
    {
        if (!view.Exists(destination))
        {
            try
            {
                Make(view, destination, made.Descriptor.Stat().IsDirectory);
            }
            catch (HullException error) when (error.Errno == Errno.EROFS)
            {
                return;
            }
        }

        using var target = view.OpenPath(destination);
        made.AttachTo(target, destination);
    }

    public static void Make(RootDirectory view, string destination, bool directory)
    {
        if (directory)
        {
            view.MkdirAll(destination).Dispose();
            return;
        }

        var (parent, _) = PathName.SplitLast(destination.TrimStart('/'));
        if (parent.Length > 0) view.MkdirAll(parent).Dispose();
        view.CreateFileExclusive(destination, 0x1A4 /* 0644 */).Dispose();
    }
}
