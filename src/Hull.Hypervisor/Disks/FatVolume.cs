using System.Buffers.Binary;
using System.Text;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// Builds a FAT16 file system with long names (Microsoft FAT specification, version 1.03): what firmware reads an EFI
/// system partition from, and cloud-init a seed. Times are fixed and the serial number is the caller's, so the same
/// files give the same bytes. Contents are held in memory until <see cref="WriteTo"/>.
/// </summary>
public sealed class FatVolume
{
    private const int SectorSize = 512;
    private const int EntrySize = 32;
    private const int RootEntries = 512;
    private const int MinimumClusters = 4085;
    private const int MaximumClusters = 65524;
    private const ushort LastCluster = 0xFFFF;

    private readonly byte[] _label;
    private readonly uint _serial;
    private readonly long _sectors;
    private readonly int _sectorsPerCluster;
    private readonly int _fatSectors;
    private readonly FatDirectory _root = new();

    /// <param name="label">At most 11 ASCII characters.</param>
    /// <param name="bytes">Size of the volume: a multiple of 512, from 4 MiB to 2 GiB.</param>
    /// <param name="serial">Volume serial number.</param>
    public FatVolume(string label, long bytes, uint serial)
    {
        if (label.Length is 0 or > 11 || !Ascii.IsValid(label)) throw HullException.Invalid($"invalid volume label '{label}'");
        _label = Encoding.ASCII.GetBytes(label.PadRight(11));
        _serial = serial;
        _sectors = bytes / SectorSize;
        _sectorsPerCluster = 1;
        while (_sectors / _sectorsPerCluster > MaximumClusters) _sectorsPerCluster *= 2;
        _fatSectors = (int)(((_sectors / _sectorsPerCluster + 2) * 2 + SectorSize - 1) / SectorSize);
        if (bytes % SectorSize != 0 || _sectorsPerCluster > 64 || Clusters < MinimumClusters)
            throw HullException.Invalid($"a FAT16 volume cannot have {bytes} bytes: give it 4 MiB to 2 GiB");
    }

    private int DataStart => 1 + 2 * _fatSectors + RootEntries * EntrySize / SectorSize;

    private long Clusters => (_sectors - DataStart) / _sectorsPerCluster;

    private int ClusterSize => _sectorsPerCluster * SectorSize;

    /// <summary>Adds a file, and the directories on its path.</summary>
    public void AddFile(string path, byte[] content)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var directory = _root;
        foreach (var part in parts[..^1]) directory = directory.Descend(part);
        directory.Files.Add(parts[^1], content);
    }

    /// <summary>Writes the whole volume at the stream's position; the stream must be able to seek.</summary>
    public void WriteTo(Stream output)
    {
        var start = output.Position;
        var fat = new List<ushort> { 0xFFF8, LastCluster };
        var label = new byte[EntrySize];
        _label.CopyTo(label, 0);
        label[11] = 0x08; // ATTR_VOLUME_ID
        var root = Directory(_root, output, start, fat, parentCluster: 0, ownCluster: 0, first: label);
        if (root.Length > RootEntries * EntrySize) throw HullException.Invalid("too many files in the root of the FAT volume");

        var table = new byte[_fatSectors * SectorSize];
        for (var i = 0; i < fat.Count; i++) BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan(i * 2), fat[i]);
        output.Position = start;
        output.Write(BootSector());
        output.Write(table);
        output.Write(table);
        output.Write(root);
        if (output.Length < start + _sectors * SectorSize) output.SetLength(start + _sectors * SectorSize);
    }

    private byte[] BootSector()
    {
        var sector = new byte[SectorSize];
        new byte[] { 0xEB, 0x3C, 0x90 }.CopyTo(sector, 0);
        "HULL    "u8.CopyTo(sector.AsSpan(3));
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(11), SectorSize);
        sector[13] = (byte)_sectorsPerCluster;
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(14), 1); // reserved sectors: this one
        sector[16] = 2; // FATs
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(17), RootEntries);
        if (_sectors < 0x10000) BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(19), (ushort)_sectors);
        else BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(32), (uint)_sectors);
        sector[21] = 0xF8; // fixed disk
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(22), (ushort)_fatSectors);
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(24), 63);
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(26), 255);
        sector[36] = 0x80;
        sector[38] = 0x29; // the next three fields are there
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(39), _serial);
        _label.CopyTo(sector, 43);
        "FAT16   "u8.CopyTo(sector.AsSpan(54));
        sector[510] = 0x55;
        sector[511] = 0xAA;
        return sector;
    }

    /// <summary>Writes what a directory holds and returns the directory's own entries.</summary>
    private byte[] Directory(FatDirectory directory, Stream output, long start, List<ushort> fat, ushort parentCluster,
        ushort ownCluster, byte[]? first)
    {
        using var entries = new MemoryStream();
        if (first is not null) entries.Write(first);
        else
        {
            entries.Write(FatName.Entry(".          "u8, 0x10, ownCluster, 0));
            entries.Write(FatName.Entry("..         "u8, 0x10, parentCluster, 0));
        }

        var names = new FatName();
        foreach (var (name, child) in directory.Directories)
        {
            // A child's entries name its own cluster, so that comes first; its length depends on names alone.
            var length = 2 * EntrySize + child.EntryCount * EntrySize;
            var cluster = Allocate(fat, length);
            var bytes = Directory(child, output, start, fat, ownCluster, cluster, first: null);
            WriteClusters(output, start, cluster, bytes);
            entries.Write(names.Entries(name, 0x10, cluster, 0));
        }

        foreach (var (name, content) in directory.Files)
        {
            var cluster = content.Length == 0 ? (ushort)0 : Allocate(fat, content.Length);
            if (cluster != 0) WriteClusters(output, start, cluster, content);
            entries.Write(names.Entries(name, 0x20, cluster, (uint)content.Length));
        }

        return entries.ToArray();
    }

    /// <summary>Takes a run of clusters: files are written once, so every chain is contiguous.</summary>
    private ushort Allocate(List<ushort> fat, int bytes)
    {
        var first = fat.Count;
        var count = Math.Max(1, (bytes + ClusterSize - 1) / ClusterSize);
        if (first + count > Clusters + 2)
            throw new HullException(ErrorKind.ResourceExhausted, $"the FAT volume of {_sectors * SectorSize} bytes is full");
        for (var i = 1; i < count; i++) fat.Add((ushort)(first + i));
        fat.Add(LastCluster);
        return (ushort)first;
    }

    private void WriteClusters(Stream output, long start, ushort cluster, byte[] content)
    {
        output.Position = start + (DataStart + (long)(cluster - 2) * _sectorsPerCluster) * SectorSize;
        output.Write(content);
        var excess = content.Length % ClusterSize;
        if (excess != 0) output.Write(new byte[ClusterSize - excess]);
    }

    private sealed class FatDirectory
    {
        public SortedDictionary<string, FatDirectory> Directories { get; } = new(StringComparer.OrdinalIgnoreCase);

        public SortedDictionary<string, byte[]> Files { get; } = new(StringComparer.OrdinalIgnoreCase);

        public int EntryCount => Directories.Keys.Concat(Files.Keys).Sum(FatName.EntryCount);

        public FatDirectory Descend(string name)
        {
            if (!Directories.TryGetValue(name, out var child)) Directories.Add(name, child = new FatDirectory());
            return child;
        }
    }
}
