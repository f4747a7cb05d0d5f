using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>
/// The snapshots of one snapshotter on disk: <c>committed/HEX.json</c>, <c>active/KEY/</c> with <c>snapshot.json</c>, and
/// <c>trash/</c> for what is being removed. Everything appears and goes by one rename.
/// </summary>
internal sealed class SnapshotCatalog
{
    private const string RecordName = "snapshot.json";

    private readonly UnchangedFiles<SnapshotRecord> _committed = new();

    public SnapshotCatalog(string root)
    {
        Root = root;
        foreach (var name in (string[])["", "committed", "active", "trash", "ingest", "layers", "locks"])
            Directory.CreateDirectory(Path.Combine(root, name), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Root { get; }

    public string IngestDirectory => Path.Combine(Root, "ingest");

    /// <summary>Taken alone for every change of what exists; never while unpacking.</summary>
    public FileLock Lock() => FileLock.Acquire(Path.Combine(Root, "locks", "catalog"));

    /// <summary>Held by whoever writes, or removes, one layer.</summary>
    public string LayerLock(Digest diffId) => Path.Combine(Root, "locks", $"{diffId.Algorithm}-{diffId.Hex}");

    public string ActiveDirectory(string key) => Path.Combine(Root, "active", key);

    public SnapshotRecord? Find(string key)
    {
        if (ChainId.TryParse(key, out var chain)) return FindCommitted(chain);
        CheckKey(key);
        return AtomicFile.TryReadJson(Path.Combine(ActiveDirectory(key), RecordName), SnapshotJson.Default.SnapshotRecord);
    }

    public SnapshotRecord? FindCommitted(ChainId chain) => _committed.Get(CommittedPath(chain), ReadCommitted);

    public List<SnapshotRecord> List()
    {
        var records = new List<SnapshotRecord>();
        foreach (var path in Directory.EnumerateFiles(Path.Combine(Root, "committed"), "*.json"))
        {
            if (ReadCommitted(path) is { } record) records.Add(record);
        }

        foreach (var directory in Directory.EnumerateDirectories(Path.Combine(Root, "active")))
        {
            if (AtomicFile.TryReadJson(Path.Combine(directory, RecordName), SnapshotJson.Default.SnapshotRecord) is { } record) records.Add(record);
        }

        return records;
    }

    /// <summary>Not flushed: it says nothing that the image does not, so one that a crash of the machine tore is none.</summary>
    public void AddCommitted(SnapshotRecord record) =>
        AtomicFile.WriteJson(CommittedPath(ChainId.Parse(record.Key)), record, SnapshotJson.Default.SnapshotRecord, durable: false);

    public void RemoveCommitted(ChainId chain) => AtomicFile.Delete(CommittedPath(chain));

    /// <summary>Makes the directory of an active snapshot: filled by <paramref name="fill"/> under another name, then renamed.</summary>
    public void AddActive(SnapshotRecord record, Action<string> fill)
    {
        CheckKey(record.Key);
        var temporary = Path.Combine(IngestDirectory, "active-" + RandomId.Short(RandomId.New()));
        Directory.CreateDirectory(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            fill(temporary);
            AtomicFile.WriteJson(Path.Combine(temporary, RecordName), record, SnapshotJson.Default.SnapshotRecord, durable: false);
            var result = FileCalls.RenameAt2(Fcntl.AT_FDCWD, temporary, Fcntl.AT_FDCWD, ActiveDirectory(record.Key), FileFlags.RENAME_NOREPLACE);
            if (result == -(nint)Errno.EEXIST) throw HullException.Exists($"snapshot {record.Key} exists already");
            Check.Result(result, $"make snapshot {record.Key}");
        }
        catch
        {
            Discard(temporary);
            throw;
        }
    }

    /// <summary>Takes a file or directory out of sight in one step, then removes it. What cannot be removed now is at the next <see cref="EmptyTrash"/>.</summary>
    public void Discard(string path)
    {
        var trash = Path.Combine(Root, "trash", RandomId.Short(RandomId.New()));
        if (FileCalls.RenameAt2(Fcntl.AT_FDCWD, path, Fcntl.AT_FDCWD, trash) == -(nint)Errno.ENOENT) return;
        TryDelete(trash);
    }

    public void EmptyTrash()
    {
        foreach (var path in Directory.EnumerateFileSystemEntries(Path.Combine(Root, "trash"))) TryDelete(path);
    }

    public static void CheckKey(string key)
    {
        if (key.Length is 0 or > 200 || !char.IsAsciiLetterOrDigit(key[0])
            || !key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            throw HullException.Invalid($"invalid snapshot key '{(key.Length > 80 ? key[..80] + "…" : key)}': expected letters, digits, '-', '_' and '.'");
        }
    }

    private string CommittedPath(ChainId chain) => Path.Combine(Root, "committed", $"{chain.Digest.Algorithm}-{chain.Digest.Hex}.json");

    private static SnapshotRecord? ReadCommitted(string path)
    {
        try
        {
            return AtomicFile.TryReadJson(path, SnapshotJson.Default.SnapshotRecord);
        }
        catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted)
        {
            return null;
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            using var parent = RootDirectory.Open(Path.GetDirectoryName(path)!, RootScope.Beneath);
            parent.RemoveTree(Path.GetFileName(path));
        }
        catch (HullException error) when (error.Errno is Errno.EBUSY or Errno.EXDEV)
        {
            // Something in another mount namespace is still mounted below. It is out of everybody's way here.
        }
    }
}
