using Hull.Core;
using Hull.Hypervisor;

namespace Hull.Engine.Machines;

public sealed partial class MachineManager
{
    private const string UefiCode = "/usr/share/OVMF/OVMF_CODE.fd";
    private const string UefiVariables = "/usr/share/OVMF/OVMF_VARS.fd";

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
                    await live.Machine.AttachDiskAsync(Describe(record, disk), cancellationToken).ConfigureAwait(false);
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
            var disk = record.Config.Disks.FirstOrDefault(candidate => candidate.Id == diskId)
                ?? throw HullException.NotFound($"machine '{record.Config.Name}' has no disk '{diskId}': it has {string.Join(", ", record.Config.Disks.Select(one => one.Id))}");
            if (Find(record.Id) is { } live) await live.Machine.DetachAsync(diskId, cancellationToken).ConfigureAwait(false);
            var saved = _store.Save(record with { Config = record.Config with { Disks = [.. record.Config.Disks.Where(one => one.Id != diskId)] } });
            if (!disk.Medium && !record.Snapshots.Any(snapshot => snapshot.Disks.Values.Contains(disk.File)))
                File.Delete(Path.Combine(_store.DirectoryOf(record.Id), disk.File));
            return View(saved);
        }, cancellationToken);

    /// <summary>The machine as a hypervisor sees it.</summary>
    private VirtualMachineConfig Describe(MachineRecord record)
    {
        var config = record.Config;
        var runtime = RuntimeDirectoryOf(record.Id);
        List<DiskConfig> disks = [.. config.Disks.Select(disk => Describe(record, disk))];
        if (config.Seed is not null) disks.Add(new DiskConfig("seed", new ImageDisk(SeedPath(record), "raw", ReadOnly: true), Serial: "cidata"));
        return new VirtualMachineConfig
        {
            Id = record.Id[..16],
            Architecture = config.Architecture,
            Processors = config.Processors,
            MaximumProcessors = Math.Max(config.Processors, config.MaximumProcessors),
            MemoryBytes = config.MemoryBytes,
            MaximumMemoryBytes = config.MaximumMemoryBytes,
            Boot = Firmware(record),
            Disks = disks,
            Nics = [.. config.Nics.Select(nic => new NicConfig(nic.Id, nic.MacAddress, new UnconnectedNic(), nic.Model))],
            Serial = new SocketChannel(Path.Combine(runtime, "serial")),
            VncSocket = config.Display ? Path.Combine(runtime, "vnc") : null,
            TpmSocket = config.Tpm ? Path.Combine(runtime, "tpm") : null,
            HotplugSlots = HotplugSlots,
        };
    }

    private DiskConfig Describe(MachineRecord record, MachineDisk disk) => new(
        disk.Id,
        new ImageDisk(Path.Combine(_store.DirectoryOf(record.Id), disk.File), disk.Format, ReadOnly: disk.Medium),
        disk.Medium ? DiskBus.CdRom : DiskBus.Virtio,
        Serial: disk.Id,
        BootIndex: disk.BootIndex);

    /// <summary>UEFI keeps its variables in a store of the machine's own, made from the empty one at first.</summary>
    private FirmwareBoot Firmware(MachineRecord record)
    {
        if (record.Config.Firmware == "bios") return new FirmwareBoot();
        if (record.Config.Architecture != "amd64") throw HullException.Unsupported($"no UEFI firmware is known for '{record.Config.Architecture}'");
        if (!File.Exists(UefiCode)) throw HullException.Unsupported("there is no UEFI firmware here: install the package ovmf, or use --firmware bios");
        var variables = Path.Combine(_store.DirectoryOf(record.Id), "uefi-variables.fd");
        if (!File.Exists(variables)) File.Copy(UefiVariables, variables);
        return new FirmwareBoot(UefiCode, variables);
    }
}
