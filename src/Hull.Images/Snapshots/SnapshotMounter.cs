using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>Makes a snapshot's mount, attached nowhere yet, for whoever places it by descriptor.</summary>
public static class SnapshotMounter
{
    public static DetachedMount Create(SnapshotMount mount)
    {
        if (mount.Type == "bind") return CreateBind(mount);
        var options = new List<(string Key, string? Value)> { ("source", mount.Source) };
        foreach (var lower in mount.Lower) options.Add(("lowerdir+", lower));
        ulong attributes = 0;
        foreach (var option in mount.Options)
        {
            if (option == "ro") attributes |= MountApi.MOUNT_ATTR_RDONLY;
            var equals = option.IndexOf('=', StringComparison.Ordinal);
            options.Add(equals < 0 ? (option, null) : (option[..equals], option[(equals + 1)..]));
        }

        return DetachedMount.Create(mount.Type, options, attributes);
    }

    private static DetachedMount CreateBind(SnapshotMount mount)
    {
        using var source = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, mount.Source, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {mount.Source}");
        var clone = DetachedMount.Clone(source, recursive: false, mount.Source);
        var attributes = new MountAttr { attr_clr = MountApi.MOUNT_ATTR_NOSUID | MountApi.MOUNT_ATTR_NODEV };
        if (mount.Options.Contains("ro")) attributes.attr_set = MountApi.MOUNT_ATTR_RDONLY;
        clone.SetAttributes(attributes);
        return clone;
    }
}
