using System.Globalization;
using Hull.Hypervisor.Qmp;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

public sealed partial class QemuMachine
{
    private const string BalloonPath = "/machine/peripheral/balloon0";

    /// <summary>Between two questions to a guest about its memory.</summary>
    private const long BalloonSeconds = 2;

    private static readonly TimeSpan UnplugTimeout = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, int> _generations = [];
    private readonly Dictionary<string, string> _slots = [];
    private bool _sharesFiles;

    public Task ExchangeDiskAsync(string diskId, DiskBackend backend, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(async () =>
        {
            var generation = _generations.GetValueOrDefault(diskId);
            var next = QemuDevices.NodeName(diskId, generation + 1);
            await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(next, await PassAsync(backend, next, cancellationToken).ConfigureAwait(false))), cancellationToken).ConfigureAwait(false);
            try
            {
                await RunAsync(QmpCommands.QomSet("/machine/peripheral/" + diskId, "drive", next), cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await RunAsync(QmpCommands.BlockdevDelete(next), CancellationToken.None).ConfigureAwait(false);
                throw;
            }

            _generations[diskId] = generation + 1;
            await RunAsync(QmpCommands.BlockdevDelete(QemuDevices.NodeName(diskId, generation)), cancellationToken).ConfigureAwait(false);
        }, cancellationToken);

