using Hull.Linux;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>What a directory tree takes on disk.</summary>
internal static class TreeUsage
{
    public static SnapshotUsage Of(string path)
    {
        long size = 0, inodes = 0;
        var linked = new HashSet<ulong>();
        using var root = RootDirectory.Open(path, RootScope.Beneath);
        TreeWalk.Walk(root, (_, status) =>
        {
            if (status is { IsDirectory: false, Links: > 1 } && !linked.Add(status.Inode)) return;
            size += status.AllocatedSize;
            inodes++;
        });
        return new SnapshotUsage(size, inodes);
    }
}

/// <summary>Visits a tree by descriptor, directories before what is in them, names in the order of their bytes.</summary>
internal static class TreeWalk
{
    /// <param name="visit">Gets the path from the root, empty for the root itself.</param>
    public static void Walk(RootDirectory root, Action<string, FileStatus> visit)
    {
        visit("", root.Descriptor.Stat());
        var pending = new Stack<string>([""]);
        while (pending.TryPop(out var directory))
        {
            var below = new List<string>();
            foreach (var (name, path) in Names(root, directory))
            {
                if (root.TryStat(path) is not { } status) continue;
                visit(path, status);
                if (status.IsDirectory) below.Add(path);
            }

            for (var i = below.Count - 1; i >= 0; i--) pending.Push(below[i]);
        }
    }

    /// <summary>Names in a directory and their paths, sorted.</summary>
    public static IEnumerable<(string Name, string Path)> Names(RootDirectory root, string directory) =>
        root.List(directory.Length == 0 ? "." : directory)
            .Select(entry => entry.Name)
            .Order(StringComparer.Ordinal)
            .Select(name => (name, directory.Length == 0 ? name : directory + "/" + name));
}
