using Hull.Core;
using Hull.Linux;
using Hull.Linux.Mounts;
using Hull.Oci.Runtime;
using Hull.Runtime.Setup;

namespace Hull.Engine.Drivers.Container;

/// <summary>
/// What makes a root's files belong to the ids of a user namespace: the kernel maps them while it is mounted. Nothing is
/// copied and nothing changes its owner on the disk, so layers stay shared, a snapshot is compared and committed as any
/// other, and a workload's range of ids may be anything.
/// </summary>
internal sealed record RootMapping(SafeFd Namespace, uint RootUser, uint RootGroup) : IDisposable
{
    /// <summary>Null without mappings.</summary>
    public static RootMapping? Open(LinuxSpec? linux)
    {
        if (linux is not { UidMappings: { Count: > 0 } users, GidMappings: { } groups }) return null;
        var (user, group) = (UserNamespaces.ToHost(users, 0), UserNamespaces.ToHost(groups, 0));
        if (user is null || group is null) throw HullException.Invalid("linux.uidMappings and gidMappings must map root, to whom a root file system belongs");
        return new RootMapping(UserNamespaces.Create(users, groups), user.Value, group.Value);
    }

    public void Apply(DetachedMount mount, bool recursive) => MappedMounts.Apply(mount, Namespace, recursive);

    public void Dispose() => Namespace.Dispose();
}
