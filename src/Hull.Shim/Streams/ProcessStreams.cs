using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Shim.Logging;

namespace Hull.Shim.Streams;

/// <summary>
/// The standard streams of one process: reads what it writes, hands every byte to the log and to each attachment, and
/// feeds it what attachments send. While any attachment is more than its buffer behind, reading stops: the pipe fills
/// and the process waits, as it would on any pipe. Nothing is dropped.
/// </summary>
internal sealed class ProcessStreams(EventLoop loop, LogSink log, ReadBuffer buffer) : IDisposable
{
    private readonly List<Attachment> _attachments = [];
    private OutputPipe? _output;
    private OutputPipe? _error;
    private InputPipe? _input;
    private bool _heldBack;

    /// <summary>The terminal's master side, or null.</summary>
    public SafeFd? Terminal { get; private set; }

    public bool HasTerminal { get; init; }

    public bool InputOnce { get; init; }

    /// <summary>Takes the read ends of the output pipes and the write end of the input's (null for none).</summary>
    public void UsePipes(SafeFd? input, SafeFd output, SafeFd error)
    {
        if (input is not null) _input = new InputPipe(loop, input, OnInputSpace);
        _output = new OutputPipe(this, output, LogStream.Output);
        _error = new OutputPipe(this, error, LogStream.Error);
        Watch();
    }

    /// <summary>Takes the master side of a pseudo terminal.</summary>
    public void UseTerminal(SafeFd master)
    {
        NonBlocking.Set(master);
        Terminal = master;
        _output = new OutputPipe(this, master, LogStream.Output);
        _input = new InputPipe(loop, master.Duplicate(), OnInputSpace);
        Watch();
    }

    public void Resize(int columns, int rows)
    {
        if (Terminal is null || columns <= 0 || rows <= 0) return;
        var size = new WindowSize { ws_col = (ushort)Math.Min(columns, ushort.MaxValue), ws_row = (ushort)Math.Min(rows, ushort.MaxValue) };
        _ = ProcessCalls.Ioctl(Terminal.Value, Ioctl.TIOCSWINSZ, ref size);
    }

    /// <summary>Connects an attachment; <paramref name="early"/> is input that came with the request.</summary>
    public void Attach(Attachment attachment, byte[] early)
    {
        _attachments.Add(attachment);
        attachment.Start(this, early);
    }

    public void Detach(Attachment attachment)
    {
        _attachments.Remove(attachment);
        if (attachment.HasInput) EndInputOf(attachment);
        ResumeIfPossible();
    }

    /// <summary>Takes input from an attachment; false when the process does not keep up and the rest must wait.</summary>
    public bool WriteInput(ReadOnlySpan<byte> bytes, out int taken)
    {
        if (_input is null)
        {
            taken = bytes.Length;
            return true;
        }

        taken = _input.Write(bytes);
        return taken == bytes.Length;
    }

    /// <summary>An attachment will send no more input.</summary>
    public void EndInputOf(Attachment attachment)
    {
        if (!attachment.HasInput) return;
        attachment.HasInput = false;
        // A terminal's end of file is a character; closing the master would hang up the session.
        if (InputOnce && Terminal is null) _input?.CloseWhenWritten();
    }

    /// <summary>Some attachment has room again.</summary>
    public void ResumeIfPossible()
    {
        if (!_heldBack) return;
        foreach (var attachment in _attachments)
        {
            if (attachment.Behind) return;
        }

        _heldBack = false;
        Watch();
    }

    /// <summary>
    /// Reads what is left after the process has ended. True when the outputs are at their end; false when some other
    /// process still holds them open.
    /// </summary>
    public bool Drain()
    {
        var output = _output?.DrainAll() ?? true;
        var error = _error?.DrainAll() ?? true;
        return output && error;
    }

    /// <summary>Records last lines that have no newline.</summary>
    public void FlushLog()
    {
        log.Flush(LogStream.Output, endOfStream: true);
        log.Flush(LogStream.Error, endOfStream: true);
    }

