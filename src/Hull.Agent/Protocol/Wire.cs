using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Agent.Protocol;

/// <summary>
/// Writes a payload: integers little-endian, texts and byte strings with a u32 length before them, lists with a
/// u32 count. Binary, because in an emulated guest every instruction of a parser is paid for tenfold.
/// </summary>
public sealed class WireWriter
{
    private byte[] _buffer = new byte[256];
    private int _length;

    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _length);

    public WireWriter U8(byte value)
    {
        Reserve(1)[0] = value;
        return this;
    }

    public WireWriter Flag(bool value) => U8(value ? (byte)1 : (byte)0);

    public WireWriter U32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(4), value);
        return this;
    }

    public WireWriter I64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Reserve(8), value);
        return this;
    }

    public WireWriter Bytes(ReadOnlySpan<byte> value)
    {
        U32((uint)value.Length);
        value.CopyTo(Reserve(value.Length));
        return this;
    }

    public WireWriter Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

    public WireWriter Texts(IReadOnlyList<string> values) => List(values, static (writer, text) => writer.Text(text));

    public WireWriter List<T>(IReadOnlyList<T> values, Action<WireWriter, T> write)
    {
        U32((uint)values.Count);
        foreach (var value in values) write(this, value);
        return this;
    }

    private Span<byte> Reserve(int count)
    {
        if (_buffer.Length - _length < count) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        var span = _buffer.AsSpan(_length, count);
        _length += count;
        return span;
    }
}

/// <summary>Reads what <see cref="WireWriter"/> wrote; a payload that is too short is <see cref="ErrorKind.DataCorrupted"/>.</summary>
public sealed class WireReader(ReadOnlyMemory<byte> payload)
{
    private int _position;

    public byte U8() => Take(1)[0];

    public bool Flag() => U8() != 0;

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public long I64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public byte[] Bytes() => Take(Length()).ToArray();

    public string Text() => Encoding.UTF8.GetString(Take(Length()));

    public List<string> Texts() => List(static reader => reader.Text());

    public List<T> List<T>(Func<WireReader, T> read)
    {
        var count = U32();
        // Every entry takes at least a byte: a count beyond what is left is a lie, not a reason to allocate.
        if (count > payload.Length - _position) throw TooShort();
        var values = new List<T>((int)count);
        for (var index = 0u; index < count; index++) values.Add(read(this));
        return values;
    }

    private int Length()
    {
        var length = U32();
        return length <= payload.Length - _position ? (int)length : throw TooShort();
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > payload.Length - _position) throw TooShort();
        var span = payload.Span.Slice(_position, count);
        _position += count;
        return span;
    }

    private static HullException TooShort() => HullException.Corrupted("a message of the agent protocol is cut short");
}
