using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Linux.Files;

/// <summary>
/// A handle of a procfs that is one. Writes of labels, sysctls and mappings that go through a path can be led into a
/// fake by whoever controls the mounts (CVE-2019-16884, CVE-2025-52881); through this handle they cannot: it is
/// a private mount where the kernel allows one, else the checked root of /proc, and no step below it may leave procfs
/// or follow a link.
/// </summary>
public sealed class ProcFs : IDisposable
{
    private const ulong RootInode = 1;
    private static bool s_genuine;

    private ProcFs(SafeFd root) => Root = root;

    /// <summary>The O_PATH or mount descriptor of the root of procfs.</summary>
    public SafeFd Root { get; }

    /// <summary>Opens the procfs of the caller's pid namespace: a private mount where permitted, else /proc after checks.</summary>
    public static ProcFs Open()
    {
        var mounted = TryMountPrivate();
        return mounted is not null ? new ProcFs(mounted) : OpenMounted();
    }

    /// <summary>The mounted /proc, verified to be the root of a procfs.</summary>
    public static ProcFs OpenMounted()
    {
        var root = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW), $"open /proc");
        if (root.FileSystemType() == Magic.PROC_SUPER_MAGIC && root.Stat().Inode == RootInode) return new ProcFs(root);
        root.Dispose();
        throw new HullException(ErrorKind.PermissionDenied, "/proc is not a procfs, refusing to use it");
    }

    /// <summary>Opens a file below, such as <c>sys/net/ipv4/ip_forward</c>; overmounts and links are refused.</summary>
    public SafeFd OpenFile(string path, int flags = O_RDONLY)
    {
        var file = Check.Descriptor(
            FileCalls.OpenAt2(Root.Value, path, flags | O_NOCTTY,
                RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS),
            $"open /proc/{path}");
        if (file.FileSystemType() == Magic.PROC_SUPER_MAGIC) return file;
        file.Dispose();
        throw new HullException(ErrorKind.PermissionDenied, $"/proc/{path} is not of a procfs, refusing to use it");
    }

    /// <summary>Opens a file of one process, such as <c>attr/exec</c> of <c>self</c>.</summary>
    public SafeFd OpenProcessFile(int process, string path, int flags = O_RDONLY) => OpenFile($"{process}/{path}", flags);

    public byte[] Read(string path, int limit = 1 << 20)
    {
        using var file = OpenFile(path);
        return file.ReadToEnd(limit, "/proc/" + path);
    }

    public void Write(string path, ReadOnlySpan<byte> value)
    {
        using var file = OpenFile(path, O_WRONLY);
        Check.Result(FileCalls.Write(file.Value, value), $"write /proc/{path}");
    }

    /// <summary>Opens anew, with other flags, what an O_PATH descriptor of this process refers to.</summary>
    public SafeFd Reopen(SafeFd handle, int flags)
    {
        using var directory = Check.Descriptor(
            FileCalls.OpenAt2(Root.Value, $"{ProcessCalls.GetPid()}/fd", O_PATH | O_DIRECTORY,
                RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS),
            $"open /proc/self/fd");
        // The last step is the magic link, which is the point: it leads to the open file itself, wherever its name is now.
        return Check.Descriptor(FileCalls.OpenAt(directory.Value, handle.Value.ToString(), flags), $"reopen {handle}");
    }

    public void Dispose() => Root.Dispose();

    /// <summary>Throws unless /proc of this process is a procfs; looked at once.</summary>
    internal static void EnsureGenuine()
    {
        if (s_genuine) return;
        OpenMounted().Dispose();
        s_genuine = true;
    }

    private static SafeFd? TryMountPrivate()
    {
        var context = MountCalls.FsOpen("proc");
        if (context < 0) return null;
        using var owner = new SafeFd((int)context);
        if (MountCalls.FsConfigCreate(owner.Value) < 0) return null;
        var mount = MountCalls.FsMount(owner.Value, MountApi.MOUNT_ATTR_NOSUID | MountApi.MOUNT_ATTR_NODEV | MountApi.MOUNT_ATTR_NOEXEC);
        return mount < 0 ? null : new SafeFd((int)mount);
    }
}
