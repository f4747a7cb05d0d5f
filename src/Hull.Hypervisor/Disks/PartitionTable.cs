using System.Buffers.Binary;
using System.Text;

namespace Hull.Hypervisor.Disks;

/// <summary>One partition of a GPT disk.</summary>
/// <param name="Name">At most 36 characters.</param>
/// <param name="Type">Partition type GUID.</param>
/// <param name="Id">GUID of this partition.</param>
/// <param name="FirstSector">First sector of 512 bytes.</param>
/// <param name="Sectors">Length in sectors.</param>
public sealed record Partition(string Name, Guid Type, Guid Id, long FirstSector, long Sectors);

/// <summary>
/// Writes a GUID partition table with its protective MBR and its backup at the end of the disk
/// (UEFI specification 2.10, section 5.3). The same arguments give the same bytes.
/// </summary>
public sealed class PartitionTable
{
    public const int SectorSize = 512;

    /// <summary>Where the first partition may begin; 1 MiB keeps every partition aligned for any disk.</summary>
    public const long FirstUsableSector = 2048;

    public static readonly Guid EfiSystem = new("C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    public static readonly Guid BiosBoot = new("21686148-6449-6E6F-744E-656564454649");
    public static readonly Guid LinuxRootX64 = new("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709");

    private const int EntryCount = 128;
    private const int EntrySize = 128;
    private const int EntrySectors = EntryCount * EntrySize / SectorSize;
    private const int HeaderSize = 92;

    private readonly Guid _disk;
    private readonly long _sectors;
    private readonly IReadOnlyList<Partition> _partitions;

    public PartitionTable(Guid disk, long diskBytes, IReadOnlyList<Partition> partitions)
    {
        if (diskBytes % SectorSize != 0) throw HullException.Invalid($"disk size {diskBytes} is not a multiple of {SectorSize} bytes");
        (_disk, _sectors, _partitions) = (disk, diskBytes / SectorSize, partitions);
        var previousEnd = FirstUsableSector;
        foreach (var partition in partitions.OrderBy(partition => partition.FirstSector))
        {
            if (partition.FirstSector < previousEnd)
                throw HullException.Invalid($"partition '{partition.Name}' overlaps what stands before it");
            previousEnd = partition.FirstSector + partition.Sectors;
        }

        if (previousEnd > LastUsableSector + 1)
            throw HullException.Invalid($"the partitions need {previousEnd} sectors and the disk has {_sectors}");
    }

    private long LastUsableSector => _sectors - EntrySectors - 2;

    /// <summary>Writes both copies into a disk that already has its length. Other sectors stay as they are.</summary>
    public void WriteTo(Stream disk)
    {
        var entries = Entries();
        Write(disk, 0, ProtectiveMbr());
        Write(disk, 1, Header(current: 1, other: _sectors - 1, entriesAt: 2, entries));
        Write(disk, 2, entries);
        Write(disk, _sectors - 1 - EntrySectors, entries);
        Write(disk, _sectors - 1, Header(current: _sectors - 1, other: 1, entriesAt: _sectors - 1 - EntrySectors, entries));
    }

    private static void Write(Stream disk, long sector, ReadOnlySpan<byte> bytes)
    {
        disk.Position = sector * SectorSize;
        disk.Write(bytes);
    }

    private byte[] ProtectiveMbr()
    {
        var sector = new byte[SectorSize];
        var entry = sector.AsSpan(446, 16);
        entry[2] = 0x02; // CHS 0/0/2: the sector after this one
        entry[4] = 0xEE; // type: GPT protective
        entry[5] = entry[6] = entry[7] = 0xFF;
        BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], (uint)Math.Min(_sectors - 1, uint.MaxValue));
        sector[510] = 0x55;
        sector[511] = 0xAA;
        return sector;
    }

    private byte[] Entries()
    {
        var table = new byte[EntryCount * EntrySize];
        for (var i = 0; i < _partitions.Count; i++)
        {
            var partition = _partitions[i];
            var entry = table.AsSpan(i * EntrySize, EntrySize);
            partition.Type.TryWriteBytes(entry);
            partition.Id.TryWriteBytes(entry[16..]);
            BinaryPrimitives.WriteInt64LittleEndian(entry[32..], partition.FirstSector);
            BinaryPrimitives.WriteInt64LittleEndian(entry[40..], partition.FirstSector + partition.Sectors - 1);
            Encoding.Unicode.GetBytes(partition.Name, entry[56..]);
        }

        return table;
    }

    private byte[] Header(long current, long other, long entriesAt, byte[] entries)
    {
        var sector = new byte[SectorSize];
        var header = sector.AsSpan(0, HeaderSize);
        "EFI PART"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], 0x00010000);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], HeaderSize);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], current);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], other);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], FirstUsableSector);
        BinaryPrimitives.WriteInt64LittleEndian(header[48..], LastUsableSector);
        _disk.TryWriteBytes(header[56..]);
        BinaryPrimitives.WriteInt64LittleEndian(header[72..], entriesAt);
        BinaryPrimitives.WriteUInt32LittleEndian(header[80..], EntryCount);
        BinaryPrimitives.WriteUInt32LittleEndian(header[84..], EntrySize);
        BinaryPrimitives.WriteUInt32LittleEndian(header[88..], Crc32.Of(entries));
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Crc32.Of(header));
        return sector;
    }
}
