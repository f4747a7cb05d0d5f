using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Hull.Linux.Netlink;

/// <summary>Walks the attributes of a netlink message. Anything malformed ends the walk: the kernel is trusted, a short read is not.</summary>
public ref struct NetlinkAttributes(ReadOnlySpan<byte> rest)
{
    private const ushort TypeMask = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
    private ReadOnlySpan<byte> rest = rest;

    /// <summary>Type of the attribute without its flag bits.</summary>
    public ushort Type { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    public readonly uint UInt32 => Value.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(Value) : 0;

    public readonly ushort UInt16NetworkOrder => Value.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(Value) : (ushort)0;

    public readonly uint UInt32NetworkOrder => Value.Length >= 4 ? BinaryPrimitives.ReadUInt32BigEndian(Value) : 0;

    public readonly string Text => Encoding.UTF8.GetString(Value.TrimEnd((byte)0));

    public readonly IPAddress? Address => Value.Length is 4 or 16 ? new IPAddress(Value) : null;

    public readonly NetlinkAttributes Nested => new(Value);

    public bool Next()
    {
        if (rest.Length < 4) return false;
        int size = BinaryPrimitives.ReadUInt16LittleEndian(rest);
        if (size < 4 || size > rest.Length) return false;
        Type = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]) & TypeMask);
        Value = rest[4..size];
        rest = rest[Math.Min((size + 3) & ~3, rest.Length)..];
        return true;
    }
}

/// <summary>Walks the messages of one received datagram.</summary>
public ref struct NetlinkMessages(ReadOnlySpan<byte> rest)
{
    private ReadOnlySpan<byte> rest = rest;

    public ushort Type { get; private set; }

    public ushort Flags { get; private set; }

    public uint Sequence { get; private set; }

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Payload { get; private set; }

    public bool Next()
    {
        if (rest.Length < 16) return false;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        if (size < 16 || size > rest.Length) return false;
        Type = BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]);
        Flags = BinaryPrimitives.ReadUInt16LittleEndian(rest[6..]);
        Sequence = BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]);
        Payload = rest[16..(int)size];
        rest = rest[(int)Math.Min((size + 3) & ~3u, (uint)rest.Length)..];
        return true;
    }
}
