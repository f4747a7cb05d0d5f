using Hull.Client.Http;
using Hull.Client.Transports;

namespace Hull.Client;

/// <summary>
/// A connection after the hijack: raw bytes both ways. Reading and writing may happen on two threads. Each way
/// ends on its own, as with a socket.
/// </summary>
public sealed class HijackedStream : IDisposable
{
    private readonly Connection connection;
    private readonly HttpReader reader;
    private readonly HttpHead head;

    internal HijackedStream(Connection connection, HttpReader reader, HttpHead head) =>
        (this.connection, this.reader, this.head) = (connection, reader, head);

    /// <summary>Whether output comes in frames that say which stream it is of, as it does without a terminal.</summary>
    public bool IsMultiplexed => head["Content-Type"] == "application/vnd.docker.multiplexed-stream";

    /// <summary>A header of the answer, or null.</summary>
    public string? Header(string name) => head[name];

    public int Read(Span<byte> buffer) => reader.Read(buffer);

    public void Write(ReadOnlySpan<byte> bytes)
    {
        connection.Stream.Write(bytes);
        connection.Stream.Flush();
    }

    /// <summary>Says that no more will be written; the engine goes on sending.</summary>
    public void FinishWriting() => connection.FinishSending();

    public void Dispose() => connection.Dispose();
}
