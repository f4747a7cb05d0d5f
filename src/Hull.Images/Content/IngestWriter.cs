using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Image;
using Microsoft.Win32.SafeHandles;

namespace Hull.Images.Content;

/// <summary>
/// Content on its way into the store. Dropped before <see cref="Commit(Digest?, long?, bool)"/>, it leaves the bytes so far for
/// whoever resumes; <see cref="Abandon"/> removes them. Not for use by several threads at once.
/// </summary>
public sealed class IngestWriter : IDisposable
{
    private readonly ContentStore _store;
    private readonly FileLock _lock;
    private readonly string _path;
    private readonly Lease _lease;
    private readonly Descriptor? _expected;
    private readonly SafeFileHandle _handle;
    private readonly ContentHash _hash;
    private bool _finished;

    private IngestWriter(ContentStore store, string path, FileLock taken, Descriptor? expected, Lease lease)
    {
        (_store, _path, _lock, _expected, _lease) = (store, path, taken, expected, lease);
        _hash = new ContentHash(expected?.Digest.Algorithm ?? "sha256");
        // Not FileStream, which asks where it stands (lseek) whenever its handle is used.
        _handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        Progress = new IngestProgress(path);
    }

    /// <summary>Bytes that are here; the next write continues there.</summary>
    public long Offset => _hash.Length;

    /// <summary>Bytes that were here from an earlier attempt.</summary>
    public long Resumed { get; private set; }

    /// <summary>Digest of the bytes so far.</summary>
    public Digest Current => _hash.Current();

    /// <summary>Lets others read the content while it arrives.</summary>
    internal IngestProgress Progress { get; }

    internal static IngestWriter Open(ContentStore store, string path, FileLock taken, Descriptor? expected, Lease lease)
    {
        IngestWriter? writer = null;
        try
        {
            writer = new IngestWriter(store, path, taken, expected, lease);
            writer.Resume();
            return writer;
        }
        catch
        {
            if (writer is null) taken.Dispose();
            else writer.Dispose();
            throw;
        }
    }

    /// <summary>Appends. Content that grows past its announced size is refused at once.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (_expected is { } expected && Offset + bytes.Length > expected.Size)
            throw HullException.Corrupted($"content {expected.Digest.Short} goes on after the {expected.Size} bytes it was announced with");
        RandomAccess.Write(_handle, bytes, Offset);
        _hash.Append(bytes);
        Progress.Advance(Offset);
    }

    /// <summary>
    /// Checks the digest (and size) and makes the content part of the store. Without an expected digest the content's own
    /// is taken. On a mismatch nothing is kept.
    /// </summary>
    /// <param name="flush">Wait until the disk has it. False only after <see cref="UnflushedStore.Mark"/>.</param>
    public Digest Commit(Digest? expected = null, long? size = null, bool flush = true)
    {
        var wanted = expected ?? _expected?.Digest;
        size ??= _expected?.Size;
        var actual = wanted is { } known && known.Algorithm != _hash.Algorithm ? Rehash(known.Algorithm) : _hash.Current();
        if (size is { } length && length != Offset)
        {
            // Short is not wrong yet: a later attempt may bring the rest. Long never becomes right.
            if (Offset > length) Abandon();
            throw HullException.Corrupted($"content {wanted?.Short ?? actual.Short} ended after {Offset} of {length} bytes");
        }

        if (wanted is { } digest && digest != actual)
        {
            Abandon();
            throw ContentHash.Mismatch(digest, actual);
        }

        _lease.Pin(actual);
        Publish(actual, flush);
        return actual;
    }

    /// <summary>Removes what was received.</summary>
    public void Abandon()
    {
        if (_finished) return;
        _finished = true;
        File.Delete(_path);
        RemoveLock();
        Progress.Fail();
    }

    public void Dispose()
    {
        if (!_finished) Progress.Fail();
        _handle.Dispose();
        _hash.Dispose();
        _lock.Dispose();
    }

    private void Resume()
    {
        if (_expected is { } expected && RandomAccess.GetLength(_handle) > expected.Size) RandomAccess.SetLength(_handle, 0);
        if (RandomAccess.GetLength(_handle) == 0) return;
        _hash.Append(_handle);
        Resumed = Offset;
        Progress.Advance(Offset);
    }

    private void Publish(Digest digest, bool flush)
    {
        var target = _store.PathOf(digest);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        Progress.Target = target;
        if (File.Exists(target)) File.Delete(_path);
        else
        {
            if (flush) RandomAccess.FlushToDisk(_handle);
            File.SetUnixFileMode(_handle, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            File.Move(_path, target, overwrite: true);
            if (flush) AtomicFile.SyncDirectory(Path.GetDirectoryName(target)!);
        }

        _finished = true;
        RemoveLock();
        Progress.Finish(Offset);
    }

    private void RemoveLock() => File.Delete(Path.ChangeExtension(_path, ".lock"));

    private Digest Rehash(string algorithm)
    {
        using var hash = new ContentHash(algorithm);
        hash.Append(_handle);
        return hash.Current();
    }
}
