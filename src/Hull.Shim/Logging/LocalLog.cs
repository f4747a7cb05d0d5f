using System.Buffers.Binary;
using System.Text;
using Hull.Linux.Syscalls;

namespace Hull.Shim.Logging;

/// <summary>
/// A compact binary format that keeps every byte: 32-bit length of what follows without the trailer, 64-bit
/// nanoseconds since 1970, a stream byte, the bytes, and the length again so that it can be read from the end.
/// All little-endian.
/// </summary>
internal sealed class LocalLog(RotatedFile file) : LogSink
{
    private byte[] _buffer = new byte[4096];
    private int _length;
    private long _now;

    public override void Dispose() => file.Dispose();

    protected override void Begin() => _now = ClockCalls.RealTime();

    protected override void Entry(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        var size = 17 + bytes.Length;
        if (_buffer.Length - _length < size) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + size));
        WriteRecord(_buffer.AsSpan(_length), stream, bytes);
        _length += size;
        if (_length > 256 * 1024) Commit();
    }

    protected override void Commit()
    {
        if (_length == 0) return;
        if (file.LostBytes > 0 && file.Append(LossNote())) file.ForgetLoss();
        file.Append(_buffer.AsSpan(0, _length));
        _length = 0;
        if (_buffer.Length > 64 * 1024) _buffer = new byte[4096];
    }

    private byte[] LossNote()
    {
        var text = Encoding.UTF8.GetBytes($"hull: {file.LostBytes} bytes of log were lost, the disk was full\n");
        var record = new byte[text.Length + 17];
        WriteRecord(record, LogStream.Error, text);
        return record;
    }

    private void WriteRecord(Span<byte> record, LogStream stream, ReadOnlySpan<byte> bytes)
    {
        var size = 9 + bytes.Length;
        BinaryPrimitives.WriteInt32LittleEndian(record, size);
        BinaryPrimitives.WriteInt64LittleEndian(record[4..], _now);
        record[12] = (byte)stream;
        bytes.CopyTo(record[13..]);
        BinaryPrimitives.WriteInt32LittleEndian(record[(4 + size)..], size);
    }
}
