using System.Globalization;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>
/// What every entry of a tree was like at one time, one line each. Whatever touches an inode moves its change time, so
/// this tells every change without reading content.
/// </summary>
internal sealed class TreeBaseline
{
    private readonly SortedDictionary<string, string> _entries = new(StringComparer.Ordinal);

    public static TreeBaseline Of(RootDirectory tree)
    {
        var baseline = new TreeBaseline();
        TreeWalk.Walk(tree, (path, status) =>
        {
            if (path.Length > 0) baseline._entries[path] = Describe(status);
        });
        return baseline;
    }

    public static TreeBaseline Read(string path)
    {
        var baseline = new TreeBaseline();
        foreach (var line in File.ReadLines(path))
        {
            var tab = line.IndexOf('\t', StringComparison.Ordinal);
            if (tab < 0) throw HullException.Corrupted($"{path} has a malformed line");
            baseline._entries[Uri.UnescapeDataString(line[(tab + 1)..])] = line[..tab];
        }

        return baseline;
    }

    public void Write(string path) => File.WriteAllLines(path, _entries.Select(entry => entry.Value + "\t" + Uri.EscapeDataString(entry.Key)));

    /// <summary>What is different in the tree now; below what was removed nothing more is listed.</summary>
    public IReadOnlyList<SnapshotChange> Changes(RootDirectory tree)
    {
        var changes = new SortedDictionary<string, ChangeKind>(StringComparer.Ordinal);
        var now = Of(tree)._entries;
        foreach (var (path, description) in now)
        {
            if (!_entries.TryGetValue(path, out var before)) changes["/" + path] = ChangeKind.Added;
            else if (before != description) changes["/" + path] = ChangeKind.Modified;
        }

        foreach (var path in _entries.Keys)
        {
            var above = path.Contains('/', StringComparison.Ordinal) ? path[..path.LastIndexOf('/')] : "";
            if (!now.ContainsKey(path) && (above.Length == 0 || IsDirectory(now, above))) changes["/" + path] = ChangeKind.Deleted;
        }

        return [.. changes.Select(change => new SnapshotChange(change.Key, change.Value))];
    }

    private static bool IsDirectory(SortedDictionary<string, string> entries, string path) =>
        entries.TryGetValue(path, out var description) && description.StartsWith(nameof(FileKind.Directory), StringComparison.Ordinal);

    private static string Describe(FileStatus status) => string.Create(CultureInfo.InvariantCulture,
        $"{status.Kind} {status.Mode} {status.User} {status.Group} {(status.IsDirectory ? 0 : status.Size)} {status.Inode} "
        + $"{status.Modified.tv_sec}.{status.Modified.tv_nsec} {status.Changed.tv_sec}.{status.Changed.tv_nsec}");
}
