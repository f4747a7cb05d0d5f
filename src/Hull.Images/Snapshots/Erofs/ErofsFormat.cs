using System.Buffers.Binary;
using System.Numerics;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// The on-disk structures of erofs as the kernel reads them (fs/erofs/erofs_fs.h; Documentation/filesystems/erofs.rst,
/// "On-disk details"). All numbers are little-endian.
/// </summary>
internal static class ErofsFormat
{
    public const int BlockBits = 12;
    public const int BlockSize = 1 << BlockBits;
    public const int SuperOffset = 1024;
    public const int SuperSize = 128;
    public const uint Magic = 0xE0F5E1E2;

    /// <summary>An inode number (nid) counts slots of this size from the start of the metadata area, here the start of the image.</summary>
    public const int SlotSize = 32;

    public const int CompactInodeSize = 32;
    public const int ExtendedInodeSize = 64;
    public const int DirentSize = 12;
    public const int XattrHeaderSize = 12;
    public const int XattrEntrySize = 4;

    public const uint CompatChecksum = 0x1;
    public const uint CompatMtime = 0x2;
    public const uint IncompatChunkedFile = 0x4;

    /// <summary>An entry of a chunk map that is a hole.</summary>
    public const uint NullBlock = 0xFFFFFFFF;

    public const int ChunkBitsMask = 0x1F;

    /// <summary>The root inode directly follows the superblock, where its number fits into the 16 bits there are for it.</summary>
    public const int RootOffset = SuperOffset + SuperSize;

    public static long BlocksFor(long size) => (size + BlockSize - 1) >> BlockBits;

    /// <summary>The kernel's new_encode_dev(): major and minor as one 32-bit number.</summary>
    public static uint EncodeDevice(uint major, uint minor) => (minor & 0xFF) | (major << 8) | ((minor & ~0xFFu) << 12);

    /// <summary>CRC-32C without the final inversion, as the kernel's crc32c() has it.</summary>
    public static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= 8; bytes = bytes[8..]) crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var b in bytes) crc = BitOperations.Crc32C(crc, b);
        return crc;
    }
}

/// <summary>How an inode's data is laid out (the data layouts of i_format).</summary>
internal enum ErofsLayout
{
    /// <summary>Consecutive blocks.</summary>
    Plain = 0,

    /// <summary>Consecutive blocks, and what is left over directly after the inode.</summary>
    Inline = 2,

    /// <summary>Chunks anywhere, with holes.</summary>
    Chunked = 4,
}

/// <summary>What an inode says, before it is encoded.</summary>
internal struct ErofsInode
{
    public LayerNodeType Type;
    public int Permissions;
    public uint UserId;
    public uint GroupId;
    public UnixTime ModifiedAt;
    public long Size;
    public uint LinkCount;
    public uint Number;
    public ErofsLayout Layout;

    /// <summary>First block, device number or chunk format, by type and layout.</summary>
    public uint Union;

    /// <summary>Bytes of extended attributes that follow the inode.</summary>
    public int XattrSize;

    private const int TypeShift = 12;

    /// <summary>Small enough for the short form, which has no time of its own: the image's, 1970, then holds.</summary>
    public readonly bool IsCompact => UserId <= ushort.MaxValue && GroupId <= ushort.MaxValue && LinkCount <= ushort.MaxValue
        && Size <= uint.MaxValue && ModifiedAt == default;

    public readonly int EncodedSize => IsCompact ? ErofsFormat.CompactInodeSize : ErofsFormat.ExtendedInodeSize;

    public readonly void Write(Span<byte> target)
    {
        var mode = (ushort)(ModeOf(Type) << TypeShift | (Permissions & 0xFFF));
        var xattrCount = XattrSize == 0 ? 0 : ((XattrSize - ErofsFormat.XattrHeaderSize) / ErofsFormat.XattrEntrySize) + 1;
        BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)((IsCompact ? 0 : 1) | ((int)Layout << 1)));
        BinaryPrimitives.WriteUInt16LittleEndian(target[2..], (ushort)xattrCount);
        BinaryPrimitives.WriteUInt16LittleEndian(target[4..], mode);
        BinaryPrimitives.WriteUInt32LittleEndian(target[16..], Union);
        BinaryPrimitives.WriteUInt32LittleEndian(target[20..], Number);
        if (IsCompact)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(target[6..], (ushort)LinkCount);
            BinaryPrimitives.WriteUInt32LittleEndian(target[8..], (uint)Size);
            BinaryPrimitives.WriteUInt16LittleEndian(target[24..], (ushort)UserId);
            BinaryPrimitives.WriteUInt16LittleEndian(target[26..], (ushort)GroupId);
            return;
        }

        BinaryPrimitives.WriteInt64LittleEndian(target[8..], Size);
        BinaryPrimitives.WriteUInt32LittleEndian(target[24..], UserId);
        BinaryPrimitives.WriteUInt32LittleEndian(target[28..], GroupId);
        BinaryPrimitives.WriteInt64LittleEndian(target[32..], ModifiedAt.Seconds);
        BinaryPrimitives.WriteInt32LittleEndian(target[40..], ModifiedAt.Nanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(target[44..], LinkCount);
    }

    /// <summary>Where the link count is inside an encoded inode, and how wide.</summary>
    public static (int Offset, int Size) LinkCountField(bool compact) => compact ? (6, 2) : (44, 4);

    private static int ModeOf(LayerNodeType type) => type switch
    {
        LayerNodeType.Fifo => 1,
        LayerNodeType.CharacterDevice => 2,
        LayerNodeType.Directory => 4,
        LayerNodeType.BlockDevice => 6,
        LayerNodeType.Regular => 8,
        LayerNodeType.SymbolicLink => 10,
        _ => 12,
    };
}
