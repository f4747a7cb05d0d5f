using System.Globalization;
using System.Text;
using Hull.Agent.Protocol;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// The layers of an image as one read-only disk: a VMDK descriptor of flat extents, one per layer file, which QEMU
/// joins without copying. The guest is told where in the disk each layer lies.
/// </summary>
/// <param name="DescriptorPath">The descriptor file.</param>
/// <param name="Extents">Where the layers are in the disk, in the order they were given.</param>
public sealed record LayerDisk(string DescriptorPath, IReadOnlyList<DiskExtent> Extents)
{
    private const int SectorSize = 512;

    /// <summary>The disk as a machine's backend.</summary>
    public ImageDisk Backend => new(DescriptorPath, "vmdk", ReadOnly: true);

    /// <summary>Writes the descriptor at <paramref name="path"/>. The files must be whole numbers of sectors, as erofs images are.</summary>
    public static LayerDisk Write(string path, IReadOnlyList<string> layerFiles)
    {
        var extents = new List<DiskExtent>();
        var lines = new StringBuilder();
        var offset = 0L;
        foreach (var file in layerFiles)
        {
            var length = new FileInfo(file).Length;
            if (length == 0 || length % SectorSize != 0)
                throw HullException.Corrupted($"layer file {file} has {length} bytes, which is no whole number of sectors");
            if (file.AsSpan().ContainsAny("\"\n\r"))
                throw HullException.Invalid($"layer file '{file}' has a name that cannot be written in a disk descriptor");
            // QEMU passes over extents that are not RW; the node is opened read-only, and its files with it.
            lines.Append(CultureInfo.InvariantCulture, $"RW {length / SectorSize} FLAT \"{file}\" 0\n");
            extents.Add(new DiskExtent(offset, length));
            offset += length;
        }

        // VMware Virtual Disk Format 1.1, "The Descriptor File".
        var text = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n\n" +
            $"# Extent description\n{lines}\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n" +
            string.Create(CultureInfo.InvariantCulture, $"ddb.geometry.cylinders = \"{offset / SectorSize / 1008 + 1}\"\n") +
            "ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\nddb.virtualHWVersion = \"4\"\n";
        AtomicFile.Write(path, Encoding.UTF8.GetBytes(text), durable: false);
        return new LayerDisk(path, extents);
    }
}
