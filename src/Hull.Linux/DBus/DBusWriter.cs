using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Linux.DBus;

/// <summary>Values in D-Bus's marshalling, little-endian (D-Bus specification, "Marshaling"): each starts at a multiple of its alignment.</summary>
internal sealed class DBusWriter
{
    private byte[] _buffer = new byte[256];

    internal int Length { get; private set; }

    internal ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, Length);

    internal DBusWriter Align(int size)
    {
        Reserve((size - (Length % size)) % size);
        return this;
    }

    internal DBusWriter Byte(byte value)
    {
        Reserve(1)[0] = value;
        return this;
    }

    internal DBusWriter UInt32(uint value)
    {
        Align(4);
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(4), value);
        return this;
    }

    internal DBusWriter UInt64(ulong value)
    {
        Align(8);
        BinaryPrimitives.WriteUInt64LittleEndian(Reserve(8), value);
        return this;
    }

    internal DBusWriter Boolean(bool value) => UInt32(value ? 1u : 0);

    internal DBusWriter Text(string value)
    {
        if (value.Contains('\0')) throw HullException.Invalid($"'{value.Replace("\0", "\\0")}' has a NUL, which no text of D-Bus may have");
        var count = Encoding.UTF8.GetByteCount(value);
        UInt32((uint)count);
        Encoding.UTF8.GetBytes(value, Reserve(count));
        return Byte(0);
    }

    internal DBusWriter Signature(string value)
    {
        Byte((byte)value.Length);
        Encoding.ASCII.GetBytes(value, Reserve(value.Length));
        return Byte(0);
    }

    /// <summary>An array: its size in bytes, which does not count the padding before the first element, and its elements.</summary>
    internal DBusWriter Array<T>(int alignment, IEnumerable<T> elements, Action<DBusWriter, T> write)
    {
        UInt32(0);
        var size = Length - sizeof(uint);
        Align(alignment);
        var first = Length;
        foreach (var element in elements) write(this, element);
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(size), (uint)(Length - first));
        return this;
    }

    internal DBusWriter Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        return this;
    }

    private Span<byte> Reserve(int count)
    {
        while (Length + count > _buffer.Length) System.Array.Resize(ref _buffer, _buffer.Length * 2);
        Length += count;
        return _buffer.AsSpan(Length - count, count);
    }
}
