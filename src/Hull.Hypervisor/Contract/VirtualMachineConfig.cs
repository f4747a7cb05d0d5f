using Hull.Linux;

namespace Hull.Hypervisor;

/// <summary>
/// What a virtual machine consists of, independent of the program that runs it. Two machines whose configs
/// differ only in <see cref="Id"/>, in the backends of disks, NICs and channels, and in the placement of RAM
/// have the same <em>shape</em>: the saved state of one can be loaded by the other.
/// </summary>
public sealed record VirtualMachineConfig
{
    /// <summary>Name of the machine in process lists and messages.</summary>
    public required string Id { get; init; }

    /// <summary>Architecture in Go's words: <c>amd64</c> or <c>arm64</c>.</summary>
    public string Architecture { get; init; } = "amd64";

    /// <summary>Processor model; <c>max</c> is everything the accelerator can give, <c>host</c> needs KVM.</summary>
    public string CpuModel { get; init; } = "max";

    /// <summary>Processors at start.</summary>
    public int Processors { get; init; } = 1;

    /// <summary>Processors that can be plugged in up to; no fewer than <see cref="Processors"/>.</summary>
    public int MaximumProcessors { get; init; } = 1;

    /// <summary>RAM at start, bytes.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>RAM that can be reached by plugging, bytes; 0 means none can be plugged.</summary>
    public long MaximumMemoryBytes { get; init; }

    public MemoryPlacement Memory { get; init; } = new AnonymousMemory();

    public required BootSource Boot { get; init; }

    public IReadOnlyList<DiskConfig> Disks { get; init; } = [];

    public IReadOnlyList<NicConfig> Nics { get; init; } = [];

    /// <summary>Byte channels between host and guest, seen in the guest as virtio-serial ports.</summary>
    public IReadOnlyList<ChannelConfig> Channels { get; init; } = [];

    /// <summary>Host directories the guest may mount by tag; a machine with one cannot be saved or cloned.</summary>
    public IReadOnlyList<SharedDirectory> SharedDirectories { get; init; } = [];

    /// <summary>Where the first serial port leads; null where the machine has none.</summary>
    public ChannelBackend? Serial { get; init; }

    /// <summary>A balloon device, by which unused guest memory returns to the host.</summary>
    public bool Balloon { get; init; } = true;

    /// <summary>Empty slots into which disks and NICs can be plugged while the machine runs.</summary>
    public int HotplugSlots { get; init; }

    /// <summary>Unix socket on which the screen is served by VNC; null means no display device.</summary>
    public string? VncSocket { get; init; }

    /// <summary>Connection to a TPM emulator; null where the machine has no TPM.</summary>
    public DescriptorChannel? Tpm { get; init; }

    /// <summary>Whether the machine waits for a saved state instead of booting.</summary>
    public bool Incoming { get; init; }
}

/// <summary>Where the RAM of a machine lives on the host.</summary>
public abstract record MemoryPlacement;

/// <summary>RAM of the monitor process alone.</summary>
public sealed record AnonymousMemory : MemoryPlacement;

/// <summary>
/// RAM in a file. Shared, the file is the machine's memory; private, it is what memory holds at first and
/// writes stay in the monitor process, so that any number of machines begin from the same pages.
/// </summary>
/// <param name="Path">The file as the monitor process sees it; may be a descriptor under /proc/self/fd.</param>
public sealed record FileMemory(string Path, bool Shared) : MemoryPlacement;

/// <summary>How a machine comes up.</summary>
public abstract record BootSource;

/// <summary>A Linux kernel that the monitor loads itself.</summary>
public sealed record KernelBoot(string Kernel, string? Initrd, string CommandLine) : BootSource;

/// <summary>The machine's own firmware, which looks for a system on its disks and NICs.</summary>
/// <param name="Code">UEFI code image, read-only; null means the built-in BIOS.</param>
/// <param name="Variables">UEFI variable store of this machine, writable.</param>
public sealed record FirmwareBoot(string? Code = null, string? Variables = null) : BootSource;

