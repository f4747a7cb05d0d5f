using System.Security.Cryptography;
using Hull.Core.Tar;
using Hull.Images.Snapshots;
using Hull.Linux.Syscalls;

namespace Hull.Images.Bootstrap;

/// <summary>
/// What one root file system has on top of another, as a layer tar (image-spec layer.md). Both are tars of our own
/// making; directories above a change are always part of it, so that the layer also stands alone. The same two tars give
/// the same bytes.
/// </summary>
public static class LayerDifference
{
    private sealed record Item(TarEntryKind Kind, int Mode, uint User, uint Group, long Time, uint Major, uint Minor, string Link, string Attributes, string Content);

    public static void Write(Stream lower, Stream upper, Stream output)
    {
        var below = Read(lower);
        upper.Position = 0;
        var above = Read(upper);
        var changed = Changed(below, above);
        upper.Position = 0;
        var writer = new TarWriter(output);
        var reader = new TarReader(upper);
        while (reader.Next())
        {
            if (!changed.Contains(Name(reader.Entry.Path))) continue;
            writer.Begin(reader.Entry);
            Pour(reader, bytes => writer.Write(bytes));
        }

        foreach (var gone in Gone(below, above))
        {
            var slash = gone.LastIndexOf('/');
            writer.Write(new TarEntry { Path = NativeText.ToBytes(gone[..(slash + 1)] + ".wh." + gone[(slash + 1)..])[..^1], Mode = 0x1A4 }, default);
        }

        writer.Finish();
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
        var reader = new TarReader(tar);
        while (reader.Next())
        {
            var entry = reader.Entry;
            var link = entry.Kind == TarEntryKind.HardLink ? Name(entry.LinkTarget) : NativeText.Decode(entry.LinkTarget);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            Pour(reader, hash.AppendData);
            items[Name(entry.Path)] = new Item(entry.Kind, entry.Mode, entry.UserId, entry.GroupId, entry.ModifiedAt.Seconds, entry.DeviceMajor, entry.DeviceMinor,
                link, Attributes(entry), Convert.ToHexString(hash.GetHashAndReset()));
        }

        return items;
    }

    /// <summary>The data of an entry from its start to its end; holes are zeros.</summary>
    private static void Pour(TarReader reader, Action<ReadOnlySpan<byte>> take)
    {
        var position = 0L;
        while (reader.NextPiece(out var offset, out var bytes))
        {
            Fill(offset - position);
            take(bytes);
            position = offset + bytes.Length;
        }

        Fill(reader.Entry.Size - position);

        void Fill(long count)
        {
            for (ReadOnlySpan<byte> zeros = stackalloc byte[1024]; count > 0; count -= Math.Min(count, zeros.Length)) take(zeros[..(int)Math.Min(count, zeros.Length)]);
        }
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
            if (item.Kind == TarEntryKind.HardLink && (changed.Contains(name) || changed.Contains(item.Link)))
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

    private static string Name(byte[] path)
    {
        var name = NativeText.Decode(path);
        return (name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name).TrimEnd('/');
    }

    private static string Attributes(TarEntry entry) =>
        string.Join('\n', entry.Xattrs.OrderBy(xattr => xattr.Name, StringComparer.Ordinal).Select(xattr => xattr.Name + "=" + Convert.ToHexString(xattr.Value)));
}
