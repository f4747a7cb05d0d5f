using Hull.Core;
using Hull.Shim.Protocol;

namespace Hull.Shim.Logging;

/// <summary>The stream a byte came from.</summary>
internal enum LogStream : byte
{
    Output = 1,
    Error = 2,
}

/// <summary>
/// Where output is recorded. Bytes come in as they are read; a sink cuts them into lines, keeps the open end of each
/// stream, and cuts lines longer than <see cref="MaxLine"/> into parts.
/// </summary>
internal abstract class LogSink : IDisposable
{
    /// <summary>The longest entry, as with Docker's drivers; a longer line becomes several entries without a newline.</summary>
    public const int MaxLine = 16 * 1024;

    private readonly OpenLine _output = new();
    private readonly OpenLine _error = new();

    public static LogSink Open(LogMessage log) => log.Driver switch
    {
        "json-file" => new JsonFileLog(new RotatedFile(log.Path, log.MaxSize, log.MaxFiles), log.Option("attrs")),
        "local" => new LocalLog(new RotatedFile(log.Path, log.MaxSize, log.MaxFiles)),
        "journald" => new JournaldLog(log),
        "syslog" => new SyslogLog(log),
        "none" or "" => new NullLog(),
        var other => throw HullException.Invalid($"log driver '{other}' is unknown: use json-file, local, journald, syslog or none"),
    };

    /// <summary>Records what was read at one time.</summary>
    public virtual void Write(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        var line = LineOf(stream);
        Begin();
        while (!bytes.IsEmpty)
        {
            var newline = bytes.IndexOf((byte)'\n');
            var length = newline < 0 ? bytes.Length : newline + 1;
            var room = MaxLine - line.Length;
            if (newline >= 0 && line.Length == 0 && length <= MaxLine)
            {
                Entry(stream, bytes[..length]);
                bytes = bytes[length..];
                continue;
            }

            var taken = Math.Min(length, room);
            line.Append(bytes[..taken]);
            bytes = bytes[taken..];
            if (line.Length == MaxLine || line.EndsLine) EndLine(stream, line);
        }

        Commit();
    }

    /// <summary>At the end of a stream, records a last line that has no newline.</summary>
    public virtual void Flush(LogStream stream, bool endOfStream)
    {
        var line = LineOf(stream);
        if (!endOfStream || line.Length == 0) return;
        Begin();
        EndLine(stream, line);
        Commit();
    }

    public abstract void Dispose();

    /// <summary>Called before the entries of one read.</summary>
    protected virtual void Begin()
    {
    }

    /// <summary>One entry: a line with its newline, or a part without.</summary>
    protected abstract void Entry(LogStream stream, ReadOnlySpan<byte> bytes);

    /// <summary>Called after the entries of one read.</summary>
    protected virtual void Commit()
    {
    }

    private void EndLine(LogStream stream, OpenLine line)
    {
        Entry(stream, line.Bytes);
        line.Clear();
    }

    private OpenLine LineOf(LogStream stream) => stream == LogStream.Output ? _output : _error;

    /// <summary>The line a stream is in the middle of.</summary>
    private sealed class OpenLine
    {
        private byte[] _bytes = [];

        public int Length { get; private set; }

        public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Length);

        public bool EndsLine => Length > 0 && _bytes[Length - 1] == (byte)'\n';

        public void Append(ReadOnlySpan<byte> bytes)
        {
            if (_bytes.Length < Length + bytes.Length) Array.Resize(ref _bytes, Math.Min(MaxLine, Math.Max(256, (Length + bytes.Length) * 2)));
            bytes.CopyTo(_bytes.AsSpan(Length));
            Length += bytes.Length;
        }

        public void Clear()
        {
            Length = 0;
            if (_bytes.Length > 1024) _bytes = [];
        }
    }
}

/// <summary>Records nothing.</summary>
internal sealed class NullLog : LogSink
{
    public override void Write(LogStream stream, ReadOnlySpan<byte> bytes)
    {
    }

    public override void Flush(LogStream stream, bool endOfStream)
    {
    }

    public override void Dispose()
    {
    }

    protected override void Entry(LogStream stream, ReadOnlySpan<byte> bytes)
    {
    }
}
