using System.Globalization;

namespace Hull.Hypervisor.Qemu;

/// <summary>
/// Builds the arguments of QEMU from a <see cref="VirtualMachineConfig"/>. The order of devices decides their
/// PCI addresses, so it depends on the config's shape alone: a saved state only fits the same layout.
/// </summary>
public static class QemuCommandLine
{
    /// <param name="accelerator"><c>kvm</c> or <c>tcg</c>.</param>
    /// <param name="monitor">Where the QMP monitor is.</param>
    /// <param name="files">Descriptors that names of the form /dev/fdset/N stand for.</param>
    /// <param name="controlSocket">Where a second monitor listens, for a process that comes later; null for none.</param>
    /// <param name="original">Twins are made of this monitor; see <see cref="Linux.Tracing.ProcessTwin"/>.</param>
    public static IReadOnlyList<string> Build(VirtualMachineConfig config, string accelerator, ChannelBackend monitor,
        string? controlSocket = null, IReadOnlyList<int>? files = null, bool original = false)
    {
        List<string> arguments =
        [
            "-name", QemuMonitors.NameOf(config.Id), "-nodefaults", "-no-user-config",
            // A workload's guest that restarts has ended; a machine with firmware of its own comes up again.
            .. config.Boot is KernelBoot ? ["-no-reboot"] : Array.Empty<string>(),
            "-display", "none", "-S",
            // One that is made twice is confined in its twins, by Hull: the filter would forbid what makes them.
            .. original ? Array.Empty<string>() : ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        ];
        foreach (var file in files ?? []) arguments.AddRange(["-add-fd", $"fd={file},set={file}"]);
        AddMachine(arguments, config, accelerator);
        AddMemory(arguments, config);
        AddBoot(arguments, config.Boot);
        AddMonitor(arguments, "qmp", monitor);
        if (controlSocket is not null) AddMonitor(arguments, "control", new SocketChannel(controlSocket));
        AddChannels(arguments, config);
        AddStandardDevices(arguments, config);
        foreach (var disk in config.Disks) AddDisk(arguments, disk);
        foreach (var nic in config.Nics) AddNic(arguments, nic);
        foreach (var shared in config.SharedDirectories) AddSharedDirectory(arguments, shared);
        for (var slot = 0; slot < config.HotplugSlots; slot++)
        {
            arguments.Add("-device");
            arguments.Add(QemuDevices.HotplugSlot(slot).ToJson());
        }

        if (config.Incoming) arguments.AddRange(["-incoming", "defer"]);
        return arguments;
    }

    /// <summary>The program that emulates an architecture.</summary>
    public static string ProgramFor(string architecture) => architecture switch
    {
        "amd64" => "qemu-system-x86_64",
        "arm64" => "qemu-system-aarch64",
        _ => throw HullException.Unsupported($"no machine type is known for architecture '{architecture}'"),
    };

    private static void AddMachine(List<string> arguments, VirtualMachineConfig config, string accelerator)
    {
        var machine = config.Architecture == "arm64"
            ? new QemuProperties().Add("type", "virt").Add("gic-version", "max")
            : new QemuProperties().Add("type", "q35").Add("vmport", "off");
        if (config is { Architecture: "amd64", Boot: KernelBoot })
        {
            // Every device less is start time, memory and attack surface saved; a kernel of ours needs none of them.
            machine.Add("smbus", "off").Add("sata", "off").Add("usb", "off").Add("i8042", "off").Add("hpet", "off");
        }

        if (config.Memory is FileMemory) machine.Add("memory-backend", "ram");
        arguments.AddRange(["-machine", machine.ToOptionText()]);
        // The translation cache is private memory of every machine; the default of a gigabyte would hide leaks in it.
        arguments.AddRange(["-accel", accelerator == "tcg" ? "tcg,tb-size=64" : accelerator]);
        arguments.AddRange(["-cpu", config.CpuModel]);
        arguments.AddRange(["-smp", string.Create(CultureInfo.InvariantCulture,
            $"cpus={config.Processors},maxcpus={Math.Max(config.Processors, config.MaximumProcessors)}")]);
    }

    private static void AddMemory(List<string> arguments, VirtualMachineConfig config)
    {
        var size = new QemuProperties().Add("size", $"{config.MemoryBytes / 1024}k");
        if (config.MaximumMemoryBytes > config.MemoryBytes)
            size.Add("slots", 8).Add("maxmem", $"{config.MaximumMemoryBytes / 1024}k");
        arguments.AddRange(["-m", size.ToOptionText()]);
        if (config.Memory is FileMemory file)
        {
            arguments.AddRange(["-object", new QemuProperties().Add("qom-type", "memory-backend-file").Add("id", "ram")
                .Add("size", config.MemoryBytes).Add("mem-path", file.Path).Add("share", file.Shared).ToJson()]);
        }
    }

