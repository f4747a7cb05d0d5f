using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Linux.Files;

/// <summary>How paths that try to leave a root are treated.</summary>
public enum RootScope
{
    /// <summary><c>/</c> and <c>..</c> are taken as chroot(2) would: they stay at the root. For container file systems.</summary>
    InRoot,

    /// <summary>Absolute paths, and links or <c>..</c> that would leave the root, fail with EXDEV. For archives and state.</summary>
    Beneath,
}

/// <summary>
/// The only way to touch paths that somebody else controls: rootfs, snapshots, volumes, build contexts.
/// <para>
/// The root is a descriptor. Every path is resolved by the kernel in one step below it (openat2(2)), so a symbolic link,
/// <c>..</c> or a rename made at the same moment cannot lead outside, and magic links of procfs are never followed.
/// Operations that make or change a name resolve the parent to a descriptor first and act on the last component there,
/// which is never followed.
/// </para>
/// </summary>
public sealed partial class RootDirectory : IDisposable
{
    private readonly ulong _resolve;

    private RootDirectory(SafeFd descriptor, string name, RootScope scope)
    {
        Descriptor = descriptor;
        Name = name;
        Scope = scope;
        _resolve = RESOLVE_NO_MAGICLINKS | (scope == RootScope.InRoot ? RESOLVE_IN_ROOT : RESOLVE_BENEATH);
    }

    /// <summary>The O_PATH descriptor of the root.</summary>
    public SafeFd Descriptor { get; }

    /// <summary>The path the root was opened by, for messages only.</summary>
    public string Name { get; }

    public RootScope Scope { get; }

    /// <summary>Opens a directory whose own path is trusted.</summary>
    public static RootDirectory Open(string path, RootScope scope = RootScope.InRoot) =>
        new(Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_PATH | O_DIRECTORY), $"open directory {path}"), path, scope);

    /// <summary>Takes ownership of an open directory.</summary>
    public static RootDirectory FromDescriptor(SafeFd descriptor, string name, RootScope scope = RootScope.InRoot) =>
        new(descriptor, name, scope);

    /// <summary>The directory at <paramref name="path"/> as a root of its own.</summary>
    public RootDirectory OpenRoot(string path, RootScope? scope = null) =>
        new(OpenDirectoryPath(path), Describe(path), scope ?? Scope);

    /// <summary>Opens a file with O_* flags; links are followed inside the root unless O_NOFOLLOW is given.</summary>
    public SafeFd OpenFile(string path, int flags = O_RDONLY, uint mode = 0) =>
        Check.Descriptor(TryOpen(path, flags, mode), $"open {Describe(path)}");

    /// <summary>The descriptor or the negated error number, for callers to whom ENOENT is no failure.</summary>
    public nint TryOpen(string path, int flags = O_RDONLY, uint mode = 0) =>
        FileCalls.OpenAt2(Descriptor.Value, Inside(path), flags | O_NOCTTY, _resolve, mode);

    /// <summary>An O_PATH handle: a name for the other calls, not for reading.</summary>
    public SafeFd OpenPath(string path, bool follow = true) =>
        Check.Descriptor(FileCalls.OpenAt2(Descriptor.Value, Inside(path), O_PATH | (follow ? 0 : O_NOFOLLOW), _resolve),
            $"open {Describe(path)}");

    /// <summary>Opens a directory for listing.</summary>
    public SafeFd OpenDirectory(string path, bool follow = true) =>
        OpenFile(path, O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW));

    /// <summary>Whether something is at the path, links followed; a path that cannot be walked is not there.</summary>
    public bool Exists(string path, bool follow = true)
    {
        var result = FileCalls.OpenAt2(Descriptor.Value, Inside(path), O_PATH | (follow ? 0 : O_NOFOLLOW), _resolve);
        if (result < 0) return false;
        _ = FileCalls.Close((int)result);
        return true;
    }

    /// <summary>Type, mode and owner of the last component itself unless <paramref name="follow"/>.</summary>
    public FileStatus Stat(string path, bool follow = false)
    {
        using var handle = OpenPath(path, follow);
        return handle.Stat();
    }

    /// <summary>Like <see cref="Stat"/>, null where nothing is there.</summary>
    public FileStatus? TryStat(string path, bool follow = false)
    {
        var result = FileCalls.OpenAt2(Descriptor.Value, Inside(path), O_PATH | (follow ? 0 : O_NOFOLLOW), _resolve);
        if (result == -(nint)Errno.ENOENT || result == -(nint)Errno.ENOTDIR) return null;
        using var handle = Check.Descriptor(result, $"examine {Describe(path)}");
        return handle.Stat();
    }

    /// <summary>What a symbolic link points to.</summary>
    public string ReadLink(string path)
    {
        using var handle = OpenPath(path, follow: false);
        Span<byte> buffer = stackalloc byte[4096];
        var length = (int)Check.Result(FileCalls.ReadLinkAt(handle.Value, "", buffer), $"read link {Describe(path)}");
        return NativeText.Decode(buffer[..length]);
    }

    /// <summary>The content of a regular file; anything else (a fifo, a device) and more than the limit are refused.</summary>
    public byte[] ReadAllBytes(string path, int limit = AtomicFile.MaxSize)
    {
        // O_NONBLOCK so that a fifo somebody put there cannot hold us.
        using var file = OpenFile(path, O_RDONLY | O_NONBLOCK);
        if (!file.Stat().IsRegular) throw HullException.Invalid($"{Describe(path)} is not a regular file");
        return file.ReadToEnd(limit, Describe(path));
    }

    /// <summary>Like <see cref="ReadAllBytes"/>, null where nothing is there.</summary>
    public byte[]? TryReadAllBytes(string path, int limit = AtomicFile.MaxSize)
    {
        try
        {
            return ReadAllBytes(path, limit);
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }
    }

    /// <summary>The entries of a directory.</summary>
    public List<DirectoryEntry> List(string path = ".")
    {
        using var directory = OpenDirectory(path);
        return DirectoryReader.ReadAll(directory, Describe(path));
    }

    public void Dispose() => Descriptor.Dispose();

    public override string ToString() => Name;

    /// <summary>Resolves the parent of <paramref name="path"/>; the last component stays a name in it.</summary>
    internal SafeFd OpenParent(string path, out string name)
    {
        (var parent, name) = PathName.SplitLast(path);
        return OpenDirectoryPath(parent);
    }

    private SafeFd OpenDirectoryPath(string path) =>
        Check.Descriptor(FileCalls.OpenAt2(Descriptor.Value, Inside(path), O_PATH | O_DIRECTORY, _resolve), $"open {Describe(path)}");

    private static string Inside(string path) => path is "" ? "." : path;

    private string Describe(string path) => Name.TrimEnd('/') + "/" + path.TrimStart('/');
}
