namespace Hull.Hypervisor.Qemu;

/// <summary>The properties of single devices and their backends, used on the command line and in hot-plug alike.</summary>
public static class QemuDevices
{
    /// <summary>Disks of a machine whose bus is a controller's are numbered by it; ids are Hull's.</summary>
    public static QemuProperties Disk(DiskConfig disk, string node, string? bus = null)
    {
        var device = new QemuProperties().Add("driver", disk.Bus switch
        {
            DiskBus.Virtio => "virtio-blk-pci",
            DiskBus.Scsi => "scsi-hd",
            DiskBus.Sata => "ide-hd",
            DiskBus.CdRom => "ide-cd",
            DiskBus.ScsiCdRom => "scsi-cd",
            _ => throw HullException.Invalid($"disk '{disk.Id}' has an unknown bus"),
        }).Add("id", disk.Id).Add("drive", node);
        if (disk.Bus == DiskBus.Virtio) device.Add("num-queues", 1);
        if (disk.Bus is DiskBus.Scsi or DiskBus.ScsiCdRom) device.Add("bus", "scsi0.0");
        return device.AddOptional("serial", disk.Serial).AddOptional("bootindex", disk.BootIndex).AddOptional("bus", bus);
    }

    /// <summary>The block node that holds a disk's bytes.</summary>
    public static QemuProperties BlockNode(string name, DiskBackend backend) => backend switch
    {
        PlaceholderDisk disk => new QemuProperties().Add("driver", "null-co").Add("node-name", name)
            .Add("size", disk.Bytes).Add("read-zeroes", true).Add("read-only", disk.ReadOnly),
        ImageDisk image => Image(new QemuProperties().Add("driver", image.Format).Add("node-name", name), image),
        _ => throw HullException.Unsupported($"qemu has no block driver for {backend.GetType().Name}"),
    };

    private static QemuProperties Image(QemuProperties node, ImageDisk image)
    {
        node.Add("read-only", image.ReadOnly)
            .Add("discard", image.Discard && !image.ReadOnly ? "unmap" : "ignore")
            .Add("file", FileNode(image));
        if (image.Backing is { } below) return node.Add("backing", Image(new QemuProperties().Add("driver", below.Format), below with { ReadOnly = true }));
        return image is { IsWhole: true, Format: "qcow2" } ? node.AddNull("backing") : node;
    }

    public static QemuProperties Nic(NicConfig nic, string? bus = null)
    {
        var device = new QemuProperties().Add("driver", nic.Model).Add("id", nic.Id).Add("netdev", "net-" + nic.Id)
            .Add("mac", nic.MacAddress).AddOptional("bus", bus);
        // No option ROM: nothing of ours boots from the network, and a ROM is memory in every saved state.
        return nic.Model == "virtio-net-pci" ? device.Add("romfile", "") : device;
    }

    public static QemuProperties Netdev(NicConfig nic) => nic.Backend switch
    {
        TapNic tap => new QemuProperties().Add("type", "tap").Add("id", "net-" + nic.Id).Add("fd", $"{tap.Descriptor}")
            .Add("vhost", false),
        NamedTapNic tap => new QemuProperties().Add("type", "tap").Add("id", "net-" + nic.Id).Add("ifname", tap.Interface)
            .Add("script", "no").Add("downscript", "no").Add("vhost", false),
        PassedTapNic => new QemuProperties().Add("type", "tap").Add("id", "net-" + nic.Id).Add("fd", PassedName(nic.Id)).Add("vhost", false),
        // A hub with nothing else on it has no state of its own, so that what was saved with it loads with a tap in its place.
        UnconnectedNic => new QemuProperties().Add("type", "hubport").Add("id", "net-" + nic.Id).Add("hubid", HubNumber(nic.Id)),
        _ => throw HullException.Unsupported($"qemu has no network backend for {nic.Backend.GetType().Name}"),
    };

    /// <summary>The name under which a tap that is passed to a running monitor is known there.</summary>
    public static string PassedName(string nicId) => "tap-" + nicId;

    /// <summary>A hub for each NIC: two on one would be connected to each other.</summary>
    private static int HubNumber(string nicId) => (int)(Disks.Crc32.Of(System.Text.Encoding.UTF8.GetBytes(nicId)) & int.MaxValue);

    public static QemuProperties HotplugSlot(int slot) => new QemuProperties().Add("driver", "pcie-root-port")
        .Add("id", SlotName(slot)).Add("chassis", slot + 1).Add("slot", slot + 1);

    public static string SlotName(int slot) => $"slot{slot}";

    /// <summary>The node name of a disk's medium; <paramref name="generation"/> counts exchanges.</summary>
    public static string NodeName(string diskId, int generation = 0) =>
        generation == 0 ? "disk-" + diskId : $"disk-{diskId}-{generation}";

    /// <summary>A character device in its textual form; QEMU 7.2 has no other.</summary>
    public static string Chardev(string id, ChannelBackend backend) => backend switch
    {
        DescriptorChannel channel => $"socket,id={id},fd={channel.Descriptor}",
        SocketChannel channel => $"socket,id={id},server=on,wait=off,path={Escape(channel.Path)}",
        FileChannel file => $"file,id={id},append=on,path={Escape(file.Path)}",
        NullChannel => $"null,id={id}",
        _ => throw HullException.Unsupported($"qemu has no channel for {backend.GetType().Name}"),
    };

    public static string ClientChardev(string id, string socket) => $"socket,id={id},path={Escape(socket)}";

    private static QemuProperties FileNode(ImageDisk image) => new QemuProperties().Add("driver", "file")
        .Add("filename", image.Path)
        // Locks are advisory and per open file; read-only layers are shared by every machine and need none.
        .Add("locking", image.ReadOnly ? "off" : "auto");

    private static string Escape(string value) => value.Replace(",", ",,", StringComparison.Ordinal);
}
