using System.Globalization;
using System.Text;
using Hull.Agent.Protocol;
using Hull.Linux.Abi;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// The layers of an image as one read-only disk: a VMDK descriptor of flat extents, one per layer file, which QEMU
/// joins without copying. The guest is told where in the disk each layer lies.
/// </summary>
public sealed class LayerDisk
{
    private const int SectorSize = 512;

    private readonly IReadOnlyList<string> _files;
    private readonly string _descriptorPath;

    /// <param name="descriptorPath">Where the descriptor is written for each machine.</param>
    /// <param name="layerFiles">Lowest first; whole numbers of sectors, as erofs images are.</param>
    public LayerDisk(string descriptorPath, IReadOnlyList<string> layerFiles)
    {
        (_descriptorPath, _files) = (descriptorPath, layerFiles);
        var extents = new List<DiskExtent>();
        var offset = 0L;
        foreach (var file in layerFiles)
        {
            var length = new FileInfo(file).Length;
            if (length == 0 || length % SectorSize != 0)
                throw HullException.Corrupted($"layer file {file} has {length} bytes, which is no whole number of sectors");
            extents.Add(new DiskExtent(offset, length));
            offset += length;
        }

        Extents = extents;
    }

    /// <summary>Where the layers are in the disk, in the order they were given.</summary>
    public IReadOnlyList<DiskExtent> Extents { get; }

    /// <summary>The file, where there is but one layer: it is the disk then, as it is.</summary>
    public string? Single => _files.Count == 1 ? _files[0] : null;

    /// <summary>Opens the layers for a monitor, which so needs no right to the files, and answers the disk.</summary>
    public ImageDisk Open(DescriptorTable descriptors)
    {
        if (Single is { } single) return new ImageDisk(descriptors.OpenFile(single, Fcntl.O_RDONLY), "raw", ReadOnly: true);
        var lines = new StringBuilder();
        for (var index = 0; index < _files.Count; index++)
        {
            var name = descriptors.OpenFile(_files[index], Fcntl.O_RDONLY);
            // QEMU passes over extents that are not RW; the node is opened read-only, and its files with it.
            lines.Append(CultureInfo.InvariantCulture, $"RW {Extents[index].Length / SectorSize} FLAT \"{name}\" 0\n");
        }

        AtomicFile.Write(_descriptorPath, Encoding.ASCII.GetBytes(DescriptorOf(lines.ToString())), durable: false);
        return new ImageDisk(descriptors.OpenFile(_descriptorPath, Fcntl.O_RDONLY), "vmdk", ReadOnly: true);
    }

    /// <summary>VMware Virtual Disk Format 1.1, "The Descriptor File".</summary>
    private string DescriptorOf(string extents)
    {
        var sectors = Extents.Sum(extent => extent.Length) / SectorSize;
        return "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n\n" +
            $"# Extent description\n{extents}\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n" +
            string.Create(CultureInfo.InvariantCulture, $"ddb.geometry.cylinders = \"{sectors / 1008 + 1}\"\n") +
            "ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\nddb.virtualHWVersion = \"4\"\n";
    }
}
