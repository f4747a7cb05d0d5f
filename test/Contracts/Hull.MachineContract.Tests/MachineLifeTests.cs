using Hull.Core;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
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

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(
        _directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)));
}
