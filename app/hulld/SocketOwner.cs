using Hull.Core;
using Hull.Linux.Syscalls;

namespace Hull.Daemon;

/// <summary>Gives a socket file to a group.</summary>
internal static class SocketOwner
{
    private const int AtCurrentDirectory = -100;
    private const uint Unchanged = uint.MaxValue;

    public static void SetGroup(string path, uint group)
    {
        if (MetadataCalls.FchownAt(AtCurrentDirectory, path, Unchanged, group, 0) < 0)
            throw new HullException(ErrorKind.PermissionDenied, $"cannot give {path} to group {group}: run as root or without --group");
    }
}
