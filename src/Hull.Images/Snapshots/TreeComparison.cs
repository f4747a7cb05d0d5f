using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>Compares two directory trees: names, metadata, content.</summary>
internal static class TreeComparison
{
    /// <summary>What differs first, in words; null where nothing does.</summary>
    public static string? FirstDifference(string stored, string expected)
    {
        using var left = RootDirectory.Open(stored, RootScope.Beneath);
        using var right = RootDirectory.Open(expected, RootScope.Beneath);
        var (a, b) = (Describe(left), Describe(right));
        foreach (var (path, description) in b)
        {
            if (!a.TryGetValue(path, out var actual)) return $"/{path} is missing";
            if (actual != description) return $"/{path} is {actual}, expected {description}";
        }

        return a.Keys.FirstOrDefault(path => !b.ContainsKey(path)) is { } extra ? $"/{extra} is too many" : null;
    }

    private static SortedDictionary<string, string> Describe(RootDirectory root)
    {
        var tree = new SortedDictionary<string, string>(StringComparer.Ordinal);
        TreeWalk.Walk(root, (path, status) => tree[path] =
            $"{status.Kind} {Convert.ToString(status.Mode, 8)} {status.User}:{status.Group} {status.Modified.tv_sec}.{status.Modified.tv_nsec} "
            + $"{status.Represents} {(status.IsDirectory ? "" : status.Links)} {Content(root, path, status)} {Xattrs(root, path)}");
        return tree;
    }

    private static string Content(RootDirectory root, string path, FileStatus status)
    {
        if (status.IsSymbolicLink) return root.ReadLink(path);
        if (!status.IsRegular) return "";
        using var stream = root.OpenFile(path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW).ToStream(FileAccess.Read);
        using var hash = new Content.ContentHash();
        hash.Append(stream);
        return hash.Current().Hex;
    }

    private static string Xattrs(RootDirectory root, string path)
    {
        path = path.Length == 0 ? "." : path;
        return string.Join(' ', root.ListExtendedAttributes(path).Order(StringComparer.Ordinal)
            .Select(name => name + "=" + Convert.ToHexString(root.GetExtendedAttribute(path, name) ?? [])));
    }
}