public enum DiskBus
{
    Virtio,
    Scsi,
    Sata,
    CdRom,

    /// <summary>A CD-ROM on the SCSI bus, for machines without SATA.</summary>
    ScsiCdRom,
}

/// <summary>A disk of a machine.</summary>
/// <param name="Id">Device id, unique in the machine; lower-case letters, digits and dashes.</param>
/// <param name="Backend">What holds its bytes.</param>
/// <param name="Serial">Serial number by which the guest recognises it; at most 20 bytes.</param>
/// <param name="BootIndex">Position in the firmware's boot order, from 0; null is not booted from.</param>
/// <param name="Slot">The hot-plug slot it is plugged into, from 0; null places it among the devices of the start.</param>
public sealed record DiskConfig(string Id, DiskBackend Backend, DiskBus Bus = DiskBus.Virtio,
    string? Serial = null, int? BootIndex = null, int? Slot = null);

/// <summary>What holds the bytes of a disk.</summary>
public abstract record DiskBackend(bool ReadOnly);

/// <summary>A disk of zeros that keeps a place for one that is put in later.</summary>
public sealed record PlaceholderDisk(long Bytes, bool ReadOnly) : DiskBackend(ReadOnly);

/// <summary>An image file in one of the formats <c>raw</c>, <c>qcow2</c>, <c>vmdk</c>, <c>vdi</c>, <c>vhdx</c>.</summary>
/// <param name="Discard">Whether blocks the guest discards are freed in the file.</param>
public sealed record ImageDisk(string Path, string Format, bool ReadOnly, bool Discard = true) : DiskBackend(ReadOnly)
{
    /// <summary>The image below, where this one is an overlay. What the file itself says of it is not followed then.</summary>
    public ImageDisk? Backing { get; init; }

    /// <summary>There is no image below, whatever the file says.</summary>
    public bool IsWhole { get; init; }
}

/// <summary>A network device of a machine.</summary>
/// <param name="Id">Device id, unique in the machine.</param>
/// <param name="MacAddress">In the form <c>02:00:00:00:00:01</c>.</param>
/// <param name="Slot">The hot-plug slot it is plugged into, from 0; null places it among the devices of the start.</param>
public sealed record NicConfig(string Id, string MacAddress, NicBackend Backend, string Model = "virtio-net-pci", int? Slot = null);

/// <summary>What a NIC is connected to.</summary>
public abstract record NicBackend;

/// <summary>An open tap device, passed to the monitor as a descriptor.</summary>
public sealed record TapNic(int Descriptor) : NicBackend;

/// <summary>A tap device by name, which the monitor opens itself.</summary>
public sealed record NamedTapNic(string Interface) : NicBackend;

/// <summary>An open tap device that is handed to a monitor which runs already.</summary>
public sealed record PassedTapNic(SafeFd Tap) : NicBackend;

/// <summary>Connected to nothing.</summary>
public sealed record UnconnectedNic : NicBackend;

/// <summary>A virtio-serial port.</summary>
/// <param name="Name">Name of the port in the guest, under /sys/class/virtio-ports/*/name.</param>
public sealed record ChannelConfig(string Id, string Name, ChannelBackend Backend);

/// <summary>Where a byte channel leads on the host.</summary>
public abstract record ChannelBackend;

/// <summary>A connected stream socket, passed to the monitor as a descriptor.</summary>
public sealed record DescriptorChannel(int Descriptor) : ChannelBackend;

/// <summary>A unix socket that the monitor listens on.</summary>
public sealed record SocketChannel(string Path) : ChannelBackend;

/// <summary>A file that takes what the guest writes.</summary>
public sealed record FileChannel(string Path) : ChannelBackend;

/// <summary>Discards everything.</summary>
public sealed record NullChannel : ChannelBackend;

/// <summary>A host directory served by a virtio-fs daemon.</summary>
public sealed record SharedDirectory(string Tag, string Socket);
