using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Mounts;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;

namespace Hull.Runtime.Setup;

/// <summary>Id-mapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP), whose mapping is a user namespace made for it.</summary>
internal static class IdMappedMounts
{
    internal static void Apply(SetupContext context, MountSpec mount, MountOptions options, DetachedMount clone)
    {
        var users = mount.UidMappings ?? context.Linux.UidMappings
            ?? throw HullException.Invalid($"mounts: {mount.Destination}: idmap has no mappings to use");
        var groups = mount.GidMappings ?? context.Linux.GidMappings ?? users;
        using var space = UserNamespaces.Create(users, groups);
        try
        {
            clone.SetAttributes(
                new MountAttr { attr_set = MountApi.MOUNT_ATTR_IDMAP, userns_fd = (ulong)space.Value },
                recursive: options.IdMapRecursive || (options.Recursive && !options.IdMap));
        }
        catch (HullException error) when (error.Errno == Errno.EINVAL)
        {
            throw HullException.Unsupported($"mounts: {mount.Destination}: this kernel does not map the ids of the file system of {mount.Source}");
        }
    }
}
