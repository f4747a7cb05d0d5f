using Hull.Oci.Runtime;
using Hull.Runtime.Setup;

namespace Hull.Engine.Users;

/// <summary>Which ids of the host the ids of a user namespace are (user_namespaces(7)).</summary>
/// <param name="Users">User ids; 0 inside is always mapped.</param>
/// <param name="Groups">The same for groups.</param>
public sealed record UserMap(IReadOnlyList<IdMapping> Users, IReadOnlyList<IdMapping> Groups)
{
    /// <summary>The host's user that is root inside.</summary>
    public uint RootUser => UserNamespaces.ToHost(Users, 0) ?? throw Hull.Core.HullException.Internal("a user namespace without root");

    public uint RootGroup => UserNamespaces.ToHost(Groups, 0) ?? throw Hull.Core.HullException.Internal("a user namespace without a root group");

    public bool IsSame(UserMap? other) => other is not null && Users.SequenceEqual(other.Users) && Groups.SequenceEqual(other.Groups);
}
