using Hull.Linux.Abi;
using Hull.Linux.Archives;
using Hull.Linux.Mounts;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers.Container;

/// <summary>Mounts a root without attaching it anywhere.</summary>
internal static class RootMounts
{
    /// <param name="mapping">Whose owners the files are to have; null for those on the disk.</param>
    public static DetachedMount Open(RootMount mount, RootMapping? mapping = null)
    {
        if (mount.Type is "bind" or "none") return OpenBind(mount, mapping);
        var options = new List<(string Key, string? Value)>();
        if (mount.Source.Length > 0) options.Add(("source", mount.Source));
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

        if (mapping is not null && mount.Type == "overlay") return OpenMapped(mount, options, attributes, mapping);
        // Given one by one: a long list does not fit into the page that mount(2) takes.
        options.InsertRange(0, mount.Lower.Select(lower => ("lowerdir+", (string?)lower)));
        var made = DetachedMount.Create(mount.Type, options, attributes);
        mapping?.Apply(made, recursive: false);
        return made;
    }

    /// <summary>The user namespace that an instance of this spec is in, for its archives; null in the host's.</summary>
    public static OwnerMap? OwnersOf(Spec spec)
    {
        if (spec.Linux is not { UidMappings: { Count: > 0 } users, GidMappings: { } groups }) return null;
        return new OwnerMap([.. users.Select(ToRange)], [.. groups.Select(ToRange)]);

        static IdRange ToRange(IdMapping mapping) => new(mapping.ContainerId, mapping.HostId, mapping.Size);
    }

    private static DetachedMount OpenMapped(RootMount mount, List<(string Key, string? Value)> options, ulong attributes, RootMapping mapping)
    {
        var layers = new OverlayLayers(mount.Lower, Take("upperdir"), Take("workdir"));
        return MappedMounts.CreateOverlay(layers, options, attributes, mapping.Namespace, (mapping.RootUser, mapping.RootGroup));

        string? Take(string key)
        {
            var value = options.Find(option => option.Key == key).Value;
            options.RemoveAll(option => option.Key == key);
            return value;
        }
    }

    private static DetachedMount OpenBind(RootMount mount, RootMapping? mapping)
    {
        using var source = Hull.Linux.Files.RootDirectory.Open(mount.Source);
        var made = DetachedMount.Clone(source.Descriptor, mount.Options.Contains("rbind"), mount.Source);
        mapping?.Apply(made, mount.Options.Contains("rbind"));
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
