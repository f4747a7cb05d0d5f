using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Volumes;

/// <summary>
/// Copies and measures the trees of volumes by descriptor. A copy keeps owners, modes, times, extended attributes, hard
/// links, holes and special files, and shares the data where the file system can (FICLONE of ioctl_ficlone(2)).
/// </summary>
internal sealed class VolumeTree(RootDirectory from, RootDirectory to, CancellationToken cancellation)
{
    private const int MaximumDepth = 512;
    private const uint FICLONE = 0x40049409;
    private const int SEEK_DATA = 3;
    private const int SEEK_HOLE = 4;
    private readonly Dictionary<ulong, string> links = [];
    private readonly byte[] buffer = new byte[256 * 1024];

    /// <summary>Copies all of one directory into another, which is empty; other file systems mounted inside are left out.</summary>
    public static void Copy(string source, string destination, CancellationToken cancellation)
    {
        using var from = RootDirectory.Open(source, RootScope.Beneath);
        using var to = RootDirectory.Open(destination, RootScope.Beneath);
        var top = from.Stat(".");
        var copy = new VolumeTree(from, to, cancellation);
        copy.CopyChildren(".", top.MountId, 0);
        copy.CopyMetadata(".", top);
    }

    /// <summary>Bytes that a tree takes on disk; a file with several names counts once.</summary>
    public static long Measure(string directory, CancellationToken cancellation)
    {
        using var root = RootDirectory.Open(directory, RootScope.Beneath);
        return Measure(root, ".", root.Stat(".").MountId, [], 0, cancellation);
    }

    private static long Measure(RootDirectory root, string path, ulong mount, HashSet<ulong> seen, int depth, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var sum = 0L;
        foreach (var entry in ListOrNothing(root, path))
        {
            var child = Join(path, entry.Name);
            // Workloads go on while this counts: what vanished in between is not counted.
            if (root.TryStat(child) is not { } status || status.MountId != mount) continue;
            if (status.IsDirectory && depth < MaximumDepth) sum += status.AllocatedSize + Measure(root, child, mount, seen, depth + 1, cancellation);
            else if (status.Links <= 1 || seen.Add(status.Inode)) sum += status.AllocatedSize;
        }

        return sum;
    }

    private static List<DirectoryEntry> ListOrNothing(RootDirectory root, string path)
    {
        try
        {
            return root.List(path);
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return [];
        }
    }

    private void CopyChildren(string path, ulong mount, int depth)
    {
        if (depth > MaximumDepth) throw HullException.Invalid($"{from.Name} is nested deeper than {MaximumDepth} directories");
        foreach (var entry in ListOrNothing(from, path))
        {
            cancellation.ThrowIfCancellationRequested();
            var child = Join(path, entry.Name);
            if (from.TryStat(child) is { } status && status.MountId == mount) CopyEntry(child, status, mount, depth);
        }
    }

    private void CopyEntry(string path, FileStatus status, ulong mount, int depth)
    {
        if (!status.IsDirectory && status.Links > 1)
        {
            if (links.TryGetValue(status.Inode, out var first))
            {
                to.CreateHardLink(first, path);
                return;
            }

            links[status.Inode] = path;
        }

        var (major, minor) = status.Represents;
        switch (status.Kind)
        {
            case FileKind.Directory:
                to.CreateDirectory(path, 0x1C0 /* 0700 */);
                CopyChildren(path, mount, depth + 1);
                break;
            case FileKind.Regular:
                CopyFile(path);
                break;
            case FileKind.SymbolicLink:
                to.CreateSymbolicLink(from.ReadLink(path), path);
                break;
            case FileKind.Fifo: to.CreateNode(path, 0x1000 | 0x180); break;
            case FileKind.CharacterDevice: to.CreateNode(path, 0x2000 | 0x180, major, minor); break;
            case FileKind.BlockDevice: to.CreateNode(path, 0x6000 | 0x180, major, minor); break;
            case FileKind.Socket: to.CreateNode(path, 0xC000 | 0x180); break;
            default: return;
        }

        CopyMetadata(path, status);
    }

    private void CopyFile(string path)
    {
        using var source = from.OpenFile(path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW | Fcntl.O_NONBLOCK);
        using var target = to.CreateFileExclusive(path, 0x180 /* 0600 */);
        if (ProcessCalls.Ioctl(target.Value, FICLONE, source.Value) == 0) return;
        var size = source.Stat().Size;
        Check.Result(FileCalls.Truncate(target.Value, size), $"size {path}");
        var position = 0L;
        while (position < size)
        {
            var start = FileCalls.Seek(source.Value, position, SEEK_DATA);
            if (start == -(nint)Errno.ENXIO) return; // a hole up to the end
            // A file system without holes answers EINVAL: everything is data.
            if (start < 0) start = (nint)position;
            var end = FileCalls.Seek(source.Value, start, SEEK_HOLE);
            if (end < 0) end = (nint)size;
            CopyRange(source, target, start, end, path);
            position = end;
        }
    }

    private void CopyRange(SafeFd source, SafeFd target, long start, long end, string path)
    {
        while (start < end)
        {
            cancellation.ThrowIfCancellationRequested();
            var wanted = (int)Math.Min(buffer.Length, end - start);
            var count = (int)Check.Result(FileCalls.ReadAt(source.Value, buffer.AsSpan(0, wanted), start), $"read {path}");
            if (count == 0) return;
            for (var done = 0; done < count;)
                done += (int)Check.Result(FileCalls.WriteAt(target.Value, buffer.AsSpan(done, count - done), start + done), $"write {path}");
            start += count;
        }
    }

    /// <summary>Owner before mode: chown(2) clears set-id bits. Times last: everything else changes them.</summary>
    private void CopyMetadata(string path, FileStatus status)
    {
        using var handle = to.OpenPath(path, follow: false);
        Check.Result(MetadataCalls.FchownAt(handle.Value, "", status.User, status.Group, Fcntl.AT_EMPTY_PATH), $"set the owner of {path}");
        foreach (var name in from.ListExtendedAttributes(path))
        {
            // Labels of a security module are the module's to give.
            if (name != "security.selinux" && from.GetExtendedAttribute(path, name) is { } value) to.SetExtendedAttribute(path, name, value);
        }

        if (!status.IsSymbolicLink) DescriptorMetadata.SetMode(handle, status.Mode, path);
        Check.Result(MetadataCalls.UtimensAt(handle.Value, "", status.Accessed, status.Modified, Fcntl.AT_EMPTY_PATH), $"set the times of {path}");
    }

    private static string Join(string path, string name) => path == "." ? name : path + "/" + name;
}
