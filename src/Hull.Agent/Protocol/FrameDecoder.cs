using System.Buffers.Binary;
using Hull.Core;

namespace Hull.Agent.Protocol;

/// <summary>Puts frames together from whatever pieces a port delivers them in.</summary>
public sealed class FrameDecoder
{
    private byte[] _buffer = new byte[16 * 1024];
    private int _start;
    private int _end;

    /// <summary>Room for the next bytes; tell <see cref="Advance"/> how many came.</summary>
    public Memory<byte> GetBuffer()
    {
        if (_start > 0)
        {
            Buffer.BlockCopy(_buffer, _start, _buffer, 0, _end - _start);
            (_start, _end) = (0, _end - _start);
        }

        var needed = _end >= Frame.HeaderLength ? Frame.HeaderLength + PayloadLength() : Frame.HeaderLength;
        if (needed > _buffer.Length || _end == _buffer.Length) Array.Resize(ref _buffer, Math.Max(needed, _buffer.Length * 2));
        return _buffer.AsMemory(_end);
    }

    public void Advance(int count) => _end += count;

    /// <summary>
    /// The next whole frame; its payload is valid until <see cref="GetBuffer"/>. Throws
    /// <see cref="ErrorKind.DataCorrupted"/> where the bytes are no frames.
    /// </summary>
    public bool TryRead(out Frame frame)
    {
        frame = default;
        if (_end - _start < Frame.HeaderLength) return false;
        var length = PayloadLength();
        if (_end - _start - Frame.HeaderLength < length) return false;
        var header = _buffer.AsSpan(_start, Frame.HeaderLength);
        var kind = (FrameKind)header[4];
        if (kind is < FrameKind.Request or > FrameKind.Reset)
            throw HullException.Corrupted($"the agent protocol has no frame of kind {header[4]}");
        frame = new Frame(kind, BinaryPrimitives.ReadUInt16LittleEndian(header[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), _buffer.AsMemory(_start + Frame.HeaderLength, length));
        _start += Frame.HeaderLength + length;
        return true;
    }

    private int PayloadLength()
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_start));
        return length <= Frame.MaximumPayload
            ? (int)length
            : throw HullException.Corrupted($"a frame of the agent protocol claims {length} bytes");
    }
}