    public Task AttachDiskAsync(DiskConfig disk, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        _capabilities.Demand(HypervisorFeature.HotplugDisk);
        var node = QemuDevices.NodeName(disk.Id);
        var slot = disk.Bus == DiskBus.Virtio ? TakeSlot(disk.Id, disk.Slot) : null;
        try
        {
            await RunAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(node, await PassAsync(disk.Backend, node, cancellationToken).ConfigureAwait(false))), cancellationToken).ConfigureAwait(false);
            await RunAsync(QmpCommands.DeviceAdd(QemuDevices.Disk(disk, node, slot)), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _slots.Remove(disk.Id);
            await DropNodeAsync(node).ConfigureAwait(false);
            throw;
        }
    }, cancellationToken);

    public Task AttachNicAsync(NicConfig nic, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        _capabilities.Demand(HypervisorFeature.HotplugNic);
        var slot = TakeSlot(nic.Id, nic.Slot);
        if (nic.Backend is PassedTapNic passed)
            await Qmp.ExecuteAsync(QmpCommands.GetFd(QemuDevices.PassedName(nic.Id)), passed.Tap, cancellationToken: cancellationToken).ConfigureAwait(false);
        await RunAsync(QmpCommands.NetdevAdd(QemuDevices.Netdev(nic)), cancellationToken).ConfigureAwait(false);
        await PlugAsync(nic.Id, QemuDevices.Nic(nic, slot), QmpCommands.NetdevDelete("net-" + nic.Id), cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    /// <summary>
    /// Plugs in files that a virtio-fs daemon serves on a connected socket. From then on the state of the machine cannot be
    /// saved. Its memory must be in a shared file.
    /// </summary>
    public Task AttachSharesAsync(string tag, SafeFd socket, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        var slot = TakeSlot(tag, null);
        await Qmp.ExecuteAsync(QmpCommands.GetFd("socket-" + tag), socket, cancellationToken: cancellationToken).ConfigureAwait(false);
        await RunAsync(QmpCommands.ChardevAddSocket("chardev-" + tag, "socket-" + tag), cancellationToken).ConfigureAwait(false);
        await RunAsync(QmpCommands.DeviceAdd(new QemuProperties().Add("driver", "vhost-user-fs-pci").Add("id", tag)
            .Add("chardev", "chardev-" + tag).Add("tag", tag).Add("bus", slot)), cancellationToken).ConfigureAwait(false);
        _sharesFiles = true;
    }, cancellationToken);

    /// <summary>Unplugs a device that was attached, or a disk or NIC of the start whose guest gives it up.</summary>
    public Task DetachAsync(string deviceId, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        using var events = Qmp.Subscribe();
        await RunAsync(QmpCommands.DeviceDelete(deviceId), cancellationToken).ConfigureAwait(false);
        await events.WaitAsync(
            occurrence => occurrence.Name == "DEVICE_DELETED" && occurrence.Data.TryGetProperty("device", out var device) &&
                device.GetString() == deviceId,
            UnplugTimeout, cancellationToken).ConfigureAwait(false);
        _slots.Remove(deviceId);
        await DropBackendsAsync(deviceId, cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    public Task SetProcessorsAsync(int count, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        _capabilities.Demand(HypervisorFeature.HotplugProcessor);
        if (count < 1 || count > Math.Max(Config.Processors, Config.MaximumProcessors))
            throw HullException.Invalid($"machine {Config.Id} can have 1 to {Math.Max(Config.Processors, Config.MaximumProcessors)} processors, not {count}");
        var slots = await RunAsync(QmpCommands.QueryHotpluggableProcessors(), cancellationToken).ConfigureAwait(false);
        var present = slots.Count(slot => slot.OccupiedBy is not null);
        if (count < present)
            throw HullException.Unsupported($"machine {Config.Id} cannot give up processors while it runs: stop it first");
        foreach (var slot in slots.Where(slot => slot.OccupiedBy is null).Reverse().Take(count - present).ToList())
        {
            var device = new QemuProperties().Add("driver", slot.Type).Add("id", $"cpu{present++}");
            await RunAsync(QmpCommands.DeviceAdd(device.AddAll(slot.Position)), cancellationToken).ConfigureAwait(false);
        }
    }, cancellationToken);

    public Task PlugMemoryAsync(long bytes, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        var (_, plugged) = await RunAsync(QmpCommands.QueryMemorySize(), cancellationToken).ConfigureAwait(false);
        await PlugModuleAsync(plugged, bytes, cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    public Task<long> SetMemoryAsync(long bytes, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        var module = 0L;
        var (start, plugged) = await RunAsync(QmpCommands.QueryMemorySize(), cancellationToken).ConfigureAwait(false);
        if (bytes > start + plugged)
        {
            _capabilities.Demand(HypervisorFeature.HotplugMemory);
            if (bytes > Config.MaximumMemoryBytes)
                throw HullException.Invalid($"machine {Config.Id} can have at most {Config.MaximumMemoryBytes} bytes of memory, not {bytes}");
            if (_sharesFiles) throw HullException.Unsupported($"machine {Config.Id} shares files of the host, so memory cannot be added to it while it runs");
            const long granularity = 128L << 20; // a memory block of x86-64 Linux
            module = (bytes - start - plugged + granularity - 1) / granularity * granularity;
            await PlugModuleAsync(plugged, module, cancellationToken).ConfigureAwait(false);
        }

        if (Config.Balloon) await RunAsync(QmpCommands.Balloon(bytes), cancellationToken).ConfigureAwait(false);
        return module;
    }, cancellationToken);

    public async Task<MachineStatistics> QueryStatisticsAsync(CancellationToken cancellationToken = default)
    {
        var blocks = await RunAsync(QmpCommands.QueryBlockStatistics(), cancellationToken).ConfigureAwait(false);
        long? balloon = Config.Balloon ? await RunAsync(QmpCommands.QueryBalloon(), cancellationToken).ConfigureAwait(false) : null;
        return new MachineStatistics([.. blocks.Select(block => new DiskStatistics(DiskIdOf(block.Device), block.ReadBytes,
            block.WrittenBytes, block.Reads, block.Writes))], balloon);
    }

    public async Task<GuestMemory> QueryGuestMemoryAsync(CancellationToken cancellationToken = default)
    {
        RequireBalloon();
        var bytes = await RunAsync(QmpCommands.QueryBalloon(), cancellationToken).ConfigureAwait(false);
        var available = await RunAsync(QmpCommands.QueryAvailableMemory(BalloonPath), cancellationToken).ConfigureAwait(false);
        // Guests are asked only where somebody wants to know.
        if (available is null) await RunAsync(QmpCommands.QomSet(BalloonPath, "guest-stats-polling-interval", BalloonSeconds), cancellationToken).ConfigureAwait(false);
        return new GuestMemory(bytes, available);
    }

    public async Task SetBalloonAsync(long bytes, CancellationToken cancellationToken = default)
    {
        RequireBalloon();
        await RunAsync(QmpCommands.Balloon(bytes), cancellationToken).ConfigureAwait(false);
    }

    private void RequireBalloon()
    {
        if (!Config.Balloon) throw HullException.Unsupported($"machine {Config.Id} has no balloon");
    }

    public async Task ScreenshotAsync(string path, CancellationToken cancellationToken = default)
    {
        if (Config.VncSocket is null) throw HullException.Unsupported($"machine {Config.Id} has no screen");
        // Into an open file: the monitor may have no right to make one.
        const string purpose = "screenshot";
        using var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC, 0x180), $"create {path}");
        var set = await Qmp.ExecuteAsync(QmpCommands.PassFile(purpose), file, cancellationToken: cancellationToken).ConfigureAwait(false);
        try
        {
            await RunAsync(QmpCommands.ScreenDump($"/dev/fdset/{set}", "png"), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await RunAsync(QmpCommands.RemoveFd(set), CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>The node that now holds a disk's bytes.</summary>
    public string NodeOf(string diskId) => QemuDevices.NodeName(diskId, _generations.GetValueOrDefault(diskId));

    /// <summary>How often the medium of each disk has been exchanged.</summary>
    internal IReadOnlyDictionary<string, int> Generations => _generations;

    internal void SetGenerations(IReadOnlyDictionary<string, int> generations)
    {
        foreach (var (disk, generation) in generations) _generations[disk] = generation;
    }

    /// <summary>Gives the monitor files to open again by their names, <c>/dev/fdset/N</c>.</summary>
    internal async Task PassFilesAsync(DescriptorTable table, CancellationToken cancellationToken = default)
    {
        foreach (var number in table.FileNumbers)
            await Qmp.ExecuteAsync(QmpCommands.AddFd(number), table[number], cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Learns which node holds each disk from a monitor that another process has worked with.</summary>
    internal async Task LearnNodesAsync(CancellationToken cancellationToken)
    {
        foreach (var (device, node) in await RunAsync(QmpCommands.QueryBlockNodes(), cancellationToken).ConfigureAwait(false))
        {
            var prefix = QemuDevices.NodeName(DiskIdOf(device)) + "-";
            if (node.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(node.AsSpan(prefix.Length), CultureInfo.InvariantCulture, out var generation))
                _generations[DiskIdOf(device)] = generation;
        }
    }

    // A device's path is /machine/peripheral/<id>/virtio-backend for virtio disks, without the tail for others.
    private static string DiskIdOf(string path)
    {
        const string prefix = "/machine/peripheral/";
        return path.StartsWith(prefix, StringComparison.Ordinal) ? path[prefix.Length..].Split('/')[0] : path;
    }

    /// <summary>A module is named by what was plugged before it: a saved state knows it by its name.</summary>
    private async Task PlugModuleAsync(long pluggedBefore, long bytes, CancellationToken cancellationToken)
    {
        var id = $"dimm{pluggedBefore >> 20}";
        await RunAsync(QmpCommands.ObjectAdd(new QemuProperties().Add("qom-type", "memory-backend-ram")
            .Add("id", "mem-" + id).Add("size", bytes)), cancellationToken).ConfigureAwait(false);
        await PlugAsync(id, new QemuProperties().Add("driver", "pc-dimm").Add("id", id).Add("memdev", "mem-" + id),
            QmpCommands.ObjectDelete("mem-" + id), cancellationToken).ConfigureAwait(false);
    }

    private string TakeSlot(string deviceId, int? wanted)
    {
        if (wanted is { } number) return _slots[deviceId] = QemuDevices.SlotName(number);
        for (var slot = 0; slot < Config.HotplugSlots; slot++)
        {
            var name = QemuDevices.SlotName(slot);
            if (_slots.ContainsValue(name)) continue;
            _slots[deviceId] = name;
            return name;
        }

        throw new HullException(ErrorKind.ResourceExhausted,
            $"machine {Config.Id} has no free slot: all {Config.HotplugSlots} are taken");
    }

    private async Task PlugAsync(string id, QemuProperties device, QmpCommand<QmpVoid> undo, CancellationToken cancellationToken)
    {
        try
        {
            await RunAsync(QmpCommands.DeviceAdd(device), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _slots.Remove(id);
            await RunAsync(undo, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private async Task DropBackendsAsync(string deviceId, CancellationToken cancellationToken)
    {
        await DropNodeAsync(NodeOf(deviceId)).ConfigureAwait(false);
        try
        {
            await RunAsync(QmpCommands.NetdevDelete("net-" + deviceId), cancellationToken).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind is ErrorKind.Internal or ErrorKind.NotFound)
        {
            // A device has one of the two backends.
        }
    }

    private Task<T> RunAsync<T>(QmpCommand<T> command, CancellationToken cancellationToken) =>
        Qmp.ExecuteAsync(command, cancellationToken: cancellationToken);
}
