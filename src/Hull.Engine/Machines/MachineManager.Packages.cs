using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Disks;

namespace Hull.Engine.Machines;

/// <summary>Machines as OVA files, the form other hypervisors read.</summary>
public sealed partial class MachineManager
{
    /// <summary>The most an OVA file may unpack to.</summary>
    private const long LargestArchive = 2L << 40;

    private const string ExportDirectory = "export";
    private const string ImportPrefix = "import-";

    /// <summary>Writes a stopped machine, with its disks as they are now, as an OVA file.</summary>
    public Task ExportAsync(string machine, string path, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            RequireStopped(record, "export it");
            if (File.Exists(path)) throw HullException.Exists($"'{path}' exists already: choose another name or remove it");
            var work = Directory.CreateDirectory(Path.Combine(_store.DirectoryOf(record.Id), ExportDirectory)).FullName;
            try
            {
                List<OvfDisk> disks = [];
                foreach (var disk in record.Config.Disks.Where(disk => !disk.Medium))
                {
                    var source = Path.Combine(_store.DirectoryOf(record.Id), disk.File);
                    var file = $"{record.Config.Name}-{disk.Id}.vmdk";
                    await DiskImage.ConvertAsync(source, disk.Format, Path.Combine(work, file), "vmdk", "subformat=streamOptimized", cancellationToken, Below(source)).ConfigureAwait(false);
                    disks.Add(new OvfDisk(file, (await DiskImage.InspectAsync(source, disk.Format, cancellationToken).ConfigureAwait(false)).VirtualBytes));
                }

                var config = record.Config;
                var descriptor = new OvfDescriptor(config.Name, config.Processors, config.MemoryBytes, disks, config.Nics.Count, config.Firmware == "uefi");
                await using var archive = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
                await OvaArchive.WriteAsync(descriptor, work, archive, cancellationToken).ConfigureAwait(false);
                return true;
            }
            finally
            {
                Directory.Delete(work, recursive: true);
            }
        }, cancellationToken);

    /// <summary>Writes one disk of a machine, as it is now, as an image file of any known format.</summary>
    public Task ExportDiskAsync(string machine, string diskId, string path, string format, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            if (!DiskImage.Formats.Contains(format)) throw HullException.Invalid($"unknown disk format '{format}': expected one of {string.Join(", ", DiskImage.Formats)}");
            if (File.Exists(path)) throw HullException.Exists($"'{path}' exists already: choose another name or remove it");
            var disk = GetDisk(record, diskId);
            var source = Path.Combine(_store.DirectoryOf(record.Id), disk.File);
            var work = Directory.CreateDirectory(Path.Combine(_store.DirectoryOf(record.Id), ExportDirectory)).FullName;
            var part = Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.part");
            try
            {
                if (Find(record.Id) is { } live && !disk.Medium)
                {
                    // Its monitor alone can tell what the disk holds at one moment.
                    var copy = Path.Combine(work, "disk.qcow2");
                    await DiskImage.CreateAsync(copy, "qcow2", (await DiskImage.InspectAsync(source, disk.Format, cancellationToken).ConfigureAwait(false)).VirtualBytes, cancellationToken).ConfigureAwait(false);
                    await live.Machine.BackupDisksAsync([new DiskBackup(diskId, new ImageDisk(copy, "qcow2", ReadOnly: false))], bitmap: null, incremental: false, cancellationToken).ConfigureAwait(false);
                    (source, disk) = (copy, disk with { Format = "qcow2" });
                }

                await DiskImage.ConvertAsync(source, disk.Format, part, format, null, cancellationToken, Below(source)).ConfigureAwait(false);
                File.Move(part, path);
                return true;
            }
            finally
            {
                Directory.Delete(work, recursive: true);
                File.Delete(part);
            }
        }, cancellationToken);

    /// <summary>Makes a machine of an OVA file.</summary>
    public async Task<MachineView> ImportAsync(string path, string name, CancellationToken cancellationToken = default)
    {
        if (!File.Exists(path)) throw HullException.NotFound($"no file '{path}'");
        var work = Directory.CreateDirectory(Path.Combine(_options.RuntimeDirectory, ImportPrefix + RandomId.New()[..8])).FullName;
        try
        {
            OvfDescriptor descriptor;
            await using (var archive = File.OpenRead(path))
                descriptor = await OvaArchive.ExtractAsync(archive, work, LargestArchive, cancellationToken).ConfigureAwait(false);
            const long mebibyte = 1 << 20;
            var config = new MachineConfig
            {
                Name = name,
                Processors = descriptor.Processors,
                MemoryBytes = (descriptor.MemoryBytes + mebibyte - 1) / mebibyte * mebibyte,
                Firmware = descriptor.Uefi ? "uefi" : "bios",
                Nics = [.. Enumerable.Range(0, Math.Min(descriptor.Nics, HotplugSlots)).Select(index => new MachineNic($"nic{index}", null, ""))],
            };
            return await CreateAsync(config, [.. descriptor.Disks.Select(disk => new ImportedDisk(Path.Combine(work, disk.File)))], cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }
}
