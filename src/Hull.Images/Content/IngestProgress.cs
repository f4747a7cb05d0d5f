using Hull.Core;
using Microsoft.Win32.SafeHandles;

namespace Hull.Images.Content;

/// <summary>
/// How far an ingest has come. Readers in the same process wait on it for more, so a layer is unpacked while it is
/// downloaded; the bytes go through the kernel's page cache and never pile up in memory.
/// </summary>
internal sealed class IngestProgress(string path)
{
    private enum State
    {
        Growing,
        Finished,
        Failed,
    }

    private readonly Lock _gate = new();
    // Without spinning: sched_yield(2) on a loaded machine means going to the end of the queue for every piece.
    private readonly ManualResetEventSlim _changed = new(false, spinCount: 0);
    private State _state;
    private long _length;

    /// <summary>Where the content goes when it is whole; to be told before it goes there.</summary>
    public string? Target { get; set; }

    public void Advance(long length) => Set(State.Growing, length);

    public void Finish(long length) => Set(State.Finished, length);

    public void Fail() => Set(State.Failed, _length);

    /// <summary>Opens the content for reading from its start; reads wait for bytes that are still to come.</summary>
    public Stream OpenRead() =>
        new GrowingStream(this, Open());

    private SafeFileHandle Open()
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (FileNotFoundException) when (Target is { } target)
        {
            // A short download may be over before its reader has begun.
            return File.OpenHandle(target, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
    }

    private void Set(State state, long length)
    {
        lock (_gate)
        {
            if (_state != State.Growing) return;
            (_state, _length) = (state, length);
            _changed.Set();
        }
    }

    /// <summary>Waits until there is more than <paramref name="position"/>; answers the length, or -1 at the end.</summary>
    private long WaitBeyond(long position, CancellationToken cancellation)
    {
        while (true)
        {
            lock (_gate)
            {
                if (_length > position) return _length;
                if (_state == State.Finished) return -1;
                if (_state == State.Failed) throw new HullException(ErrorKind.Unavailable, "the download broke off");
                _changed.Reset();
            }

            _changed.Wait(cancellation);
        }
    }

    private sealed class GrowingStream(IngestProgress progress, SafeFileHandle file) : Stream
    {
        private readonly CancellationTokenSource _disposed = new();
        private long _position;
        private long _available;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => _position;
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            if (buffer.Length == 0) return 0;
            if (_position >= _available)
            {
                _available = progress.WaitBeyond(_position, _disposed.Token);
                if (_available < 0) return 0;
            }

            var count = RandomAccess.Read(file, buffer[..(int)Math.Min(buffer.Length, _available - _position)], _position);
            _position += count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _disposed.Cancel();
                file.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
