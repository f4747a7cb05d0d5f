using System.Globalization;
using Hull.Core;

namespace Hull.Client.Http;

/// <summary>An answer's content, decoded from its length, its chunks or the connection's end (RFC 9112, section 6).</summary>
internal sealed class BodyStream : Stream
{
    private readonly HttpReader reader;
    private readonly bool chunked;
    private readonly Action<bool> finished;
    private long remaining;
    private bool done;

    /// <param name="reader">Positioned behind the header.</param>
    /// <param name="head">The header.</param>
    /// <param name="withoutContent">Whether there is none whatever the header says, as after HEAD.</param>
    /// <param name="finished">Told, once, whether the connection can carry another request.</param>
    public BodyStream(HttpReader reader, HttpHead head, bool withoutContent, Action<bool> finished)
    {
        (this.reader, this.finished) = (reader, finished);
        chunked = head["Transfer-Encoding"]?.EndsWith("chunked", StringComparison.OrdinalIgnoreCase) == true;
        var sized = long.TryParse(head["Content-Length"], NumberStyles.None, CultureInfo.InvariantCulture, out var length);
        remaining = chunked ? 0 : sized ? length : long.MaxValue;
        if (withoutContent || head.Status is 204 or 304 || (sized && !chunked && length == 0)) Finish(true);
    }

    public override bool CanRead => true;

    public override bool CanWrite => false;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] target, int offset, int count) => Read(target.AsSpan(offset, count));

    public override int Read(Span<byte> target)
    {
        if (done || target.Length == 0) return 0;
        if (chunked && remaining == 0 && !NextChunk()) return 0;
        var count = reader.Read(target[..(int)Math.Min(target.Length, remaining)]);
        if (count == 0)
        {
            if (remaining != long.MaxValue)
                throw new HullException(ErrorKind.Unavailable, "the engine closed the connection in the middle of its answer");
            Finish(false);
            return 0;
        }

        if (remaining == long.MaxValue) return count;
        remaining -= count;
        if (remaining > 0) return count;
        if (chunked) SkipLine();
        else Finish(true);
        return count;
    }

    public override void Write(byte[] source, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !done) Finish(false);
        base.Dispose(disposing);
    }

    private bool NextChunk()
    {
        var budget = 1024;
        var line = reader.ReadLine(ref budget);
        var extension = line.IndexOf(';', StringComparison.Ordinal);
        if (!long.TryParse(extension < 0 ? line : line[..extension], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out remaining))
            throw HttpReader.Malformed("a chunk has no size");
        if (remaining > 0) return true;
        while (reader.ReadLine(ref budget).Length > 0)
        {
            // Trailer fields carry nothing the client uses.
        }

        Finish(true);
        return false;
    }

    private void SkipLine()
    {
        var budget = 16;
        reader.ReadLine(ref budget);
    }

    private void Finish(bool reusable)
    {
        done = true;
        finished(reusable);
    }
}
