using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Shim.Streams;

/// <summary>The writing side of a process's input, with room for a little more than the pipe holds.</summary>
internal sealed class InputPipe : IReady, IDisposable
{
    private const int Capacity = 64 * 1024;
    private readonly EventLoop _loop;
    private readonly SafeFd _pipe;
    private readonly Action _onSpace;
    private byte[] _pending = [];
    private int _length;
    private bool _closing;
    private bool _closed;

    public InputPipe(EventLoop loop, SafeFd pipe, Action onSpace)
    {
        (_loop, _pipe, _onSpace) = (loop, pipe, onSpace);
        NonBlocking.Set(pipe);
    }

    /// <summary>Takes bytes; answers how many. Input for a process that closed its end is taken and dropped, as a shell does.</summary>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        if (_closed || _closing) return bytes.Length;
        var taken = 0;
        if (_length == 0)
        {
            taken = TryWrite(bytes);
            if (_closed) return bytes.Length;
        }

        var rest = bytes[taken..];
        if (rest.IsEmpty) return taken;
        var room = Math.Min(Capacity - _length, rest.Length);
        if (_pending.Length < _length + room) Array.Resize(ref _pending, Capacity);
        rest[..room].CopyTo(_pending.AsSpan(_length));
        _length += room;
        _loop.Watch(_pipe.Value, Waiting.EPOLLOUT, this);
        return taken + room;
    }

    public void CloseWhenWritten()
    {
        _closing = true;
        if (_length == 0) Dispose();
    }

    public void OnReady(uint events)
    {
        var written = TryWrite(_pending.AsSpan(0, _length));
        if (_closed) return;
        _pending.AsSpan(written, _length - written).CopyTo(_pending);
        _length -= written;
        if (_length > 0) return;
        _pending = [];
        _loop.Forget(_pipe.Value);
        if (_closing) Dispose();
        else _onSpace();
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        _loop.Forget(_pipe.Value);
        _pipe.Dispose();
    }

    private int TryWrite(ReadOnlySpan<byte> bytes)
    {
        var count = FileCalls.Write(_pipe.Value, bytes);
        if (count >= 0) return (int)count;
        if (count == -(nint)Errno.EAGAIN) return 0;
        Dispose();
        return 0;
    }
}
