using System.Globalization;
using System.Text;

namespace Hull.Client.Http;

/// <summary>Writes content of unknown length in the chunked coding (RFC 9112 section 7.1), one chunk per buffer.</summary>
internal sealed class ChunkedStream(Stream target) : Stream
{
    public const int ChunkSize = 64 * 1024;

    private readonly byte[] buffer = new byte[ChunkSize];
    private int used;

    /// <summary>Whether the other end no longer takes anything.</summary>
    public bool IsBroken { get; private set; }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Writes what is left and the mark of the end.</summary>
    public void Finish()
    {
        Send();
        Write("0\r\n\r\n"u8, flush: true);
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> content)
    {
        while (content.Length > 0)
        {
            var room = Math.Min(content.Length, ChunkSize - used);
            content[..room].CopyTo(buffer.AsSpan(used));
            used += room;
            content = content[room..];
            if (used == ChunkSize) Send();
        }
    }

    /// <summary>Chunks are of the size that suits the connection, whatever the writer flushes.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private void Send()
    {
        if (used == 0) return;
        Write(Encoding.ASCII.GetBytes(used.ToString("x", CultureInfo.InvariantCulture) + "\r\n"), flush: false);
        Write(buffer.AsSpan(0, used), flush: false);
        Write("\r\n"u8, flush: true);
        used = 0;
    }

    private void Write(ReadOnlySpan<byte> bytes, bool flush)
    {
        try
        {
            target.Write(bytes);
            if (flush) target.Flush();
        }
        catch (IOException)
        {
            IsBroken = true;
            throw;
        }
    }
}
