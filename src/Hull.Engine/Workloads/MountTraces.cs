namespace Hull.Engine.Workloads;

/// <summary>
/// The empty files and directories that are made in a root only for something to be mounted over them. Nobody in the
/// container made them, and they are no change of its files.
/// </summary>
internal static class MountTraces
{
    private static readonly string[] s_own = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/sbin/hull-init"];

    /// <summary>The changes without those at mounts' targets, and without directories that only changed by them.</summary>
    public static IReadOnlyList<FileChange> Without(IReadOnlyList<FileChange> changes, IEnumerable<string> targets)
    {
        var mounted = s_own.Concat(targets.Select(target => target.TrimEnd('/'))).ToHashSet(StringComparer.Ordinal);
        var traces = changes.Where(change => change.Kind == ChangeKind.Added && mounted.Contains(change.Path)).Select(change => change.Path).ToHashSet(StringComparer.Ordinal);
        if (traces.Count == 0) return changes;
        var kept = changes.Where(change => !traces.Contains(change.Path)).ToList();
        foreach (var trace in traces)
        {
            for (var parent = Parent(trace); parent.Length > 0; parent = Parent(parent))
            {
                if (kept.Any(change => change.Path.StartsWith(parent + "/", StringComparison.Ordinal))) break;
                kept.RemoveAll(change => change.Path == parent && change.Kind != ChangeKind.Deleted);
            }
        }

        return kept;
    }

    private static string Parent(string path) => path[..Math.Max(path.LastIndexOf('/'), 0)];
}
