using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;

namespace Hull.Engine.Drivers.Container;

/// <summary>
/// Images as parts of a root: each is mounted from its layers, read-only, and put into the tree before the container is
/// made, so that it appears nowhere else and goes with the root.
/// </summary>
internal static class RootImages
{
    /// <summary>The root with the images in it; takes the root over.</summary>
    /// <exception cref="HullException"><see cref="ErrorKind.InvalidArgument"/> for a path that an image does not have.</exception>
    public static DetachedMount Attach(DetachedMount root, IReadOnlyList<ImageMount> images, RootMapping? mapping)
    {
        var views = new List<DetachedMount>();
        try
        {
            foreach (var image in images) views.Add(OpenView(image.Mount, mapping));
            return MountTree.Assemble(root, place =>
            {
                using var tree = RootDirectory.FromDescriptor(place.Duplicate(), "the container");
                foreach (var (image, view) in images.Zip(views)) Attach(tree, image, view, mapping);
            }, views);
        }
        finally
        {
            foreach (var view in views) view.Dispose();
            root.Dispose();
        }
    }

    private static DetachedMount OpenView(RootMount mount, RootMapping? mapping)
    {
        var view = RootMounts.Open(mount, mapping);
        view.SetAttributes(new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY });
        return view;
    }

    private static void Attach(RootDirectory tree, ImageMount image, DetachedMount view, RootMapping? mapping)
    {
        using var part = OpenPart(image, view);
        using var clone = DetachedMount.Clone(part, recursive: false, "the image at " + image.Target);
        if (!tree.Exists(image.Target))
        {
            // The directories are root's, whoever that is in the container.
            if (mapping is null) RootPlaces.Make(tree, image.Target, part.Stat().IsDirectory);
            else using (FileOwner.Assume(mapping.RootUser, mapping.RootGroup)) RootPlaces.Make(tree, image.Target, part.Stat().IsDirectory);
        }

        using var target = tree.OpenPath(image.Target);
        clone.AttachTo(target, image.Target);
    }

    private static SafeFd OpenPart(ImageMount image, DetachedMount view)
    {
        if (image.Path is null) return view.Descriptor.Duplicate();
        using var files = RootDirectory.FromDescriptor(view.Descriptor.Duplicate(), "the image");
        try
        {
            return files.OpenPath(image.Path);
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            throw HullException.Invalid($"the image to mount at {image.Target} has no {image.Path}");
        }
    }
}
