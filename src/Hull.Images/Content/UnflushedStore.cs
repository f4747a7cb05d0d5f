using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Snapshots;
using Hull.Linux.Files;

namespace Hull.Images.Content;

/// <param name="Blob">A blob that gets its name before the disk has its bytes.</param>
/// <param name="Layer">The diffID of what is unpacked from it in the same way; null where nothing is.</param>
public sealed record UnflushedItem(Digest Blob, Digest? Layer = null);

/// <summary>
/// What has a name in the store while its bytes may still be in the page cache only. Flushing an image takes longer than
/// fetching and unpacking it, and what can be fetched again is not worth the wait. But a name is trusted; so before it is
/// given, a small file that is flushed says whose bytes are not and in which boot of the machine that was
/// (<c>unflushed/NAME</c>). A process that dies costs nothing: the kernel has the bytes. Where the machine went down,
/// <see cref="Recover"/> looks at what such a file names and at nothing else.
/// </summary>
public sealed class UnflushedStore
{
    /// <summary>After this a pull that left names out is taken for given up.</summary>
    private static readonly TimeSpan Abandoned = TimeSpan.FromDays(1);

    private readonly ContentStore _content;
    private readonly string _directory;
    private readonly string _boot;

    /// <param name="boot">Identity of this boot of the machine (random(4), <c>boot_id</c>).</param>
    internal UnflushedStore(ContentStore content, string boot)
    {
        (_content, _directory, _boot) = (content, Path.Combine(content.Root, "unflushed"), boot);
    }

    /// <summary>Writes down, durably, what will have a name before it is flushed. To be called before the names are given.</summary>
    public void Mark(IReadOnlyCollection<UnflushedItem> items)
    {
        if (items.Count > 0) Write("pull-" + RandomId.Short(RandomId.New()), items);
    }

    /// <summary>The same for a single blob, which <see cref="FlushBlob"/> finds by its digest.</summary>
    public void MarkBlob(Digest digest)
    {
        if (!File.Exists(BlobMark(digest))) Write(Path.GetFileName(BlobMark(digest)), [new UnflushedItem(digest)]);
    }

    /// <summary>Brings a blob to the disk that <see cref="MarkBlob"/> was called for; nothing for any other.</summary>
    public void FlushBlob(Digest digest)
    {
        if (!File.Exists(BlobMark(digest))) return;
        FlushFile(digest);
        File.Delete(BlobMark(digest));
    }

    /// <summary>Brings to the disk what was left to the kernel at least <paramref name="age"/> ago.</summary>
    public void Flush(TimeSpan age, ISnapshotter? snapshotter)
    {
        foreach (var path in Marks())
        {
            var passed = _content.Time.GetUtcNow() - new DateTimeOffset(File.GetLastWriteTimeUtc(path));
            if (passed < age || TryRead(path) is not { } mark || mark.Boot != _boot) continue;
            var complete = true;
            foreach (var item in mark.Items) complete &= TryFlush(item, snapshotter);
            // Names that are not there yet may be about to be given.
            if (complete || passed > Abandoned) File.Delete(path);
        }
    }

    /// <summary>
    /// After a crash of the machine: content that is not what its digest says is removed; layers that were not flushed are
    /// unpacked again from their content, or removed where that is gone. Does nothing in the boot that wrote them.
    /// </summary>
    public void Recover(ISnapshotter? snapshotter)
    {
        if (!Marks().Any()) return;
        using var taken = FileLock.Acquire(Path.Combine(_content.Root, "locks", "unflushed"));
        foreach (var path in Marks())
        {
            if (TryRead(path) is not { } mark || mark.Boot == _boot) continue;
            foreach (var item in mark.Items) Recheck(item, snapshotter);
            AtomicFile.Delete(path);
        }
    }

    private void Recheck(UnflushedItem item, ISnapshotter? snapshotter)
    {
        if (_content.Contains(item.Blob) && !IsIntact(item.Blob)) _content.MoveToTrash(item.Blob);
        if (item.Layer is not { } layer || snapshotter is null || !snapshotter.HasLayer(layer)) return;
        snapshotter.ForgetLayer(layer);
        if (!_content.Contains(item.Blob)) return;
        snapshotter.WriteLayerAsync(layer, _ => ValueTask.FromResult(LayerStream.Open(_content.OpenRead(item.Blob), UnpackLimits.Default)), UnpackLimits.Default)
            .GetAwaiter().GetResult();
    }

    private bool IsIntact(Digest digest)
    {
        using var file = _content.OpenRead(digest);
        using var hash = new ContentHash(digest.Algorithm);
        hash.Append(file);
        return hash.Current() == digest;
    }

    private bool TryFlush(UnflushedItem item, ISnapshotter? snapshotter)
    {
        if (!_content.Contains(item.Blob)) return false;
        FlushFile(item.Blob);
        if (item.Layer is not { } layer) return true;
        if (snapshotter is null || !snapshotter.HasLayer(layer)) return false;
        snapshotter.FlushLayer(layer);
        return true;
    }

    private void FlushFile(Digest digest)
    {
        try
        {
            AtomicFile.SyncFile(_content.PathOf(digest));
            AtomicFile.SyncDirectory(Path.GetDirectoryName(_content.PathOf(digest))!);
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound)
        {
            // Collected meanwhile.
        }
    }

    private void Write(string name, IReadOnlyCollection<UnflushedItem> items)
    {
        var lines = items.Select(item => item.Layer is { } layer ? $"{item.Blob} {layer}" : item.Blob.ToString());
        Directory.CreateDirectory(_directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        AtomicFile.Write(Path.Combine(_directory, name), System.Text.Encoding.ASCII.GetBytes($"{_boot}\n{string.Join('\n', lines)}\n"));
    }

    private string BlobMark(Digest digest) => Path.Combine(_directory, $"{digest.Algorithm}-{digest.Hex}");

    private IEnumerable<string> Marks() => Directory.Exists(_directory)
        ? Directory.EnumerateFiles(_directory).Where(path => Path.GetFileName(path)[0] != '.')
        : [];

    /// <summary>Null where another process is done with it.</summary>
    private static (string Boot, List<UnflushedItem> Items)? TryRead(string path)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (FileNotFoundException)
        {
            return null;
        }

        var items = new List<UnflushedItem>();
        foreach (var line in lines.Skip(1))
        {
            var words = line.Split(' ');
            if (Digest.TryParse(words[0], out var blob)) items.Add(new UnflushedItem(blob, words.Length > 1 && Digest.TryParse(words[1], out var layer) ? layer : null));
        }

        return (lines.Length > 0 ? lines[0] : "", items);
    }
}
