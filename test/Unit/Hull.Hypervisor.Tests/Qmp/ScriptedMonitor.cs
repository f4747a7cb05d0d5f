using System.IO.Pipelines;
using System.Text;

namespace Hull.Hypervisor.Tests.Qmp;

/// <summary>The other end of a monitor connection: says what a test tells it and keeps what it is told.</summary>
internal sealed class ScriptedMonitor : IAsyncDisposable
{
    public const string Greeting =
        """{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}, "capabilities": ["oob"]}}""";

    private readonly Pipe _toClient = new();
    private readonly Pipe _toMonitor = new();
    private readonly StreamReader _requests;

    public ScriptedMonitor()
    {
        _requests = new StreamReader(_toMonitor.Reader.AsStream());
        Client = new DuplexStream(_toClient.Reader.AsStream(), _toMonitor.Writer.AsStream());
    }

    public Stream Client { get; }

    public async Task SayAsync(string line) => await _toClient.Writer.WriteAsync(Encoding.UTF8.GetBytes(line + "\r\n"));

    public async Task<string> HearAsync() => await _requests.ReadLineAsync() ?? "";

    /// <summary>Greets and accepts capability negotiation.</summary>
    public async Task GreetAsync()
    {
        await SayAsync(Greeting);
        await HearAsync();
        await SayAsync("""{"return": {}, "id": 1}""");
    }

    public void HangUp() => _toClient.Writer.Complete();

    public async ValueTask DisposeAsync()
    {
        await _toClient.Writer.CompleteAsync();
        await _toMonitor.Reader.CompleteAsync();
    }

    private sealed class DuplexStream(Stream input, Stream output) : Stream
    {
        public override bool CanRead => true;
        public override bool CanWrite => true;
        public override bool CanSeek => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => output.Flush();
        public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);
        public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer, offset, count);
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            input.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            output.WriteAsync(buffer, cancellationToken);
    }
}
