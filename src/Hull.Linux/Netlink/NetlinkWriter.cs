using System.Buffers.Binary;
using System.Net;
using System.Text;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

/// <summary>
/// Writes netlink messages one after the other into one growing buffer, as netlink(7) lays them out: a header of
/// 16 bytes, a fixed part, then attributes, each aligned to 4 bytes. Integers are in the machine's order, which is
/// little-endian on every platform Hull is built for, unless a method says network order.
/// </summary>
public sealed class NetlinkWriter
{
    private byte[] buffer = new byte[2048];
    private int length;
    private int messageStart = -1;
    private uint nextSequence = 1;

    /// <summary>All finished messages.</summary>
    public ReadOnlySpan<byte> Written => buffer.AsSpan(0, length);

    /// <summary>Number of messages begun so far; the n-th has sequence number n.</summary>
    public int Count => (int)nextSequence - 1;

    public void Clear() => (length, nextSequence) = (0, 1);

    /// <summary>Begins a message; the one before is finished. Answers its sequence number.</summary>
    public uint Begin(ushort type, ushort flags)
    {
        Finish();
        messageStart = length;
        var header = Reserve(16);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], type);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], nextSequence);
        return nextSequence++;
    }

    /// <summary>Finishes the last message: its length is known now.</summary>
    public void Finish()
    {
        if (messageStart < 0) return;
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(messageStart), (uint)(length - messageStart));
        Align();
        messageStart = -1;
    }

    /// <summary>Zeroed room for a fixed structure, aligned to 4 bytes; valid until the next write.</summary>
    public Span<byte> Reserve(int count)
    {
        Align();
        Grow(count);
        var span = buffer.AsSpan(length, count);
        span.Clear();
        length += count;
        return span;
    }

    public void Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        var header = Reserve(4);
        BinaryPrimitives.WriteUInt16LittleEndian(header, checked((ushort)(4 + value.Length)));
        BinaryPrimitives.WriteUInt16LittleEndian(header[2..], type);
        Grow(value.Length);
        value.CopyTo(buffer.AsSpan(length));
        length += value.Length;
        Align();
    }

    public void Attribute(ushort type, byte value) => Attribute(type, [value]);

    public void Attribute(ushort type, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        Attribute(type, bytes);
    }

    public void Attribute(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Attribute(type, bytes);
    }

    public void Attribute(ushort type, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Attribute(type, bytes);
    }

    public void AttributeNetworkOrder(ushort type, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    public void AttributeNetworkOrder(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>A NUL-terminated string.</summary>
    public void Attribute(ushort type, string value)
    {
        Span<byte> bytes = stackalloc byte[Encoding.UTF8.GetMaxByteCount(value.Length) + 1];
        var count = Encoding.UTF8.GetBytes(value, bytes);
        bytes[count] = 0;
        Attribute(type, bytes[..(count + 1)]);
    }

    public void Attribute(ushort type, IPAddress value)
    {
        Span<byte> bytes = stackalloc byte[16];
        value.TryWriteBytes(bytes, out var count);
        Attribute(type, bytes[..count]);
    }

    /// <summary>Opens an attribute that holds attributes; the answer goes to <see cref="EndNested"/>.</summary>
    public int BeginNested(ushort type)
    {
        Align();
        var start = length;
        BinaryPrimitives.WriteUInt16LittleEndian(Reserve(4)[2..], (ushort)(type | Rtnetlink.NLA_F_NESTED));
        return start;
    }

    /// <summary>Closes what <see cref="BeginNested"/> opened; throws <see cref="OverflowException"/> beyond the 65,535 bytes an attribute can hold.</summary>
    public void EndNested(int start) =>
        BinaryPrimitives.WriteUInt16LittleEndian(buffer.AsSpan(start), checked((ushort)(length - start)));

    private void Align()
    {
        var padding = -length & 3;
        if (padding == 0) return;
        Grow(padding);
        buffer.AsSpan(length, padding).Clear();
        length += padding;
    }

    private void Grow(int count)
    {
        if (length + count > buffer.Length) Array.Resize(ref buffer, Math.Max(buffer.Length * 2, length + count));
    }
}
