using System.Text;
using Hull.Core;

namespace Hull.Runtime.Checkpoints;

/// <summary>Writes the fields of one message in the protocol buffers' wire format (protobuf.dev, "Encoding").</summary>
internal sealed class ProtocolBufferWriter
{
    private const int Varint = 0;
    private const int LengthDelimited = 2;
    private readonly List<byte> _bytes = [];

    internal byte[] ToArray() => [.. _bytes];

    internal ProtocolBufferWriter Number(int field, long value)
    {
        AddVarint((ulong)((field << 3) | Varint));
        AddVarint((ulong)value);
        return this;
    }

    /// <summary>A field that is left out where it is not set.</summary>
    internal ProtocolBufferWriter Flag(int field, bool value) => value ? Number(field, 1) : this;

    /// <inheritdoc cref="Flag"/>
    internal ProtocolBufferWriter Text(int field, string? value) => value is null ? this : Bytes(field, Encoding.UTF8.GetBytes(value));

    internal ProtocolBufferWriter Message(int field, ProtocolBufferWriter message) => Bytes(field, message._bytes.ToArray());

    private ProtocolBufferWriter Bytes(int field, byte[] bytes)
    {
        AddVarint((ulong)((field << 3) | LengthDelimited));
        AddVarint((ulong)bytes.Length);
        _bytes.AddRange(bytes);
        return this;
    }

    private void AddVarint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) _bytes.Add((byte)(value | 0x80));
        _bytes.Add((byte)value);
    }
}

/// <summary>Reads the fields of one message, one after the other. Throws <see cref="ErrorKind.DataCorrupted"/> for what is none.</summary>
internal ref struct ProtocolBufferReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>The current field's number.</summary>
    internal int Field { get; private set; }

    /// <summary>Its value, where it is a number.</summary>
    internal long Number { get; private set; }

    /// <summary>Its value, where it is text, bytes or a message.</summary>
    internal ReadOnlySpan<byte> Bytes { get; private set; }

    internal readonly string Text => Encoding.UTF8.GetString(Bytes);

    internal bool Next()
    {
        if (_rest.IsEmpty) return false;
        var tag = Varint();
        Field = (int)(tag >> 3);
        Number = 0;
        Bytes = default;
        switch (tag & 7)
        {
            case 0:
                Number = (long)Varint();
                return true;
            case 1:
                Bytes = Take(8);
                return true;
            case 2:
                Bytes = Take(Varint());
                return true;
            case 5:
                Bytes = Take(4);
                return true;
            default:
                throw Broken();
        }
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }

        throw Broken();
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length) throw Broken();
        var taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    private static HullException Broken() => HullException.Corrupted("criu answered with what is no message of its protocol");
}
