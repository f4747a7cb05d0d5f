using Hull.Core;

namespace Hull.Linux.Archives;

/// <summary>A range of ids: <paramref name="Inside"/> a user namespace, <paramref name="Outside"/> of it.</summary>
public readonly record struct IdRange(uint Inside, uint Outside, uint Count);

/// <summary>
/// Owners of files as a user namespace has them and as this process sees them. Archives of a root carry the former.
/// </summary>
public sealed record OwnerMap(IReadOnlyList<IdRange> Users, IReadOnlyList<IdRange> Groups)
{
    /// <summary>What the kernel shows in place of an id that is not mapped (/proc/sys/kernel/overflowuid).</summary>
    private const uint Overflow = 65534;

    public uint UserInside(uint user) => Inside(Users, user);

    public uint GroupInside(uint group) => Inside(Groups, group);

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> for one that the namespace does not have.</summary>
    public uint UserOutside(uint user) => Outside(Users, user, "user");

    /// <inheritdoc cref="UserOutside"/>
    public uint GroupOutside(uint group) => Outside(Groups, group, "group");

    private static uint Inside(IReadOnlyList<IdRange> ranges, uint id)
    {
        foreach (var range in ranges)
        {
            if (id >= range.Outside && id - range.Outside < range.Count) return range.Inside + (id - range.Outside);
        }

        return Overflow;
    }

    private static uint Outside(IReadOnlyList<IdRange> ranges, uint id, string kind)
    {
        foreach (var range in ranges)
        {
            if (id >= range.Inside && id - range.Inside < range.Count) return range.Outside + (id - range.Inside);
        }

        throw HullException.Invalid($"the archive has a file of {kind} {id}, which the container's user namespace does not have");
    }
}
