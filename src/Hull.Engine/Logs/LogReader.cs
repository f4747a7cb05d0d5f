using System.Runtime.CompilerServices;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Logs;

/// <summary>How entries lie in a log file.</summary>
internal interface ILogFormat
{
    /// <summary>
    /// Parses one entry at the beginning of <paramref name="bytes"/>; answers how many bytes it took, 0 when it is not
    /// complete. A damaged entry is passed over: it takes bytes and gives no entry.
    /// </summary>
    int TryParse(ReadOnlySpan<byte> bytes, out LogEntry? entry);

    /// <summary>Where the last <paramref name="count"/> entries of a file begin; fewer may be there: then 0 and how many.</summary>
    (long Offset, long Found) FindTail(SafeFd file, long length, long count);
}

/// <summary>
/// Reads the files a shim writes, oldest first, and follows them over rotations. A file that is rotated away while it is
/// read stays open and is read to its end first, so no entry is lost or read twice.
/// </summary>
internal static class LogReader
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private const int BufferSize = 256 * 1024;

    public static async IAsyncEnumerable<LogEntry> ReadAsync(string path, ILogFormat format, LogQuery query, Func<bool> isAlive,
        TimeProvider clock, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (query.Tail == 0 && !query.Follow) yield break;
        var files = OpenAll(path, format, query);
        try
        {
            for (var i = 0; i < files.Count; i++)
            {
                var last = i == files.Count - 1;
                foreach (var entry in Parse(files[i], format))
                {
                    if (entry.At > query.Until) yield break;
                    if (Wanted(entry, query)) yield return entry;
                }

                if (!last) continue;
                if (!query.Follow) yield break;
            }

            var current = files.Count > 0 ? files[^1] : null;
            if (current is not null) files.RemoveAt(files.Count - 1);
            await foreach (var entry in FollowAsync(path, current, format, query, isAlive, clock, cancellationToken).ConfigureAwait(false))
                yield return entry;
        }
        finally
        {
            foreach (var file in files) file.Dispose();
        }
    }

    private static async IAsyncEnumerable<LogEntry> FollowAsync(string path, OpenLog? current, ILogFormat format, LogQuery query,
        Func<bool> isAlive, TimeProvider clock, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                // Asked before reading: what was written before the end is read after it.
                var alive = isAlive();
                var rotated = current is not null && !IsStill(path, current);
                var read = false;
                if (current is not null)
                {
                    foreach (var entry in Parse(current, format))
                    {
                        if (entry.At > query.Until) yield break;
                        read = true;
                        if (Wanted(entry, query)) yield return entry;
                    }
                }

                if (rotated || current is null)
                {
                    var next = TryOpenNext(path, current);
                    if (next is not null)
                    {
                        current?.Dispose();
                        current = next;
                        continue;
                    }
                }

                if (!alive && !read) yield break;
                if (query.Until is { } until && clock.GetUtcNow() > until) yield break;
                if (!read) await Task.Delay(s_poll, clock, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            current?.Dispose();
        }
    }

    /// <summary>Every file, oldest first, the first positioned so that the wanted tail remains.</summary>
    private static List<OpenLog> OpenAll(string path, ILogFormat format, LogQuery query)
    {
        var files = new List<OpenLog>();
        for (var number = 0; ; number++)
        {
            var file = OpenLog.TryOpen(number == 0 ? path : $"{path}.{number}");
            if (file is null && number == 0) continue;
            if (file is null) break;

            // While opening, the current file may have become log.1: then it is here twice.
            if (files.Any(other => other.IsSameFile(file))) file.Dispose();
            else files.Insert(0, file);
        }

        if (query.Tail is not { } tail || tail < 0) return files;
        // A filter by time or stream decides what the last entries are; that is left to the simple way.
        if (query.Since is not null || query.Until is not null || query.Streams != (StreamSelection.Output | StreamSelection.Error))
            return TailByReading(files, format, query, tail);
        for (var i = files.Count - 1; i >= 0; i--)
        {
            var (offset, found) = format.FindTail(files[i].Descriptor, files[i].Length, tail);
            files[i].Position = offset;
            tail -= found;
            if (tail > 0) continue;
            foreach (var older in files[..i]) older.Dispose();
            files.RemoveRange(0, i);
            break;
        }

        return files;
    }

    /// <summary>Reads everything once to find where the wanted entries begin.</summary>
    private static List<OpenLog> TailByReading(List<OpenLog> files, ILogFormat format, LogQuery query, long tail)
    {
        var last = new Queue<(int File, long Offset)>();
        for (var i = 0; i < files.Count; i++)
        {
            var start = files[i].Position;
            foreach (var entry in Parse(files[i], format))
            {
                if (!(entry.At > query.Until) && Wanted(entry, query))
                {
                    last.Enqueue((i, start));
                    if (last.Count > tail) last.Dequeue();
                }

                start = files[i].Position;
            }
        }

        if (last.Count == 0)
        {
            foreach (var file in files) file.Position = file.Length;
            return files;
        }

        var (first, offset) = last.Peek();
        foreach (var file in files[first..]) file.Position = 0;
        files[first].Position = offset;
        foreach (var older in files[..first]) older.Dispose();
        return files[first..];
    }

    private static bool Wanted(LogEntry entry, LogQuery query) =>
        !(entry.At < query.Since)
        && (query.Streams & (entry.Stream == OutputStream.Error ? StreamSelection.Error : StreamSelection.Output)) != 0;

    /// <summary>The complete entries from the position on; the position moves with them.</summary>
    private static IEnumerable<LogEntry> Parse(OpenLog log, ILogFormat format)
    {
        var buffer = new byte[BufferSize];
        var start = 0;
        var end = 0;
        while (true)
        {
            if (start > 0)
            {
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                (start, end) = (0, end - start);
            }

            if (end == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
            var count = (int)Check.Result(FileCalls.ReadAt(log.Descriptor.Value, buffer.AsSpan(end), log.Position + end), $"read the log");
            if (count == 0) yield break;
            end += count;
            while (true)
            {
                var taken = format.TryParse(buffer.AsSpan(start, end - start), out var entry);
                if (taken == 0) break;
                start += taken;
                log.Position += taken;
                if (entry is { } one) yield return one;
            }
        }
    }

    private static bool IsStill(string path, OpenLog current)
    {
        using var now = OpenLog.TryOpen(path);
        return now is not null && now.IsSameFile(current);
    }

    /// <summary>The file after the current one: with several rotations in between, the oldest that is newer.</summary>
    private static OpenLog? TryOpenNext(string path, OpenLog? current)
    {
        OpenLog? newer = OpenLog.TryOpen(path);
        if (current is null || newer is null) return newer;
        if (newer.IsSameFile(current))
        {
            newer.Dispose();
            return null;
        }

        for (var number = 1; ; number++)
        {
            var older = OpenLog.TryOpen($"{path}.{number}");
            if (older is null || older.IsSameFile(current))
            {
                older?.Dispose();
                return newer;
            }

            newer.Dispose();
            newer = older;
        }
    }
}

/// <summary>A log file and how far it was read.</summary>
internal sealed class OpenLog : IDisposable
{
    private readonly FileStatus _status;

    private OpenLog(SafeFd descriptor) => (Descriptor, _status) = (descriptor, descriptor.Stat());

    public SafeFd Descriptor { get; }

    public long Position { get; set; }

    public long Length => Descriptor.Stat().Size;

    public static OpenLog? TryOpen(string path)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW);
        return result < 0 ? null : new OpenLog(new SafeFd((int)result));
    }

    public bool IsSameFile(OpenLog other) => _status.IsSameFile(other._status);

    public void Dispose() => Descriptor.Dispose();
}
