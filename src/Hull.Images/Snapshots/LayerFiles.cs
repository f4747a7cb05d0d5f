using Hull.Core;

namespace Hull.Images.Snapshots;

/// <summary>How layers are named in their directory: <c>ALGORITHM-HEX</c> and a suffix.</summary>
internal static class LayerFiles
{
    public static string PathOf(SnapshotCatalog catalog, Digest diffId, string suffix) =>
        Path.Combine(catalog.Root, "layers", $"{diffId.Algorithm}-{diffId.Hex}{suffix}");

    public static IReadOnlyList<Digest> List(SnapshotCatalog catalog, string suffix)
    {
        var layers = new List<Digest>();
        foreach (var path in Directory.EnumerateFileSystemEntries(Path.Combine(catalog.Root, "layers"), "*" + suffix))
        {
            var name = Path.GetFileName(path)[..^suffix.Length];
            if (Digest.TryParse(name.Replace('-', ':'), out var digest)) layers.Add(digest);
        }

        return layers;
    }
}
