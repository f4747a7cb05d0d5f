using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>Mounts put together out of everybody's sight.</summary>
public static class MountTree
{
    /// <summary>
    /// Attaches mounts below a detached one and answers the whole as a detached tree. Kernels before 6.15 attach nothing to
    /// what is attached nowhere, so it is put together in a mount namespace that lasts for this call, by a thread of its own.
    /// </summary>
    /// <param name="root">The lowest mount; it stays the caller's.</param>
    /// <param name="attach">Called with the root, to attach to descriptors that are opened in it. Paths of the host lead nowhere meanwhile.</param>
    /// <param name="beside">Mounts that are attached for the time of the call, so that parts of them can be cloned; they stay the caller's.</param>
    public static DetachedMount Assemble(DetachedMount root, Action<SafeFd> attach, IReadOnlyList<DetachedMount>? beside = null) => OwnThread.Run("mounts", () =>
    {
        Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_NEWNS), $"make a mount namespace");
        Check.Result(MountCalls.Mount(null, "/", null, MountFlags.MS_REC | MountFlags.MS_PRIVATE, null), $"keep the mounts of a namespace to itself");
        using var place = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/", Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open /");
        // Below the root, whose clone must not have them.
        foreach (var mount in beside ?? []) mount.AttachTo(place, "/");
        root.AttachTo(place, "/");
        attach(root.Descriptor);
        return DetachedMount.Clone(root.Descriptor, recursive: true, root.Description);
    });
}
