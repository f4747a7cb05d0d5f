using System.Net.Sockets;
using Hull.Core;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Linux;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Machines of a manager without an engine around it, none of which has to boot a system for what is shown here.</summary>
public sealed class MachineLifeTests : IAsyncLifetime
{
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

    /// <summary>Each of these is what the end of an engine in the middle of an operation leaves.</summary>
    [Fact]
    public async Task What_was_begun_and_cut_off_is_taken_back()
    {
        var record = (await Manager.CreateAsync(new MachineConfig { Name = "box", MemoryBytes = 32 << 20 }, [new BlankDisk(64 << 20)])).Record;
        await Manager.StartAsync("box");
        await Manager.SnapshotAsync("box", "first", memory: false);
        await Manager.DisposeAsync();
        var directory = Path.Combine(_directory["machines"], record.Id);
        var before = Directory.GetFileSystemEntries(directory).Order().ToList();
        foreach (var file in (string[])["disk0-12345678.qcow2", "state-12345678", ".machine.json.1"]) File.WriteAllText(Path.Combine(directory, file), "");
        Directory.CreateDirectory(Path.Combine(directory, "export", "sub"));
        Directory.CreateDirectory(Path.Combine(_directory["run"], "import-12345678"));
        await CutOffAsync(Path.Combine(_directory["run"], record.Id[..16], "control"));

        _manager = await OpenAsync();
        Assert.Equal(MachineStatus.Running, Manager.Get("box").Status);
        Assert.Equal(before, Directory.GetFileSystemEntries(directory).Order());
        Assert.Equal([record.Id[..16], record.Id[..16] + ".monitor"], Directory.GetFileSystemEntries(_directory["run"]).Select(Path.GetFileName).Order());
        await Manager.SnapshotAsync("box", "second", memory: false);
        await Manager.BackupAsync("box", _directory["backups"], incremental: false);
        // One that was asked to stand still does so on.
        await Manager.PauseAsync("box");
        await Manager.DisposeAsync();
        _manager = await OpenAsync();
        Assert.Equal(MachineStatus.Paused, Manager.Get("box").Status);
    }

    /// <summary>A machine that stands still, with the image of a snapshot that was not taken and a copy of its disk that goes on.</summary>
    private async Task CutOffAsync(string control)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(control));
        await using var qmp = await QmpClient.ConnectAsync(new NetworkStream(socket, ownsSocket: true));
        await qmp.ExecuteAsync(QmpCommands.Stop());
        foreach (var node in (string[])["disk-disk0-2", "backup-disk0"])
        {
            var file = _directory[node];
            await using (var blank = File.Create(file)) blank.SetLength(64 << 20);
            using var descriptor = SafeFd.Take(File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite));
            var set = await qmp.ExecuteAsync(QmpCommands.PassFile(node), descriptor);
            await qmp.ExecuteAsync(QmpCommands.BlockdevAdd(QemuDevices.BlockNode(node, new ImageDisk($"/dev/fdset/{set}", "raw", ReadOnly: false))));
        }

        await qmp.ExecuteAsync(new QmpCommand<QmpVoid>("blockdev-backup", new BackupJob("backup-disk0", "disk-disk0-1", "backup-disk0", "full").ToProperties().Add("speed", 1L), _ => default));
    }

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(
        _directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)));
}
