using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Shim.Streams;

/// <summary>
/// One connection of the engine to a process's streams. Towards the engine each piece of output goes with a header of
/// <see cref="Wire.OutputHeaderSize"/> bytes; from it come raw bytes of input, whose end is the end of sending.
/// </summary>
internal sealed class Attachment(EventLoop loop, SafeFd socket, bool input, bool output, bool error) : IReady, IDisposable
{
    /// <summary>Bytes an attachment may be behind before the process is held back.</summary>
    private const int Limit = 256 * 1024;

    private ProcessStreams? _streams;
    private byte[] _pending = [];
    private int _start;
    private int _end;
    private bool _closing;
    private bool _disposed;
    private bool _inputPaused;
    private bool _inputEnded;
    private byte[]? _inputRest;

    /// <summary>The input of this attachment is open.</summary>
    public bool HasInput { get; set; } = input;

    public bool Behind => _end - _start > Limit;

    public void Start(ProcessStreams streams, byte[] early)
    {
        _streams = streams;
        UpdateWatch();
        if (early.Length > 0 && HasInput) Feed(early);
    }

    /// <summary>Sends a piece of output now, or keeps it until there is room.</summary>
    public void Send(byte stream, ReadOnlySpan<byte> bytes)
    {
        if (_disposed || bytes.IsEmpty || (stream == 1 ? !output : !error)) return;
        Span<byte> header = stackalloc byte[Wire.OutputHeaderSize];
        Wire.WriteOutputHeader(header, stream, bytes.Length);
        Append(header);
        Append(bytes);
        Flush();
    }

    /// <summary>Sends what is kept, then closes.</summary>
    public void CloseWhenWritten()
    {
        _closing = true;
        Flush();
    }

    public void ResumeInput()
    {
        if (!_inputPaused) return;
        _inputPaused = false;
        if (_inputRest is { } rest)
        {
            _inputRest = null;
            Feed(rest);
        }

        UpdateWatch();
    }

    public void OnReady(uint events)
    {
        if ((events & Waiting.EPOLLOUT) != 0) Flush();
        if (_disposed) return;
        if (_inputPaused && (events & (Waiting.EPOLLHUP | Waiting.EPOLLERR)) != 0)
        {
            // The engine is gone but its input is not delivered yet: look again when the process takes more.
            loop.Forget(socket.Value);
            return;
        }

        if ((events & (Waiting.EPOLLIN | Waiting.EPOLLHUP | Waiting.EPOLLERR)) != 0) ReadInput((events & (Waiting.EPOLLHUP | Waiting.EPOLLERR)) != 0);
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        loop.Forget(socket.Value);
        socket.Dispose();
        _pending = [];
        _streams?.Detach(this);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (_pending.Length - _end < bytes.Length)
        {
            var kept = _end - _start;
            var target = _pending.Length >= kept + bytes.Length ? _pending : new byte[Math.Max(4096, (kept + bytes.Length) * 2)];
            _pending.AsSpan(_start, kept).CopyTo(target);
            (_pending, _start, _end) = (target, 0, kept);
        }

        bytes.CopyTo(_pending.AsSpan(_end));
        _end += bytes.Length;
    }

    private void Flush()
    {
        while (_start < _end)
        {
            var sent = SocketCalls.Send(socket.Value, _pending.AsSpan(_start, _end - _start));
            if (sent == -(nint)Errno.EAGAIN) break;
            if (sent < 0)
            {
                Dispose();
                return;
            }

            _start += (int)sent;
        }

        if (_start == _end)
        {
            _start = _end = 0;
            if (_pending.Length > 64 * 1024) _pending = [];
            if (_closing)
            {
                Dispose();
                return;
            }
        }

        UpdateWatch();
        if (!Behind) _streams?.ResumeIfPossible();
    }

    private void ReadInput(bool hungUp)
    {
        Span<byte> bytes = stackalloc byte[16 * 1024];
        var count = FileCalls.Read(socket.Value, bytes);
        if (count == -(nint)Errno.EAGAIN) return;
        if (count > 0)
        {
            if (HasInput) Feed(bytes[..(int)count]);
            return;
        }

        if (count < 0 || hungUp)
        {
            Dispose();
            return;
        }

        // The engine ended its side only: no more input, output goes on.
        _streams?.EndInputOf(this);
        _inputEnded = true;
        UpdateWatch();
    }

    private void Feed(ReadOnlySpan<byte> bytes)
    {
        if (_streams is null || _streams.WriteInput(bytes, out var taken)) return;
        _inputRest = bytes[taken..].ToArray();
        _inputPaused = true;
        UpdateWatch();
    }

    private void UpdateWatch()
    {
        if (_disposed) return;
        var events = 0u;
        if (!_inputPaused && !_inputEnded) events |= Waiting.EPOLLIN;
        if (_start < _end) events |= Waiting.EPOLLOUT;
        loop.Watch(socket.Value, events, this);
    }
}
