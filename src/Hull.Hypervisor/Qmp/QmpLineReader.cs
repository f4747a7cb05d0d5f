namespace Hull.Hypervisor.Qmp;

/// <summary>Splits a monitor's output into lines, each one JSON message, within a bound on their length.</summary>
internal sealed class QmpLineReader(Stream stream)
{
    /// <summary>The schema, the longest answer, is a quarter of a MiB; nothing honest comes near this.</summary>
    private const int MaximumLine = 16 * 1024 * 1024;

    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    /// <summary>The next line without its end; null at the end of the stream.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        var scanned = _start;
        while (true)
        {
            var newline = Array.IndexOf(_buffer, (byte)'\n', scanned, _end - scanned);
            if (newline >= 0)
            {
                var line = _buffer.AsMemory(_start, newline - _start);
                _start = newline + 1;
                if (line.Span.Trim("\r \t"u8).IsEmpty)
                {
                    scanned = _start;
                    continue;
                }

                return line;
            }

            scanned = MakeRoom();
            var count = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (count == 0) return null;
            _end += count;
        }
    }

    /// <summary>Moves what is unread to the front and grows the buffer when it is full; answers where to scan on.</summary>
    private int MakeRoom()
    {
        var length = _end - _start;
        if (length == _buffer.Length)
        {
            if (length >= MaximumLine) throw HullException.Corrupted("a message of the qemu monitor is too long");
            Array.Resize(ref _buffer, length * 2);
        }
        else if (_start > 0)
        {
            Buffer.BlockCopy(_buffer, _start, _buffer, 0, length);
            (_start, _end) = (0, length);
        }

        return _start + length;
    }
}
