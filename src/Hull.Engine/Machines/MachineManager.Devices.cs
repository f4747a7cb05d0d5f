using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;

namespace Hull.Engine.Machines;

public sealed partial class MachineManager
{
    /// <summary>Adds a disk, to a running machine at once.</summary>
    public Task<MachineView> AttachDiskAsync(string machine, DiskSource source, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var index = Enumerable.Range(0, int.MaxValue).First(number => record.Config.Disks.All(disk => disk.Id != $"disk{number}"));
            var directory = _store.DirectoryOf(record.Id);
            var disk = await source.MaterializeAsync(directory, index, cancellationToken).ConfigureAwait(false) with { BootIndex = null };
            try
            {
                if (Find(record.Id) is { } live)
                {
                    disk = disk with { Slot = FreeSlot(record.Config) };
                    await live.Machine.AttachDiskAsync(Describe(record, disk), cancellationToken).ConfigureAwait(false);
                }

                return View(_store.Save(record with { Config = record.Config with { Disks = [.. record.Config.Disks, disk] } }));
            }
            catch when (!disk.Medium)
            {
                File.Delete(Path.Combine(directory, disk.File));
                throw;
            }
        }, cancellationToken);

    /// <summary>Takes a disk away and deletes it unless a snapshot stands on it.</summary>
    public Task<MachineView> DetachDiskAsync(string machine, string diskId, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var disk = GetDisk(record, diskId);
            if (Find(record.Id) is { } live)
            {
                RequirePlugged(record, diskId, disk.Slot);
                await live.Machine.DetachAsync(diskId, cancellationToken).ConfigureAwait(false);
            }

            var saved = _store.Save(record with { Config = record.Config with { Disks = [.. record.Config.Disks.Where(one => one.Id != diskId)] } });
            if (!disk.Medium && !record.Snapshots.Any(snapshot => snapshot.Disks.Values.Contains(disk.File))) DeleteFiles(record, [disk.File]);
            return View(saved);
        }, cancellationToken);

    /// <summary>The machine as a hypervisor sees it at its start: what was plugged in later is plugged in again by <see cref="PlugAsync"/>.</summary>
    /// <param name="taps">Numbers of the open taps in the monitor by NIC; a NIC without one is connected to nothing.</param>
    private VirtualMachineConfig Describe(MachineRecord record, IReadOnlyDictionary<string, int>? taps = null)
    {
        var config = record.Config;
        var shape = record.Shape ?? MachineShape.Of(config);
        var runtime = RuntimeDirectoryOf(record.Id);
        List<DiskConfig> disks = [.. config.Disks.Where(disk => disk.Slot is null).Select(disk => Describe(record, disk))];
        if (NeedsSeed(config)) disks.Add(new DiskConfig("seed", new ImageDisk(SeedPath(record), "raw", ReadOnly: true), Serial: "cidata"));
        return new VirtualMachineConfig
        {
            Id = MonitorName(record.Id),
            Architecture = config.Architecture,
            Processors = shape.Processors,
            MaximumProcessors = shape.MaximumProcessors,
            MemoryBytes = shape.MemoryBytes,
            MaximumMemoryBytes = shape.MaximumMemoryBytes,
            Boot = Firmware(record),
            Disks = disks,
            Nics = [.. config.Nics.Where(nic => nic.Slot is null).Select(nic => new NicConfig(nic.Id, nic.MacAddress,
                taps?.TryGetValue(nic.Id, out var number) == true ? new TapNic(number) : new UnconnectedNic(), nic.Model))],
            Serial = new SocketChannel(Path.Combine(runtime, "serial")),
            VncSocket = config.Display ? Path.Combine(runtime, "vnc") : null,
            HotplugSlots = HotplugSlots,
        };
    }

    private static MachineDisk GetDisk(MachineRecord record, string diskId) => record.Config.Disks.FirstOrDefault(candidate => candidate.Id == diskId)
        ?? throw HullException.NotFound($"machine '{record.Config.Name}' has no disk '{diskId}': it has {string.Join(", ", record.Config.Disks.Select(one => one.Id))}");

    private DiskConfig Describe(MachineRecord record, MachineDisk disk) => new(
        disk.Id,
        ImageOf(Path.Combine(_store.DirectoryOf(record.Id), disk.File), disk.Format, readOnly: disk.Medium),
        !disk.Medium ? DiskBus.Virtio : record.Config.Architecture == "arm64" ? DiskBus.ScsiCdRom : DiskBus.CdRom,
        Serial: disk.Id,
        BootIndex: disk.BootIndex,
        Slot: disk.Slot);

    /// <summary>Plugs into a monitor that waits for a saved state what was plugged in when the state was saved.</summary>
    private async Task PlugAsync(MachineRecord record, IVirtualMachine machine, CancellationToken cancellationToken)
    {
        if (record.Shape is not { } shape) return;
        foreach (var module in shape.Modules) await machine.PlugMemoryAsync(module, cancellationToken).ConfigureAwait(false);
        if (record.Config.Processors > shape.Processors) await machine.SetProcessorsAsync(record.Config.Processors, cancellationToken).ConfigureAwait(false);
        foreach (var disk in record.Config.Disks.Where(disk => disk.Slot is not null))
            await machine.AttachDiskAsync(Describe(record, disk), cancellationToken).ConfigureAwait(false);
        foreach (var nic in record.Config.Nics.Where(nic => nic.Slot is not null))
            await PlugConnectedNicAsync(record, machine, nic, cancellationToken).ConfigureAwait(false);
    }

    private static bool NeedsSeed(MachineConfig config) =>
        config.Seed is not null || config.Nics.Any(nic => nic is { Network: not null, Slot: null });

    private static int FreeSlot(MachineConfig config)
    {
        var taken = config.Disks.Select(disk => disk.Slot).Concat(config.Nics.Select(nic => nic.Slot)).ToHashSet();
        for (var slot = 0; slot < HotplugSlots; slot++)
        {
            if (!taken.Contains(slot)) return slot;
        }

        throw new HullException(ErrorKind.ResourceExhausted,
            $"machine '{config.Name}' has no free slot: all {HotplugSlots} are taken; what is plugged in now gets a place of its own at the next start");
    }

    /// <summary>Devices of the start sit on the root bus, which gives none up (QEMU's docs/pcie.txt, 2.1).</summary>
    private static void RequirePlugged(MachineRecord record, string device, int? slot)
    {
        if (slot is null)
            throw HullException.Conflict($"{device} was there when machine '{record.Config.Name}' started, so it cannot be taken away while it runs: stop it first");
    }

    /// <summary>UEFI keeps its variables in a store of the machine's own, made from the empty one at first.</summary>
    private FirmwareBoot Firmware(MachineRecord record)
    {
        if (record.Config.Firmware == "bios") return new FirmwareBoot();
        var variables = Path.Combine(_store.DirectoryOf(record.Id), "uefi-variables.fd");
        var isNew = !File.Exists(variables);
        var firmware = UefiFirmware.Find(record.Config.Architecture, isNew ? null : variables) ?? throw HullException.Unsupported(isNew
            ? $"no UEFI firmware for '{record.Config.Architecture}' is installed"
            : $"no UEFI firmware is installed that reads the variables of machine '{record.Config.Name}': {variables} has {new FileInfo(variables).Length} bytes; install the firmware it began with, or remove the file, and the boot entries in it, to begin anew");
        if (isNew)
        {
            // Under its name only when it is whole: half a store is one that the firmware cannot read.
            var part = Path.Combine(_store.DirectoryOf(record.Id), ".uefi-variables.fd");
            File.Copy(firmware.Variables, part, overwrite: true);
            File.Move(part, variables);
        }

        return new FirmwareBoot(firmware.Code, variables);
    }
}
