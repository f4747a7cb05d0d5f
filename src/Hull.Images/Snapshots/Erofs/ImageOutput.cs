using Microsoft.Win32.SafeHandles;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// The growing image: appended to through one large buffer, with room for going back to what was reserved. Only the
/// buffer is held in memory.
/// </summary>
internal sealed class ImageOutput(SafeFileHandle file)
{
    private const int BufferSize = 256 << 10;

    private readonly byte[] _buffer = new byte[BufferSize];
    private long _start;
    private int _used;

    /// <summary>Bytes of the image so far; the next append lands there.</summary>
    public long Length => _start + _used;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= BufferSize / 4)
        {
            Flush();
            RandomAccess.Write(file, bytes, _start);
            _start += bytes.Length;
            return;
        }

        while (bytes.Length > 0)
        {
            if (_used == BufferSize) Flush();
            var count = Math.Min(bytes.Length, BufferSize - _used);
            bytes[..count].CopyTo(_buffer.AsSpan(_used));
            _used += count;
            bytes = bytes[count..];
        }
    }

    /// <summary>Appends zeros, to be written later or left; answers where they start. A long run becomes a hole of the file.</summary>
    public long Reserve(long count)
    {
        var offset = Length;
        if (count > BufferSize - _used)
        {
            Flush();
            if (count > BufferSize)
            {
                _start += count;
                return offset;
            }
        }

        _buffer.AsSpan(_used, (int)count).Clear();
        _used += (int)count;
        return offset;
    }

    /// <summary>Zeros up to the next block.</summary>
    public void Align() => Reserve(-Length & (ErofsFormat.BlockSize - 1));

    /// <summary>Writes into what was appended or reserved.</summary>
    public void WriteAt(long offset, ReadOnlySpan<byte> bytes)
    {
        if (offset < _start)
        {
            var before = (int)Math.Min(bytes.Length, _start - offset);
            RandomAccess.Write(file, bytes[..before], offset);
            offset += before;
            bytes = bytes[before..];
        }

        if (bytes.Length > 0) bytes.CopyTo(_buffer.AsSpan((int)(offset - _start)));
    }

    public void Finish()
    {
        Flush();
        RandomAccess.SetLength(file, _start);
    }

    private void Flush()
    {
        if (_used > 0) RandomAccess.Write(file, _buffer.AsSpan(0, _used), _start);
        _start += _used;
        _used = 0;
    }
}
