using System.Buffers.Binary;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Shim.Streams;

namespace Hull.Shim.Protocol;

/// <summary>One connection of an engine: frames both ways, until it becomes an attachment or closes.</summary>
internal sealed class ControlConnection(EventLoop loop, Supervisor supervisor, SafeFd socket) : IReady
{
    private byte[] _received = new byte[1024];
    private int _count;
    private byte[] _pending = [];
    private bool _closed;
    private readonly List<SafeFd> _descriptors = [];

    /// <summary>Events go to connections that have said hello.</summary>
    public bool WantsEvents { get; set; }

    public bool HasPending => _pending.Length > 0;

    public void Start()
    {
        NonBlocking.Set(socket);
        loop.Watch(socket.Value, Waiting.EPOLLIN, this);
    }

    public void OnReady(uint events)
    {
        if ((events & Waiting.EPOLLOUT) != 0) Flush();
        if (!_closed && (events & (Waiting.EPOLLIN | Waiting.EPOLLHUP | Waiting.EPOLLERR)) != 0) Receive();
    }

    /// <summary>The oldest descriptor that came and nobody took; null for none.</summary>
    public SafeFd? TakeDescriptor()
    {
        if (_descriptors.Count == 0) return null;
        var first = _descriptors[0];
        _descriptors.RemoveAt(0);
        return first;
    }

    public void Send(FrameWriter frame)
    {
        if (_closed) return;
        var bytes = frame.Finish().Span;
        _pending = _pending.Length == 0 ? bytes.ToArray() : [.. _pending, .. bytes];
        Flush();
    }

    public void SendError(uint tag, Exception error) =>
        Send(new FrameWriter(FrameKind.Error, tag)
            .Write((int)KindOf(error))
            .Write(error is HullException full ? full.FullMessage : error.Message));

    /// <summary>A file that the kernel misses is none of the objects that the engine's callers address.</summary>
    private static ErrorKind KindOf(Exception error) => error switch
    {
        HullException { Kind: ErrorKind.NotFound, InnerException: ErrnoException } => ErrorKind.Internal,
        HullException known => known.Kind,
        _ => ErrorKind.Internal,
    };

    /// <summary>The connection carries streams from now on.</summary>
    public void BecomeAttachment(ProcessStreams streams, int selection)
    {
        _closed = true;
        loop.Forget(socket.Value);
        supervisor.Forget(this);
        var early = _received.AsSpan(0, _count).ToArray();
        streams.Attach(new Attachment(loop, socket, (selection & 1) != 0, (selection & 2) != 0, (selection & 4) != 0), early);
    }

    public void Close()
    {
        if (_closed) return;
        _closed = true;
        loop.Forget(socket.Value);
        socket.Dispose();
        foreach (var descriptor in _descriptors) descriptor.Dispose();
        _descriptors.Clear();
        supervisor.Forget(this);
    }

    private void Receive()
    {
        if (_received.Length - _count < 512) Array.Resize(ref _received, _received.Length * 2);
        var count = SocketCalls.Receive(socket.Value, _received.AsSpan(_count), _descriptors);
        if (count == -(nint)Errno.EAGAIN) return;
        if (count <= 0)
        {
            Close();
            return;
        }

        _count += (int)count;
        while (!_closed && _count >= 4)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(_received);
            if (length is < 5 or > Wire.MaxFrame)
            {
                Close();
                return;
            }

            if (_count < 4 + length) return;
            var frame = _received.AsSpan(4, length).ToArray();
            _received.AsSpan(4 + length, _count - 4 - length).CopyTo(_received);
            _count -= 4 + length;
            if (_count == 0 && _received.Length > 4096) _received = new byte[1024];
            supervisor.Handle(this, frame);
        }
    }

    private void Flush()
    {
        while (_pending.Length > 0)
        {
            var sent = SocketCalls.Send(socket.Value, _pending);
            if (sent == -(nint)Errno.EAGAIN) break;
            if (sent < 0)
            {
                Close();
                return;
            }

            _pending = sent == _pending.Length ? [] : _pending[(int)sent..];
        }

        loop.Watch(socket.Value, _pending.Length > 0 ? Waiting.EPOLLIN | Waiting.EPOLLOUT : Waiting.EPOLLIN, this);
    }
}
