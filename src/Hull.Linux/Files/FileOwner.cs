using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Files;

/// <summary>
/// Lets what the calling thread makes belong to somebody else until this is disposed of, by the same thread and without
/// an await in between. Rights stay what they are. An id-mapped mount takes no new file of an owner it does not map, not
/// even from root (EOVERFLOW).
/// </summary>
public readonly struct FileOwner : IDisposable
{
    private readonly nint _bits;
    private readonly uint _user;
    private readonly uint _group;

    private FileOwner(nint bits, uint user, uint group) => (_bits, _user, _group) = (bits, user, group);

    /// <summary>Throws <see cref="ErrorKind.PermissionDenied"/> where this process may not.</summary>
    public static FileOwner Assume(uint user, uint group)
    {
        var bits = Check.Result(ProcessCalls.Prctl(Prctl.PR_GET_SECUREBITS), $"read the secure bits");
        // Else leaving root takes the thread's capabilities on files (capabilities(7), "Effect of user ID changes").
        Check.Result(ProcessCalls.Prctl(Prctl.PR_SET_SECUREBITS, bits | SecureBits.SECBIT_NO_SETUID_FIXUP), $"keep capabilities");
        var assumed = new FileOwner(bits, ProcessCalls.SetFileUser(user), ProcessCalls.SetFileGroup(group));
        // setfsuid(2) tells no failure; asking again for an impossible id tells what is set.
        if (ProcessCalls.SetFileUser(uint.MaxValue) == user && ProcessCalls.SetFileGroup(uint.MaxValue) == group) return assumed;
        assumed.Dispose();
        throw new HullException(ErrorKind.PermissionDenied, $"may not make files of user {user} and group {group}");
    }

    public void Dispose()
    {
        ProcessCalls.SetFileUser(_user);
        ProcessCalls.SetFileGroup(_group);
        _ = ProcessCalls.Prctl(Prctl.PR_SET_SECUREBITS, _bits);
    }
}
