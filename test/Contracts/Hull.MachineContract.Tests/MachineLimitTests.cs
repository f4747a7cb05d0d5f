using System.Globalization;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Machines;
using Hull.Engine.Resources;
using Hull.Hypervisor.Qemu;
using Hull.Linux.Cgroups;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Shares, limits and reservations of full machines. Nothing boots in them: the monitor is what is limited.</summary>
public sealed class MachineLimitTests : IAsyncLifetime
{
    private const long Cpu = 1_000_000_000;
    private readonly TemporaryDirectory _directory = new("ml");
    private readonly Admission _admission = new(new MachineCapacity(2 * Cpu, 1 << 30));
    private MachineManager? _manager;

    private MachineManager Manager => _manager!;

    private string CgroupParent => "/hull-" + Path.GetFileName(_directory.Path);

    public async ValueTask InitializeAsync()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        _manager = await OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in _manager?.Machines ?? []) await Manager.RemoveAsync(machine.Record.Id, force: true);
        if (_manager is not null) await _manager.DisposeAsync();
        CgroupManager.Name("all", CgroupParent).Remove();
        _directory.Dispose();
    }

    [Fact]
    public async Task Limits_are_of_the_monitor_and_change_while_it_runs()
    {
        var record = (await Manager.CreateAsync(Config("box") with { Resources = new ResourceLimits { NanoCpus = Cpu / 2, CpuShares = 300 } }, [new BlankDisk(1 << 20)])).Record;
        await Manager.StartAsync("box");
        var cgroup = CgroupManager.Name("box", $"{CgroupParent}/monitor-{record.Id[..16]}");
        Assert.Equal("50000", Quota(cgroup));
        await Manager.EditAsync("box", config => config with { Resources = config.Resources with { NanoCpus = Cpu } });
        Assert.Equal("100000", Quota(cgroup));
        Assert.Equal(300, Manager.Get("box").Record.Config.Resources.CpuShares);
    }

    [Fact]
    public async Task What_is_kept_for_a_machine_is_counted_while_it_runs()
    {
        await Manager.CreateAsync(Config("first") with { Resources = new ResourceLimits { CpuReservation = 3 * Cpu / 2 } }, [new BlankDisk(1 << 20)]);
        await Manager.CreateAsync(Config("second") with { Resources = new ResourceLimits { CpuReservation = Cpu } }, [new BlankDisk(1 << 20)]);
        await Manager.StartAsync("first");
        // Half of its 64 MiB of memory, by the setting.
        Assert.Equal(new Reservation(3 * Cpu / 2, 32 << 20), _admission.Total());
        var refused = await Assert.ThrowsAsync<HullException>(() => Manager.StartAsync("second"));
        Assert.Equal(ErrorKind.ResourceExhausted, refused.Kind);
        Assert.Contains("machine first has 1.5", refused.Message, StringComparison.Ordinal);
        Assert.Equal(new Reservation(3 * Cpu / 2, 32 << 20), _admission.Total());
        await Manager.EditAsync("first", config => config with { Resources = new ResourceLimits { CpuReservation = Cpu, MemoryReservation = 16 << 20 } });
        await Manager.StartAsync("second");
        Assert.Equal(new Reservation(2 * Cpu, 48 << 20), _admission.Total());
        await Assert.ThrowsAsync<HullException>(() => Manager.EditAsync("first", config => config with { Resources = new ResourceLimits { CpuReservation = 2 * Cpu } }));
        await Manager.StopAsync("second", TimeSpan.Zero);
        await Manager.WaitAsync("second");
        Assert.Equal(Cpu, _admission.Total().NanoCpus);
        await Assert.ThrowsAsync<HullException>(() => Manager.EditAsync("first", config => config with { Resources = new ResourceLimits { MemoryReservation = 1 << 30 } }));
    }

    private static MachineConfig Config(string name) => new() { Name = name, MemoryBytes = 64 << 20 };

    private static string Quota(ICgroup cgroup) => cgroup.Version == CgroupVersion.V2
        ? File.ReadAllText(Path.Combine(cgroup.Paths[""], "cpu.max")).Split(' ')[0]
        : int.Parse(File.ReadAllText(Path.Combine(cgroup.Paths["cpu"], "cpu.cfs_quota_us")), CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(_directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Directory.CreateDirectory(_directory["cache"]).FullName, cancellation))
    {
        CgroupParent = CgroupParent,
        Admission = _admission,
        ReservedPercent = 50,
    });
}
