using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Setup;

/// <summary>Copies a directory of the image into an empty file system: the meaning of the mount option tmpcopyup.</summary>
internal static class TreeCopy
{
    private const int MaxDepth = 128;

    /// <summary>Copies what is at <paramref name="path"/> in the root; nothing there is an empty copy.</summary>
    internal static void Copy(RootDirectory root, string path, SafeFd target)
    {
        var status = root.TryStat(path, follow: true);
        if (status is not { IsDirectory: true }) return;
        using var source = root.OpenRoot(path, RootScope.Beneath);
        using var destination = RootDirectory.FromDescriptor(target.Duplicate(), path, RootScope.Beneath);
        CopyMetadata(status.Value, target);
        CopyEntries(source, destination, ".", 0);
    }

    private static void CopyEntries(RootDirectory source, RootDirectory target, string path, int depth)
    {
        if (depth > MaxDepth) throw HullException.Invalid($"tmpcopyup: {source.Name} is deeper than {MaxDepth} directories");
        foreach (var entry in source.List(path))
        {
            var child = path == "." ? entry.Name : $"{path}/{entry.Name}";
            var status = source.Stat(child);
            switch (status.Kind)
            {
                case FileKind.Directory:
                    target.CreateDirectory(child, 0x1C0);
                    CopyEntries(source, target, child, depth + 1);
                    break;
                case FileKind.SymbolicLink:
                    target.CreateSymbolicLink(source.ReadLink(child), child);
                    break;
                case FileKind.Regular:
                    CopyFile(source, target, child, status.Size);
                    break;
                default:
                    target.CreateNode(child, (uint)status.Kind.ToMode() | status.Mode, status.Represents.Major, status.Represents.Minor);
                    break;
            }

            SetOwner(() => target.SetOwner(child, status.User, status.Group), child);
            if (!status.IsSymbolicLink) target.SetMode(child, status.Mode);
            target.SetTimes(child, status.Accessed, status.Modified);
        }
    }

    private static void CopyFile(RootDirectory source, RootDirectory target, string path, long size)
    {
        using var from = source.OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
        using var to = target.CreateFileExclusive(path, 0x180);
        while (size > 0)
        {
            var count = Check.Result(FileCalls.SendFile(to.Value, from.Value, Math.Min(size, 1 << 30)), $"copy {path}");
            if (count == 0) return;
            size -= count;
        }
    }

    private static void SetOwner(Action set, string name)
    {
        try
        {
            set();
        }
        catch (HullException error) when (error.Errno == Errno.EPERM)
        {
            throw HullException.Unsupported($"tmpcopyup: {name} belongs to another user, and only root may copy that");
        }
    }

    private static void CopyMetadata(FileStatus status, SafeFd target)
    {
        SetOwner(() => Check.Result(MetadataCalls.FchownAt(target.Value, "", status.User, status.Group, AT_EMPTY_PATH), $"copy the owner of a directory"), "the directory");
        DescriptorMetadata.SetMode(target, status.Mode, "a directory");
    }
}
