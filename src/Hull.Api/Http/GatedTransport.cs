using System.IO.Pipelines;

namespace Hull.Api.Http;

/// <summary>
/// A connection's pipes with a gate before the output. Behind a closed gate the server's own writes go nowhere, so a
/// request that answered on <see cref="Inner"/> itself can end without the server adding an answer of its own to it.
/// </summary>
internal sealed class GatedTransport(IDuplexPipe inner) : IDuplexPipe
{
    private readonly GatedWriter output = new(inner.Output);

    /// <summary>The pipes themselves.</summary>
    public IDuplexPipe Inner { get; } = inner;

    public PipeReader Input => Inner.Input;

    public PipeWriter Output => output;

    /// <summary>From now on what the server writes is dropped.</summary>
    public void Close() => output.Closed = true;

    private sealed class GatedWriter(PipeWriter inner) : PipeWriter
    {
        private byte[] scratch = [];

        public bool Closed { get; set; }

        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => Closed ? 0 : inner.UnflushedBytes;

        public override void Advance(int bytes)
        {
            if (!Closed) inner.Advance(bytes);
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => Closed ? Scratch(sizeHint) : inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => Closed ? Scratch(sizeHint) : inner.GetSpan(sizeHint);

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) =>
            Closed ? default : inner.FlushAsync(cancellationToken);

        public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
            Closed ? default : inner.WriteAsync(source, cancellationToken);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

        private byte[] Scratch(int sizeHint)
        {
            if (scratch.Length < Math.Max(sizeHint, 4096)) scratch = new byte[Math.Max(sizeHint, 4096)];
            return scratch;
        }
    }
}