    /// <summary>Lets the attachments run out.</summary>
    public void Finish()
    {
        CloseOutputs();
        _input?.Dispose();
        foreach (var attachment in _attachments.ToArray()) attachment.CloseWhenWritten();
    }

    public bool HasAttachments => _attachments.Count > 0;

    public void Dispose()
    {
        CloseOutputs();
        _input?.Dispose();
        foreach (var attachment in _attachments.ToArray()) attachment.Dispose();
        _attachments.Clear();
    }

    private void CloseOutputs()
    {
        _output?.Dispose();
        _error?.Dispose();
        _output = _error = null;
    }

    private void Watch()
    {
        _output?.Watch(loop);
        _error?.Watch(loop);
    }

    private void HoldBack()
    {
        _heldBack = true;
        _output?.Unwatch(loop);
        _error?.Unwatch(loop);
    }

    private void OnInputSpace()
    {
        foreach (var attachment in _attachments) attachment.ResumeInput();
    }

    /// <summary>The one place where output passes.</summary>
    private void Deliver(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        log.Write(stream, bytes);
        var behind = false;
        for (var i = _attachments.Count - 1; i >= 0; i--)
        {
            _attachments[i].Send((byte)stream, bytes);
            behind |= i < _attachments.Count && _attachments[i].Behind;
        }

        if (behind) HoldBack();
    }

    /// <summary>One output of the process.</summary>
    private sealed class OutputPipe(ProcessStreams owner, SafeFd pipe, LogStream stream) : IReady, IDisposable
    {
        private bool _open = true;
        private bool _watched;

        public void Watch(EventLoop loop)
        {
            if (!_open || _watched) return;
            _watched = true;
            loop.Watch(pipe.Value, Waiting.EPOLLIN, this);
        }

        public void Unwatch(EventLoop loop)
        {
            if (_open && _watched) loop.Forget(pipe.Value);
            _watched = false;
        }

        public void OnReady(uint events) => ReadOnce(owner);

        /// <summary>Reads everything there is, beyond what attachments can buffer; true at the end.</summary>
        public bool DrainAll()
        {
            while (_open && ReadOnce(owner))
            {
            }

            return !_open;
        }

        public void Dispose()
        {
            if (!pipe.IsClosed) owner.Loop.Forget(pipe.Value);
            pipe.Dispose();
            _open = false;
        }

        /// <summary>True when bytes came.</summary>
        private bool ReadOnce(ProcessStreams streams)
        {
            var count = FileCalls.Read(pipe.Value, streams.Buffer);
            if (count > 0)
            {
                streams.Deliver(stream, streams.Buffer.AsSpan(0, (int)count));
                return true;
            }

            if (count == -(nint)Errno.EAGAIN) return false;
            // 0 is the end of a pipe; EIO that of a terminal whose last user is gone.
            Unwatch(streams.Loop);
            _open = false;
            return false;
        }
    }

    private EventLoop Loop => loop;

    private byte[] Buffer => buffer.Bytes;
}

/// <summary>What processes write passes through here: one for all, because the loop reads one at a time.</summary>
internal sealed class ReadBuffer
{
    private byte[]? _bytes;

    public byte[] Bytes => _bytes ??= new byte[32 * 1024];

    /// <summary>Nothing is read for now: the next read makes it again.</summary>
    public void Release() => _bytes = null;
}

/// <summary>O_NONBLOCK on and off.</summary>
internal static class NonBlocking
{
    public static void Set(SafeFd descriptor)
    {
        var flags = FileCalls.Fcntl(descriptor.Value, Fcntl.F_GETFL);
        Check.Result(flags, $"read the flags of {descriptor}");
        Check.Result(FileCalls.Fcntl(descriptor.Value, Fcntl.F_SETFL, flags | Fcntl.O_NONBLOCK), $"set the flags of {descriptor}");
    }
}
