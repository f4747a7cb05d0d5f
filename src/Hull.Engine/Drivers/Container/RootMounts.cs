using Hull.Linux.Abi;
using Hull.Linux.Mounts;

namespace Hull.Engine.Drivers.Container;

/// <summary>Mounts a root without attaching it anywhere.</summary>
internal static class RootMounts
{
    public static DetachedMount Open(RootMount mount)
    {
        if (mount.Type is "bind" or "none") return OpenBind(mount);
        var options = new List<(string, string?)>();
        if (mount.Source.Length > 0) options.Add(("source", mount.Source));
        // Given one by one: a long list does not fit into the page that mount(2) takes.
        foreach (var lower in mount.Lower) options.Add(("lowerdir+", lower));
        ulong attributes = 0;
        foreach (var option in mount.Options)
        {
            if (Attribute(option) is { } attribute)
            {
                attributes |= attribute;
                continue;
            }

            var equals = option.IndexOf('=');
            options.Add(equals < 0 ? (option, null) : (option[..equals], option[(equals + 1)..]));
        }

        return DetachedMount.Create(mount.Type, options, attributes);
    }

    private static DetachedMount OpenBind(RootMount mount)
    {
        using var source = Hull.Linux.Files.RootDirectory.Open(mount.Source);
        var made = DetachedMount.Clone(source.Descriptor, mount.Options.Contains("rbind"), mount.Source);
        if (mount.Options.Contains("ro")) made.SetAttributes(new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY });
        return made;
    }

    private static ulong? Attribute(string option) => option switch
    {
        "ro" => MountApi.MOUNT_ATTR_RDONLY,
        "rw" => 0UL,
        "nosuid" => MountApi.MOUNT_ATTR_NOSUID,
        "nodev" => MountApi.MOUNT_ATTR_NODEV,
        "noexec" => MountApi.MOUNT_ATTR_NOEXEC,
        "noatime" => MountApi.MOUNT_ATTR_NOATIME,
        _ => null,
    };
}
