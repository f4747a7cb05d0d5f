using Hull.Core;
using Hull.Images.Archive;
using Hull.Linux;
using Hull.Linux.Archives;
using Hull.Linux.Files;

namespace Hull.Images.Snapshots;

/// <summary>
/// Finds out what directories that a layer only implies are like, from the layers below, and puts it into a layer tar of
/// directories alone.
/// </summary>
internal sealed class ImpliedDirectories(ILayerStore layers)
{
    /// <summary>The tar; null where the layers below say nothing else than the defaults.</summary>
    public byte[]? Describe(Digest layer, IReadOnlyList<string> implied, IReadOnlyList<Digest> below)
    {
        var sources = new SortedDictionary<string, Digest>(StringComparer.Ordinal);
        foreach (var path in implied)
        {
            if (path.Length > 0 && FindBelow(path, below) is { } source) sources[path] = source;
        }

        if (sources.Count == 0) return null;
        // What is above them comes into the tar too, and must not change by that.
        foreach (var path in sources.Keys.ToList())
        {
            for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1)) sources.TryAdd(path[..slash], layer);
        }

        var bytes = new MemoryStream();
        var roots = new Dictionary<Digest, (RootDirectory Root, TreeArchiver Archive)>();
        try
        {
            foreach (var (path, source) in sources)
            {
                if (!roots.TryGetValue(source, out var from))
                {
                    var root = RootDirectory.Open(layers.LowerPath(source), RootScope.Beneath);
                    roots[source] = from = (root, new TreeArchiver(root, bytes));
                }

                from.Archive.Add(path, from.Root.Stat(path));
            }

            bytes.Write(new byte[1024]);
            return bytes.ToArray();
        }
        finally
        {
            foreach (var (root, _) in roots.Values) root.Dispose();
        }
    }

    /// <summary>The topmost layer that says what the directory is like; null where none does or something else is in the way.</summary>
    private Digest? FindBelow(string path, IReadOnlyList<Digest> below)
    {
        foreach (var layer in below)
        {
            using var root = RootDirectory.Open(layers.LowerPath(layer), RootScope.Beneath);
            if (IsHidden(root, path, out var status)) return null;
            if (status is { IsDirectory: true } && !layers.Read(layer).Implied.Contains(path)) return layer;
        }

        return null;
    }

    /// <summary>Whether the layer has something on the way that hides what the layers below have there.</summary>
    private static bool IsHidden(RootDirectory root, string path, out FileStatus? status)
    {
        status = null;
        for (var end = path.IndexOf('/'); ; end = path.IndexOf('/', end + 1))
        {
            var prefix = end < 0 ? path : path[..end];
            status = root.TryStat(prefix);
            if (status is null) return false;
            if (status is { IsDirectory: false }) return true;
            if (end < 0) return false;
        }
    }
}
