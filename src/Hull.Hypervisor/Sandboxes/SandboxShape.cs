using System.Globalization;
using Hull.Hypervisor.Guest;

namespace Hull.Hypervisor.Sandboxes;

/// <summary>
/// The outline of a machine that runs containers: what templates are made for. Everything that differs between two
/// machines of one shape is put in after the clone: media of disks, tap of the NIC, identity.
/// </summary>
/// <param name="MemoryBytes">RAM; a multiple of 2 MiB.</param>
/// <param name="CpuModel">Null takes what suits the accelerator.</param>
public sealed record SandboxShape(long MemoryBytes, int Processors, string? CpuModel = null)
{
    public const string LayersDisk = "layers";
    public const string WritableDisk = "writable";
    public const string Nic = "eth0";

    /// <summary>Size guests see in a place kept for a disk: larger than anything that is put there.</summary>
    public const long PlaceholderBytes = 1L << 40;

    /// <summary>Slots into which volumes and further NICs are plugged.</summary>
    public const int HotplugSlots = 6;

    /// <summary>Memory a running machine can be given in addition.</summary>
    private const long PluggableBytes = 64L << 30;

    /// <summary>Counts up when the layout below changes, so that older templates are not used.</summary>
    public const int LayoutVersion = 8;

    public static SandboxShape Default { get; } = new(256L << 20, 1);

    /// <summary>The smallest shape with at least so much: sizes are rounded up so that few templates serve many requests.</summary>
    public static SandboxShape For(long? memoryBytes, int? processors)
    {
        const long step = 64L << 20;
        var memory = memoryBytes is null ? Default.MemoryBytes : Math.Max(2 * step, (memoryBytes.Value + step - 1) / step * step);
        return new SandboxShape(memory, Math.Max(1, processors ?? Default.Processors));
    }

    internal VirtualMachineConfig ToConfig(string id, GuestImage guest, string accelerator, SandboxParts parts) => new()
    {
        Id = id,
        // Emulated, the first two cost at every system call and page fault; what they defend is the guest's kernel against its own
        // programs. The third has memory cleared and copied byte by byte, each a round of its own where strings are emulated.
        CpuModel = CpuModel ?? (accelerator == "kvm" ? "host" : "max,-smap,-la57,-erms"),
        Processors = Processors,
        MaximumProcessors = Processors,
        MemoryBytes = MemoryBytes,
        MaximumMemoryBytes = MemoryBytes + PluggableBytes,
        Memory = parts.Memory,
        Boot = new KernelBoot(guest.Kernel, guest.Initrd, CommandLine(accelerator)),
        Serial = parts.Serial,
        Channels =
        [
            new ChannelConfig("ctl", "hull.ctl", new DescriptorChannel(parts.ControlDescriptor)),
            new ChannelConfig("io", "hull.io", new DescriptorChannel(parts.DataDescriptor)),
        ],
        Disks =
        [
            new DiskConfig(LayersDisk, parts.Layers ?? new PlaceholderDisk(PlaceholderBytes, ReadOnly: true), Serial: LayersDisk),
            new DiskConfig(WritableDisk, parts.Writable ?? new PlaceholderDisk(PlaceholderBytes, ReadOnly: false), Serial: WritableDisk),
        ],
        Nics = [new NicConfig(Nic, "02:00:00:00:00:01", parts.Nic)],
        HotplugSlots = HotplugSlots,
        Incoming = parts.Incoming,
    };

    private static string CommandLine(string accelerator)
    {
        var line = "console=ttyS0 quiet reboot=t panic=-1 memhp_default_state=online rcupdate.rcu_expedited=1 random.trust_cpu=on" +
            // Memory may be plugged in above 4 GiB, for which the kernel would set 64 MiB of bounce buffers aside; virtio needs none.
            " swiotlb=noforce";
        if (accelerator != "tcg") return line;
        // Emulated processors speculate nothing, so the defences against it only cost. The clock rate is that of the
        // host's counter, which saves the guest measuring it against a timer that emulation makes jump.
        // Memory that is taken is not cleared unless it must be, and what the kernel itself uses is not charged to each cgroup:
        // it is the tenant's own kernel, and the machine's memory bounds both.
        line += " mitigations=off audit=0 nowatchdog init_on_alloc=0 cgroup.memory=nokmem";
        return HostClockRate() is { } kilohertz
            ? string.Create(CultureInfo.InvariantCulture, $"{line} tsc_early_khz={kilohertz} tsc=reliable")
            : line;
    }

    private static long? HostClockRate()
    {
        string? rate = null;
        foreach (var line in File.ReadLines("/proc/cpuinfo"))
        {
            if (line.StartsWith("cpu MHz", StringComparison.Ordinal)) rate ??= line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..];
            else if (line.StartsWith("flags", StringComparison.Ordinal) && !line.Contains("constant_tsc", StringComparison.Ordinal)) return null;
        }

        return double.TryParse(rate, CultureInfo.InvariantCulture, out var megahertz) ? (long)(megahertz * 1000) : null;
    }
}

/// <summary>The parts of one machine that are not its shape.</summary>
internal sealed record SandboxParts(MemoryPlacement Memory, ChannelBackend Serial, int ControlDescriptor, int DataDescriptor,
    NicBackend Nic, DiskBackend? Layers, DiskBackend? Writable, bool Incoming);
