using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Files;

/// <summary>
/// What small files held when they were last read, for files that change by getting a successor (<see cref="AtomicFile"/>). Each
/// question costs one statx(2), which is a tenth of opening, reading and parsing; so a change by another process is seen at once.
/// A file that was written a moment ago is not kept: its successor could have its inode, size and time.
/// </summary>
/// <typeparam name="T">What is read of a file. It is shared by all who ask and must not be changed.</typeparam>
/// <param name="capacity">So many files; one more, and all are read anew.</param>
public sealed class UnchangedFiles<T>(int capacity = 256, TimeProvider? clock = null) where T : class
{
    /// <summary>Longer than the steps of a file system's clock.</summary>
    private static readonly TimeSpan s_settled = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (Identity Identity, T Value)> _known = new(StringComparer.Ordinal);

    /// <summary>What <paramref name="read"/> answers for the file, or answered when it was the same file.</summary>
    public T? Get(string path, Func<string, T?> read)
    {
        var status = MetadataCalls.Statx(Fcntl.AT_FDCWD, path, 0, StatxMask.STATX_BASIC_STATS, out var raw) == 0 ? new FileStatus(raw) : (FileStatus?)null;
        if (status is not { } found) return read(path);
        var identity = new Identity(found.Device, found.Inode, found.Size, found.Modified, found.Changed);
        lock (_gate)
        {
            if (_known.TryGetValue(path, out var known) && known.Identity == identity) return known.Value;
        }

        // Examined before it is read: one that takes its place in between is not taken for it next time.
        var value = read(path);
        if (value is null || _clock.GetUtcNow() - DateTimeOffset.FromUnixTimeSeconds(found.Changed.tv_sec) < s_settled) return value;
        lock (_gate)
        {
            if (_known.Count >= capacity && !_known.ContainsKey(path)) _known.Clear();
            _known[path] = (identity, value);
        }

        return value;
    }

    private readonly record struct Identity((uint Major, uint Minor) Device, ulong Inode, long Size, TimeSpec Modified, TimeSpec Changed);
}
