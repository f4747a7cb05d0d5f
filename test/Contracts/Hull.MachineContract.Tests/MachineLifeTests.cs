using Hull.Core;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Qemu;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>
/// One machine from its first boot to its removal. It is one test because a boot takes most of a minute in emulation:
/// each step goes on from where the last one left the guest.
/// </summary>
public sealed class MachineLifeTests : IAsyncLifetime
{
    private const long Large = 2L << 30;
    private readonly TemporaryDirectory _directory = new("hm");
    private MachineManager? _manager;

    private MachineManager Manager => _manager!;

    public async ValueTask InitializeAsync()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        _manager = await OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in _manager?.Machines ?? []) await Manager.RemoveAsync(machine.Record.Id, force: true).ContinueWith(_ => { });
        if (_manager is not null) await _manager.DisposeAsync();
        _directory.Dispose();
    }

    [Fact]
    public async Task LivesThroughEverything()
    {
        await CreatedAndSeededAsync();
        using var shell = new SerialShell(Manager.ConsoleSocket("box"));
        await shell.WaitForAsync("HULL-READY-box");

        await DevicesComeAndGoAsync(shell);
        await SnapshotUndoesDamageAsync(shell);
    }

    [Fact]
    public async Task StoppedMachinesAreEditedClonedAndRemoved()
    {
        await Manager.CreateAsync(new MachineConfig { Name = "still", Nics = [new MachineNic("nic0", null, "")] }, [new BlankDisk(64 << 20)]);
        await Manager.EditAsync("still", config => config with { Processors = 3, MemoryBytes = 64 << 20 });
        await Manager.RenameAsync("still", "quiet");
        var source = Manager.Get("quiet").Record;
        Assert.Equal((3, 64L << 20), (source.Config.Processors, source.Config.MemoryBytes));

        var linked = (await Manager.CloneAsync("quiet", "linked", linked: true)).Record;
        var full = (await Manager.CloneAsync("quiet", "full", linked: false)).Record;
        Assert.Equal(3, new[] { source, linked, full }.Select(record => record.Config.Nics[0].MacAddress).Distinct().Count());
        Assert.Equal(3, new[] { source, linked, full }.Select(record => record.InstanceId).Distinct().Count());

        var held = await Assert.ThrowsAsync<HullException>(() => Manager.RemoveAsync("quiet", force: false));
        Assert.Equal((ErrorKind.Conflict, true), (held.Kind, held.Message.Contains("'linked'", StringComparison.Ordinal)));
        await Manager.RemoveAsync("linked", force: false);
        await Manager.RemoveAsync("quiet", force: false);
        Assert.Equal(["full"], Manager.Machines.Select(machine => machine.Record.Config.Name));
    }

    [Theory]
    [InlineData("", 1, "bios", "invalid machine name")]
    [InlineData("../x", 1, "bios", "invalid machine name")]
    [InlineData("x", 0, "bios", "cannot have 0 processors")]
    [InlineData("x", 1, "coreboot", "unknown firmware 'coreboot'")]
    public async Task BadRequestsLeaveNothing(string name, int processors, string firmware, string message)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => Manager.CreateAsync(
            new MachineConfig { Name = name, Processors = processors, Firmware = firmware }, [new BlankDisk(1 << 20)]));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory["machines"]));
    }

    [Fact]
    public async Task NamesAreTakenOnce()
    {
        await Manager.CreateAsync(new MachineConfig { Name = "one" }, []);
        Assert.Equal(ErrorKind.AlreadyExists,
            (await Assert.ThrowsAsync<HullException>(() => Manager.CreateAsync(new MachineConfig { Name = "one" }, []))).Kind);
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<HullException>(() => Manager.Get("two")).Kind);
    }

    private async Task CreatedAndSeededAsync()
    {
        await Manager.CreateAsync(new MachineConfig
        {
            Name = "box", MemoryBytes = 512 << 20, MaximumMemoryBytes = Large, MaximumProcessors = 2,
            Seed = new MachineSeed(SerialShell.UserData), Nics = [new MachineNic("nic0", null, "")],
        }, [new ImportedDisk(await DebianDisk.PathAsync())]);
        Assert.Equal(MachineStatus.Running, (await Manager.StartAsync("box")).Status);
    }

    private async Task DevicesComeAndGoAsync(SerialShell shell)
    {
        await Manager.AttachDiskAsync("box", new BlankDisk(64 << 20));
        Assert.Equal("131072", await shell.RunAsync("for i in 1 2 3 4 5 6 7 8 9; do [ -e /dev/disk/by-id/virtio-disk1 ] && break; sleep 1; done; blockdev --getsz /dev/disk/by-id/virtio-disk1"));
        await Manager.DetachDiskAsync("box", "disk1");
        Assert.Equal("gone", await shell.RunAsync("sleep 1; [ -e /dev/disk/by-id/virtio-disk1 ] || echo gone"));

        await Manager.EditAsync("box", config => config with { Processors = 2 });
        Assert.Equal("2", await shell.RunAsync("for i in 1 2 3 4 5 6 7 8 9; do [ -e /sys/devices/system/cpu/cpu1/online ] && break; sleep 1; done; echo 1 > /sys/devices/system/cpu/cpu1/online; nproc"));

        await Manager.ScreenshotAsync("box", _directory["screen.png"]);
        Assert.Equal([0x89, 0x50, 0x4E, 0x47], File.ReadAllBytes(_directory["screen.png"])[..4]);
    }

    private async Task SnapshotUndoesDamageAsync(SerialShell shell)
    {
        await shell.RunAsync("echo precious > /root/data; sync");
        await Manager.SnapshotAsync("box", "good", memory: true, "before the damage");
        await Manager.BackupAsync("box", _directory["backups"], incremental: false);
        Assert.Equal("lost", await shell.RunAsync("echo lost > /root/data; echo new > /root/more; sync; cat /root/data"));
        var increment = await Manager.BackupAsync("box", _directory["backups"], incremental: true);
        Assert.NotNull(increment.Parent);

        await Manager.RestoreAsync("box", "good");
        using (var restored = new SerialShell(Manager.ConsoleSocket("box")))
            Assert.Equal("precious", await restored.RunAsync("cat /root/data"));

        await OutlivesItsManagerAsync();
        await BackupsAreVerifiedAndWholeAsync(Path.Combine(_directory["backups"], increment.Name));
        await Manager.RemoveSnapshotAsync("box", "good");
        Assert.Equal("precious", await ReadFromDiskAsync("box", "/root/data"));
    }

    private async Task OutlivesItsManagerAsync()
    {
        var monitor = Manager.Get("box").Record.Monitor;
        await Manager.DisposeAsync();
        _manager = await OpenAsync();
        Assert.Equal((MachineStatus.Running, monitor), (Manager.Get("box").Status, Manager.Get("box").Record.Monitor));

        await Manager.StopAsync("box", TimeSpan.FromMinutes(2));
        Assert.Equal((MachineStatus.Stopped, "guest-shutdown"), (Manager.Get("box").Status, Manager.Get("box").Record.LastExit));
    }

    private async Task BackupsAreVerifiedAndWholeAsync(string increment)
    {
        await Manager.RestoreBackupAsync(increment, "copy");
        Assert.Equal("lost", await ReadFromDiskAsync("copy", "/root/data"));
        Assert.Equal("new", await ReadFromDiskAsync("copy", "/root/more"));

        var image = Path.Combine(increment, "disk0.qcow2");
        await using (var file = new FileStream(image, FileMode.Open, FileAccess.ReadWrite))
        {
            file.Position = file.Length / 2;
            file.WriteByte(0xA5);
            file.WriteByte(0x5A);
        }

        var error = await Assert.ThrowsAsync<HullException>(() => Manager.RestoreBackupAsync(increment, "spoilt"));
        Assert.Equal(ErrorKind.DataCorrupted, error.Kind);
        Assert.DoesNotContain(Manager.Machines, machine => machine.Record.Config.Name == "spoilt");
    }

    /// <summary>Reads a file out of a stopped machine's disk with debugfs(8): no boot, no mount.</summary>
    private async Task<string> ReadFromDiskAsync(string machine, string path)
    {
        var record = Manager.Get(machine).Record;
        var disk = Path.Combine(_directory["machines"], record.Id, record.Config.Disks[0].File);
        await DiskImage.ConvertAsync(disk, "qcow2", _directory["raw"], "raw");
        var offset = Command.Run("sfdisk", "--json", _directory["raw"]).Ok().Output;
        var root = System.Text.Json.JsonDocument.Parse(offset).RootElement.GetProperty("partitiontable").GetProperty("partitions")[2]
            .GetProperty("start").GetInt64();
        var text = Command.Run("debugfs", "-R", "cat " + path, $"{_directory["raw"]}?offset={root * 512}").Ok().Trimmed;
        File.Delete(_directory["raw"]);
        return text;
    }

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(
        _directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)));
}
