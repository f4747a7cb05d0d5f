using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;

namespace Hull.Linux.Archives;

/// <summary>What is at a path of a root file system.</summary>
/// <param name="Mode">Type and permissions, as stat(2) has them.</param>
/// <param name="LinkTarget">Where a symbolic link leads, as a path of the root; else empty.</param>
public sealed record ArchivedPath(string Name, long Size, uint Mode, DateTimeOffset ModifiedAt, string LinkTarget);

/// <summary>Reads paths of a root file system as tar archives. Every step is by descriptor below the root.</summary>
public static class ArchiveReader
{
    private const int MaxDepth = 512;

    /// <summary>What is at the path; the last component itself, not what it links to.</summary>
    public static ArchivedPath Stat(int root, string path)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var clean = Clean(path, out var wantsDirectory);
        FileStatus status;
        try
        {
            status = directory.Stat(clean, follow: wantsDirectory);
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP)
        {
            throw HullException.NotFound($"could not find the file {path} in the container", error);
        }

        if (wantsDirectory && !status.IsDirectory) throw HullException.Invalid($"{path} is not a directory");
        var target = status.IsSymbolicLink ? ResolveLink(directory, clean) : "";
        return new ArchivedPath(NameOf(path), status.Size, TypeBits(status.Kind) | status.Mode, ToTime(status.Modified), target);
    }

    /// <summary>Writes what is at the path, named by its last component.</summary>
    public static void Write(int root, string path, Stream destination, CancellationToken cancellation, OwnerMap? owners = null)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var clean = Clean(path, out var wantsDirectory);
        // A directory behind a link is opened once: who exchanges the link meanwhile changes nothing.
        using var behind = wantsDirectory ? directory.OpenRoot(clean) : null;
        var tree = new TreeOutput(new TreeArchiver(behind ?? directory, destination, owners), behind ?? directory, onlyMount: null, cancellation);
        var start = behind is null ? clean : ".";
        tree.Write(start, NameOf(path), (behind ?? directory).Stat(start));
        tree.Finish();
    }

    /// <summary>Writes the whole root; other file systems mounted in it are left out, as their content is not its own.</summary>
    public static void WriteTree(int root, Stream destination, CancellationToken cancellation, OwnerMap? owners = null)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var tree = new TreeOutput(new TreeArchiver(directory, destination, owners), directory, directory.Stat(".").MountId, cancellation);
        tree.WriteChildren(".", "");
        tree.Finish();
    }

    /// <summary>Goes through a tree, names in the order of their bytes.</summary>
    private sealed class TreeOutput(TreeArchiver archive, RootDirectory root, ulong? onlyMount, CancellationToken cancellation)
    {
        private int _depth;

        public void Write(string path, string name, FileStatus status)
        {
            cancellation.ThrowIfCancellationRequested();
            archive.Add(path, name, status);
            if (status.IsDirectory && (onlyMount is not { } mount || status.MountId == mount)) WriteChildren(path, name.TrimEnd('/'));
        }

        public void WriteChildren(string path, string name)
        {
            if (++_depth > MaxDepth) throw HullException.Invalid($"{path} is nested too deeply");
            foreach (var entry in root.List(path).OrderBy(entry => entry.Name, StringComparer.Ordinal))
            {
                var child = path + "/" + entry.Name;
                // It may have gone since the directory was read.
                if (root.TryStat(child) is not { } status) continue;
                Write(child, name.Length == 0 ? entry.Name : name + "/" + entry.Name, status);
            }

            _depth--;
        }

        public void Finish() => archive.Finish();
    }

    /// <summary>The path below the root; a trailing slash or <c>/.</c> asks for what a link leads to.</summary>
    internal static string Clean(string path, out bool wantsDirectory)
    {
        wantsDirectory = path.EndsWith('/') || path.EndsWith("/.", StringComparison.Ordinal) || path is "" or ".";
        var clean = PathName.Clean(path).TrimStart('/');
        return clean.Length == 0 ? "." : clean;
    }

    private static string NameOf(string path)
    {
        var clean = path.TrimEnd('/');
        if (clean.EndsWith("/.", StringComparison.Ordinal)) return ".";
        var slash = clean.LastIndexOf('/');
        var name = clean[(slash + 1)..];
        return name.Length == 0 ? "/" : name;
    }

    /// <summary>Where a link leads, as a path of the root; what it says where that is nothing.</summary>
    private static string ResolveLink(RootDirectory root, string path)
    {
        var text = root.ReadLink(path);
        var (directory, _) = PathName.SplitLast(path);
        return text.StartsWith('/') ? text : "/" + PathName.Clean(directory + "/" + text).TrimStart('/');
    }

    private static DateTimeOffset ToTime(TimeSpec time) =>
        DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(time.tv_sec, 0, 253402300799)).AddTicks(time.tv_nsec / 100);

    private static uint TypeBits(FileKind kind) => kind switch
    {
        FileKind.Directory => StatMode.S_IFDIR,
        FileKind.SymbolicLink => StatMode.S_IFLNK,
        FileKind.CharacterDevice => StatMode.S_IFCHR,
        FileKind.BlockDevice => StatMode.S_IFBLK,
        FileKind.Fifo => StatMode.S_IFIFO,
        FileKind.Socket => StatMode.S_IFSOCK,
        _ => StatMode.S_IFREG,
    };
}