    private static void AddBoot(List<string> arguments, BootSource boot)
    {
        switch (boot)
        {
            case KernelBoot kernel:
                arguments.AddRange(["-kernel", kernel.Kernel]);
                if (kernel.Initrd is not null) arguments.AddRange(["-initrd", kernel.Initrd]);
                arguments.AddRange(["-append", kernel.CommandLine]);
                break;
            case FirmwareBoot { Code: not null } firmware:
                arguments.AddRange(["-drive", new QemuProperties().Add("if", "pflash").Add("format", "raw")
                    .Add("readonly", true).Add("file", firmware.Code).ToOptionText()]);
                if (firmware.Variables is not null)
                {
                    // A passed descriptor cannot be opened for reading first, as this option would have it.
                    arguments.AddRange(["-drive", new QemuProperties().Add("if", "pflash").Add("format", "raw").Add("auto-read-only", false)
                        .Add("file", firmware.Variables).ToOptionText()]);
                }

                break;
        }
    }

    private static void AddMonitor(List<string> arguments, string id, ChannelBackend monitor)
    {
        arguments.AddRange(["-chardev", QemuDevices.Chardev(id, monitor)]);
        arguments.AddRange(["-mon", $"chardev={id},mode=control"]);
    }

    private static void AddChannels(List<string> arguments, VirtualMachineConfig config)
    {
        if (config.Serial is not null)
        {
            arguments.AddRange(["-chardev", QemuDevices.Chardev("serial0", config.Serial)]);
            arguments.AddRange(["-serial", "chardev:serial0"]);
        }

        if (config.Channels.Count == 0) return;
        arguments.AddRange(["-device", new QemuProperties().Add("driver", "virtio-serial-pci").Add("id", "channels")
            // Each port is two queues, all of which the guest looks through at every interrupt; number 0 is kept for a console.
            .Add("max_ports", config.Channels.Count + 1).ToJson()]);
        foreach (var channel in config.Channels)
        {
            arguments.AddRange(["-chardev", QemuDevices.Chardev(channel.Id, channel.Backend)]);
            arguments.AddRange(["-device", new QemuProperties().Add("driver", "virtserialport").Add("bus", "channels.0")
                .Add("id", "port-" + channel.Id).Add("chardev", channel.Id).Add("name", channel.Name).ToJson()]);
        }
    }

    private static void AddStandardDevices(List<string> arguments, VirtualMachineConfig config)
    {
        arguments.AddRange(["-device", new QemuProperties().Add("driver", "virtio-rng-pci").Add("id", "rng0").ToJson()]);
        if (config.Balloon)
        {
            arguments.AddRange(["-device", new QemuProperties().Add("driver", "virtio-balloon-pci").Add("id", "balloon0")
                .Add("free-page-reporting", true).Add("deflate-on-oom", true).ToJson()]);
        }

        if (config.VncSocket is not null)
        {
            arguments.AddRange(["-device", new QemuProperties().Add("driver", config.Architecture == "arm64" ? "virtio-gpu-pci" : "VGA").Add("id", "screen0").ToJson()]);
            arguments.AddRange(["-vnc", "unix:" + config.VncSocket]);
        }

        if (config.Tpm is not null)
        {
            arguments.AddRange(["-chardev", QemuDevices.Chardev("tpm0-socket", config.Tpm)]);
            arguments.AddRange(["-tpmdev", "emulator,id=tpm0,chardev=tpm0-socket", "-device", config.Architecture == "arm64" ? "tpm-tis-device,tpmdev=tpm0" : "tpm-crb,tpmdev=tpm0"]);
        }

        if (config.Disks.Any(disk => disk.Bus is DiskBus.Scsi or DiskBus.ScsiCdRom))
            arguments.AddRange(["-device", new QemuProperties().Add("driver", "virtio-scsi-pci").Add("id", "scsi0").ToJson()]);
    }

    private static void AddDisk(List<string> arguments, DiskConfig disk)
    {
        var node = QemuDevices.NodeName(disk.Id);
        arguments.AddRange(["-blockdev", QemuDevices.BlockNode(node, disk.Backend).ToJson()]);
        arguments.AddRange(["-device", QemuDevices.Disk(disk, node).ToJson()]);
    }

    private static void AddNic(List<string> arguments, NicConfig nic)
    {
        arguments.AddRange(["-netdev", QemuDevices.Netdev(nic).ToOptionText()]);
        arguments.AddRange(["-device", QemuDevices.Nic(nic).ToJson()]);
    }

    private static void AddSharedDirectory(List<string> arguments, SharedDirectory shared)
    {
        var chardev = "fs-" + shared.Tag;
        arguments.AddRange(["-chardev", QemuDevices.ClientChardev(chardev, shared.Socket)]);
        arguments.AddRange(["-device", new QemuProperties().Add("driver", "vhost-user-fs-pci").Add("chardev", chardev)
            .Add("tag", shared.Tag).ToJson()]);
    }
}
