using System.Formats.Tar;
using System.Security.Cryptography;
using Hull.Images.Snapshots;

namespace Hull.Images.Bootstrap;

/// <summary>
/// What one root file system has on top of another, as a layer tar (image-spec layer.md). Both are tars of our own
/// making; directories above a change are always part of it, so that the layer also stands alone.
/// </summary>
public static class LayerDifference
{
    private sealed record Item(TarEntryType Type, UnixFileMode Mode, int User, int Group, long Time, string Link, string Attributes, string Content);

    public static void Write(Stream lower, Stream upper, Stream output)
    {
        var below = Read(lower);
        upper.Position = 0;
        var above = Read(upper);
        var changed = Changed(below, above);
        upper.Position = 0;
        using var writer = new TarWriter(output, TarEntryFormat.Pax, leaveOpen: true);
        using (var reader = new TarReader(upper, leaveOpen: true))
        {
            while (reader.GetNextEntry() is { } entry)
            {
                if (changed.Contains(Name(entry.Name))) writer.WriteEntry(entry);
            }
        }

        foreach (var gone in Gone(below, above))
        {
            var slash = gone.LastIndexOf('/');
            var whiteout = new UstarTarEntry(TarEntryType.RegularFile, gone[..(slash + 1)] + ".wh." + gone[(slash + 1)..]) { ModificationTime = DateTimeOffset.UnixEpoch };
            writer.WriteEntry(whiteout);
        }
    }

    /// <summary>What differs between two root file systems given as tars, sorted by path; the way <c>docker diff</c> lists it.</summary>
    public static IReadOnlyList<SnapshotChange> Compare(Stream lower, Stream upper)
    {
        var below = Read(lower);
        var above = Read(upper);
        var changes = above.Where(entry => entry.Key.Length > 0 && (!below.TryGetValue(entry.Key, out var old) || old != entry.Value))
            .Select(entry => new SnapshotChange("/" + entry.Key, below.ContainsKey(entry.Key) ? ChangeKind.Modified : ChangeKind.Added));
        var gone = Gone(below, above).Select(name => new SnapshotChange("/" + name, ChangeKind.Deleted));
        return [.. changes.Concat(gone).OrderBy(change => change.Path, StringComparer.Ordinal)];
    }

    private static Dictionary<string, Item> Read(Stream tar)
    {
        var items = new Dictionary<string, Item>(StringComparer.Ordinal);
        using var reader = new TarReader(tar, leaveOpen: true);
        while (reader.GetNextEntry() is { } entry)
        {
            var content = entry.DataStream is null ? "" : Convert.ToHexString(SHA256.HashData(entry.DataStream));
            var link = entry.EntryType is TarEntryType.HardLink ? Name(entry.LinkName) : entry.LinkName ?? "";
            items[Name(entry.Name)] = new Item(entry.EntryType, entry.Mode, entry.Uid, entry.Gid, entry.ModificationTime.ToUnixTimeSeconds(), link, Attributes(entry), content);
        }

        return items;
    }

    private static HashSet<string> Changed(Dictionary<string, Item> below, Dictionary<string, Item> above)
    {
        var changed = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, item) in above)
        {
            if (!below.TryGetValue(name, out var old) || old != item) changed.Add(name);
        }

        // A hard link is worth nothing without its target, nor a changed target without the links to it.
        foreach (var (name, item) in above)
        {
            if (item.Type == TarEntryType.HardLink && (changed.Contains(name) || changed.Contains(item.Link)))
            {
                changed.Add(name);
                changed.Add(item.Link);
            }
        }

        foreach (var name in changed.Concat(Gone(below, above)).ToList())
        {
            for (var slash = name.LastIndexOf('/'); slash > 0; slash = name.LastIndexOf('/', slash - 1)) changed.Add(name[..slash]);
        }

        return changed;
    }

    /// <summary>What is not there any more, without what lay below it.</summary>
    private static IEnumerable<string> Gone(Dictionary<string, Item> below, Dictionary<string, Item> above) =>
        below.Keys.Where(name => !above.ContainsKey(name) && IsThere(above, Parent(name))).Order(StringComparer.Ordinal);

    private static bool IsThere(Dictionary<string, Item> items, string name) => name.Length == 0 || items.ContainsKey(name);

    private static string Parent(string name) => name.LastIndexOf('/') is var slash and > 0 ? name[..slash] : "";

    private static string Name(string name) => (name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name).TrimEnd('/');

    private static string Attributes(TarEntry entry) => entry is PaxTarEntry pax
        ? string.Join('\n', pax.ExtendedAttributes.Where(pair => pair.Key.StartsWith("SCHILY.", StringComparison.Ordinal)).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Key + "=" + pair.Value))
        : "";
}
