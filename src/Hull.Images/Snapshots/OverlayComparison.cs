using Hull.Images.Archive;
using Hull.Linux;
using Hull.Linux.Archives;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>
/// Reads an overlay's upper directory as changes to what lies below it: a character device 0/0 is a deletion, a directory
/// marked opaque replaces the one below.
/// </summary>
internal sealed class OverlayComparison(RootDirectory upper, RootDirectory? lower) : IDisposable
{
    private const string OpaqueXattr = "trusted.overlay.opaque";

    public void Dispose()
    {
        upper.Dispose();
        lower?.Dispose();
    }

    /// <summary>
    /// As docker lists them: a directory counts as modified when its own metadata changed or something in it did.
    /// </summary>
    public IReadOnlyList<SnapshotChange> Changes(CancellationToken cancellation)
    {
        var changes = new SortedDictionary<string, ChangeKind>(StringComparer.Ordinal);
        TreeWalk.Walk(upper, (path, status) =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (path.Length == 0) return;
            if (IsWhiteout(status)) Note(changes, path, ChangeKind.Deleted);
            else NoteEntry(changes, path, status);
        });
        return [.. changes.Select(change => new SnapshotChange("/" + change.Key, change.Value))];
    }

    public void WriteDiff(Stream output, CancellationToken cancellation)
    {
        var archive = new TreeArchiver(upper, output);
        TreeWalk.Walk(upper, (path, status) =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (path.Length == 0) return;
            if (IsWhiteout(status)) archive.AddMark(Beside(path, ".wh." + Name(path)));
            else archive.Add(path, status);
            if (status.IsDirectory && IsOpaque(path) && BelowOf(path) is { IsDirectory: true }) archive.AddMark(path + "/.wh..wh..opq");
        });
        archive.Finish();
    }

    private static bool IsWhiteout(FileStatus status) => status.Kind == FileKind.CharacterDevice && status.Represents == (0, 0);

    private static string Name(string path) => path[(path.LastIndexOf('/') + 1)..];

    private static string Beside(string path, string name) => path[..(path.LastIndexOf('/') + 1)] + name;

    private void NoteEntry(SortedDictionary<string, ChangeKind> changes, string path, FileStatus status)
    {
        var below = BelowOf(path);
        if (below is null) Note(changes, path, ChangeKind.Added);
        else if (!status.IsDirectory || !below.Value.IsDirectory || !SameMetadata(status, below.Value)) Note(changes, path, ChangeKind.Modified);
        if (!status.IsDirectory || below is not { IsDirectory: true } || !IsOpaque(path)) return;
        foreach (var (_, child) in TreeWalk.Names(lower!, path))
        {
            if (upper.TryStat(child) is null) Note(changes, child, ChangeKind.Deleted);
        }
    }

    /// <summary>Records a change, and with it that the directories above were modified.</summary>
    private void Note(SortedDictionary<string, ChangeKind> changes, string path, ChangeKind kind)
    {
        changes[path] = kind;
        for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1))
        {
            var above = path[..slash];
            if (!changes.TryAdd(above, BelowOf(above) is null ? ChangeKind.Added : ChangeKind.Modified)) return;
        }
    }

    private FileStatus? BelowOf(string path)
    {
        if (lower is null) return null;
        // What an opaque directory of the upper hides is not below; nor is anything under a link or a file.
        return lower.TryStat(path);
    }

    private bool IsOpaque(string path) => upper.GetExtendedAttribute(path, OpaqueXattr) is [(byte)'y'];

    private static bool SameMetadata(FileStatus a, FileStatus b) =>
        a.Mode == b.Mode && a.User == b.User && a.Group == b.Group
        && a.Modified.tv_sec == b.Modified.tv_sec && a.Modified.tv_nsec == b.Modified.tv_nsec;
}
