using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>Mounts of other mount namespaces.</summary>
public static class ForeignMounts
{
    /// <summary>
    /// Clones the tmpfs that a process has at a path. open_tree(2) clones only what is in the caller's own mount namespace, so
    /// a thread of its own enters that of the process.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.Conflict"/> where the process has something else there.</exception>
    public static DetachedMount CloneTmpfs(int process, string path) => OwnThread.Run("mounts", () =>
    {
        using var space = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{process}/ns/mnt", Fcntl.O_RDONLY), $"open the mount namespace of process {process}");
        // Root and working directory are the process's for all threads that share them, and such a thread may not change namespaces.
        Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_FS), $"part from the other threads' root");
        Check.Result(ProcessCalls.SetNamespace(space.Value, CloneFlags.CLONE_NEWNS), $"enter the mount namespace of process {process}");
        using var place = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | Fcntl.O_DIRECTORY | Fcntl.O_NOFOLLOW), $"open {path} of process {process}");
        if (place.FileSystemType() != Magic.TMPFS_MAGIC) throw HullException.Conflict($"process {process} has no tmpfs at {path}");
        return DetachedMount.Clone(place, recursive: false, path);
    });
}
