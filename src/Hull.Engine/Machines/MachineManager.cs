using System.Globalization;
using System.Security.Cryptography;
using Hull.Core;
using Hull.Engine.Resources;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor;
using Hull.Linux.Processes;
using Hull.Network;

namespace Hull.Engine.Machines;

/// <summary>What a machine manager works with.</summary>
/// <param name="StateDirectory">Machines and their disks; survives a reboot.</param>
/// <param name="RuntimeDirectory">Sockets of running machines; short, because a unix socket path has 107 bytes.</param>
/// <param name="HypervisorFor">The hypervisor for an architecture in Go's words.</param>
/// <param name="Networks">The engine's networks; null where machines have no NICs on any.</param>
public sealed record MachineManagerOptions(string StateDirectory, string RuntimeDirectory,
    Func<string, CancellationToken, Task<IHypervisor>> HypervisorFor, NetworkManager? Networks = null)
{
    /// <summary>The cgroup below which those of the monitors are.</summary>
    public string CgroupParent { get; init; } = "/hull";

    /// <summary>Receives one line per noteworthy event.</summary>
    public Action<string> Log { get; init; } = _ => { };

    /// <summary>What the engine has promised of the machine's memory; null where nothing is counted.</summary>
    public Admission? Admission { get; init; }

    /// <summary>The groups that machines can be in; null for none.</summary>
    public IResourceGroups? Groups { get; init; }

    /// <summary>Percent of a machine's memory that counts as reserved.</summary>
    public int ReservedPercent { get; init; }
}

/// <summary>
/// Full machines of one engine: made, started, changed, snapshotted, copied, backed up and removed. A machine's monitor
/// outlives the engine; a manager opened on the same directories finds it by its control socket and its process.
/// Operations on one machine run one after the other, on several side by side. An operation that throws has changed
/// nothing that a later one would trip over.
/// </summary>
public sealed partial class MachineManager : IAsyncDisposable
{
    private readonly MachineManagerOptions _options;
    private readonly MachineStore _store;
    private readonly TimeProvider _clock;
    private readonly Dictionary<string, Live> _live = [];
    private readonly Dictionary<string, SemaphoreSlim> _gates = [];
    private readonly Lock _lock = new();
    private volatile bool _disposed;

    private MachineManager(MachineManagerOptions options, TimeProvider clock)
    {
        (_options, _clock) = (options, clock);
        _store = new MachineStore(options.StateDirectory);
        Directory.CreateDirectory(options.RuntimeDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Opens the state, finds the machines that still run, and starts those that are to start by themselves.</summary>
    public static async Task<MachineManager> OpenAsync(MachineManagerOptions options, TimeProvider? clock = null,
        CancellationToken cancellationToken = default)
    {
        var manager = new MachineManager(options, clock ?? TimeProvider.System);
        manager.LearnBackings();
        // In this order: what writes images must have ended.
        DiskImage.RemoveRemains();
        manager.RemoveRemains();
        var monitors = QemuMonitors.Find();
        foreach (var record in manager._store.All)
        {
            try
            {
                await manager.ReconcileAsync(record, monitors, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (error is HullException or IOException or UnauthorizedAccessException)
            {
                // One machine does not keep the engine, and with it all others, from coming up.
                options.Log($"machine '{record.Config.Name}' could not be taken up again: {error.Message}");
            }
        }

        return manager;
    }

    /// <summary>All machines, oldest first.</summary>
    public IReadOnlyList<MachineView> Machines => [.. _store.All.Select(View)];

    /// <summary>Finds by name, id or unambiguous id prefix; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public MachineView Get(string machine) => View(_store.Get(machine));

    /// <summary>Stores a new machine with copies of the disks it was given. It does not run yet.</summary>
    public async Task<MachineView> CreateAsync(MachineConfig config, IReadOnlyList<DiskSource> disks,
        CancellationToken cancellationToken = default)
    {
        config.Validated();
        CheckReservation(new MachineRecord { Id = "", Config = config, Created = _clock.GetUtcNow(), InstanceId = "" });
        var hypervisor = await _options.HypervisorFor(config.Architecture, cancellationToken).ConfigureAwait(false);
        if (config.Tpm) hypervisor.Capabilities.Demand(HypervisorFeature.TrustedPlatformModule);
        if (config.Firmware == "uefi") hypervisor.Capabilities.Demand(HypervisorFeature.UefiFirmware);
        return await MakeAsync(config.Name, async directory =>
        {
            List<MachineDisk> made = [];
            foreach (var source in disks) made.Add(await source.MaterializeAsync(directory, made.Count, cancellationToken).ConfigureAwait(false));
            return config with { Disks = [.. config.Disks, .. made] };
        }).ConfigureAwait(false);
    }

    /// <summary>Makes a machine in a directory of its own, which goes again where that fails.</summary>
    /// <param name="fill">Makes the disks in the directory and answers the config; MAC addresses that are missing or another's are given here.</param>
    /// <param name="backings">What files of the disks stand on, read when they are made; null for none.</param>
    private async Task<MachineView> MakeAsync(string name, Func<string, Task<MachineConfig>> fill, IReadOnlyDictionary<string, string>? backings = null)
    {
        var id = RandomId.New();
        var directory = _store.Reserve(id, name);
        try
        {
            var config = InKnownGroup(await fill(directory).ConfigureAwait(false));
            var taken = _store.All.SelectMany(other => other.Config.Nics).Select(nic => nic.MacAddress).Append("").ToHashSet();
            return View(_store.Save(new MachineRecord
            {
                Id = id,
                Config = (config with
                {
                    Name = name,
                    Nics = [.. config.Nics.Select((nic, index) => taken.Contains(nic.MacAddress)
                        ? nic with { MacAddress = NewMac(id, index), Address = nic.MacAddress.Length == 0 ? nic.Address : null, LastIPv4 = null, LastIPv6 = null } : nic)],
                }).Validated(),
                Created = _clock.GetUtcNow(),
                InstanceId = "i-" + id[..16],
                Backings = backings?.ToDictionary() ?? [],
            }));
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>Changes what a machine is to be. Processors and memory within its maxima change while it runs, the rest at its next start.</summary>
    public Task<MachineView> EditAsync(string machine, Func<MachineConfig, MachineConfig> edit, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var config = edit(record.Config).Validated();
            var shape = record.Shape;
            if (config.Group != record.Config.Group) RequireStopped(record, "put it into another group");
            if ((config.Group, config.Resources, config.MemoryBytes) != (record.Config.Group, record.Config.Resources, record.Config.MemoryBytes)) CheckReservation(record with { Config = config });
            if (Find(record.Id) is { } live)
            {
                if (config.Resources != record.Config.Resources)
                {
                    _options.Admission?.Admit(ClaimOf(record with { Config = record.Config with { Resources = config.Resources } }));
                    Limit(record.Id, config.Resources);
                }

                if (config.Name != record.Config.Name && _options.Networks is { } networks)
                    await networks.RenameAsync(record.Id, config.Name, cancellationToken).ConfigureAwait(false);
                if (config.Processors != record.Config.Processors)
                    await live.Machine.SetProcessorsAsync(config.Processors, cancellationToken).ConfigureAwait(false);
                if (config.MemoryBytes != record.Config.MemoryBytes)
                {
                    var module = await live.Machine.SetMemoryAsync(config.MemoryBytes, cancellationToken).ConfigureAwait(false);
                    if (module > 0 && shape is not null) shape = shape with { Modules = [.. shape.Modules, module] };
                }
            }

            var view = View(_store.Save(record with { Config = config, Shape = shape }));
            _reclaimer?.Wake();
            return view;
        }, cancellationToken);

    public Task<MachineView> RenameAsync(string machine, string name, CancellationToken cancellationToken = default) =>
        EditAsync(machine, config => config with { Name = name }, cancellationToken);

    /// <summary>Removes a machine and its disks. A running one only with <paramref name="force"/>.</summary>
    public Task RemoveAsync(string machine, bool force, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            if (Find(record.Id) is { } live)
            {
                if (!force) throw HullException.Conflict($"machine '{record.Config.Name}' runs: stop it first, or remove it with --force");
                await live.Machine.StopAsync(cancellationToken).ConfigureAwait(false);
                await live.Ended.ConfigureAwait(false);
                record = _store.Get(record.Id);
            }

            RequireNoLinkedClone(record);
            _store.Remove(record.Id);
            return true;
        }, cancellationToken);

    /// <summary>Lets go of the machines; those that run go on.</summary>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        await _closing.CancelAsync().ConfigureAwait(false);
        List<Live> all;
        lock (_lock) all = [.. _live.Values];
        foreach (var live in all) await live.Machine.DetachMonitorAsync().ConfigureAwait(false);
    }

    /// <summary>A locally administered address, the same for the same machine and place.</summary>
    private static string NewMac(string id, int index)
    {
        var hash = SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}/{index}")));
        return $"52:54:00:{hash[0]:x2}:{hash[1]:x2}:{hash[2]:x2}";
    }

    private MachineView View(MachineRecord record) => new(record, Find(record.Id) is { } live
        ? live.Paused ? MachineStatus.Paused : MachineStatus.Running
        : MachineStatus.Stopped, _options.Networks?.FindInstance(record.Id)?.Ports ?? []);

    private Live? Find(string id)
    {
        lock (_lock) return _live.GetValueOrDefault(id);
    }

    private Live RequireRunning(MachineRecord record) => Find(record.Id)
        ?? throw HullException.Conflict($"machine '{record.Config.Name}' does not run: start it with hull vm start {record.Config.Name}");

    private void RequireStopped(MachineRecord record, string what)
    {
        if (Find(record.Id) is not null)
            throw HullException.Conflict($"machine '{record.Config.Name}' runs: stop it before you {what}");
    }

    private async Task<T> ExclusiveAsync<T>(string machine, Func<MachineRecord, Task<T>> operation, CancellationToken cancellationToken)
    {
        var id = _store.Get(machine).Id;
        SemaphoreSlim? gate;
        lock (_lock)
        {
            if (!_gates.TryGetValue(id, out gate)) _gates.Add(id, gate = new SemaphoreSlim(1));
        }

        await gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Asked again: it may have changed, or gone, while this waited.
            return await operation(_store.Get(id)).ConfigureAwait(false);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>A machine that runs, as this process holds it.</summary>
    private sealed class Live(IVirtualMachine machine)
    {
        public IVirtualMachine Machine => machine;

        public volatile bool Paused;

        /// <summary>Completes when the end of the machine has been recorded.</summary>
        public Task Ended { get; set; } = Task.CompletedTask;
    }
}

/// <summary>Where a disk of a new machine comes from.</summary>
public abstract record DiskSource
{
    /// <summary>Makes the disk in the machine's directory.</summary>
    internal abstract Task<MachineDisk> MaterializeAsync(string directory, int index, CancellationToken cancellationToken);

    private protected static string NameOf(int index) => string.Create(CultureInfo.InvariantCulture, $"disk{index}");
}

/// <summary>An empty disk.</summary>
public sealed record BlankDisk(long Bytes) : DiskSource
{
    internal override async Task<MachineDisk> MaterializeAsync(string directory, int index, CancellationToken cancellationToken)
    {
        var file = NameOf(index) + ".qcow2";
        await DiskImage.CreateAsync(Path.Combine(directory, file), "qcow2", Bytes, cancellationToken).ConfigureAwait(false);
        return new MachineDisk(NameOf(index), file, "qcow2", BootIndex: index);
    }
}

/// <summary>A copy of an image file of any known format; the original is not touched and not needed afterwards.</summary>
/// <param name="Bytes">Grown to so many bytes; null keeps its size.</param>
public sealed record ImportedDisk(string Path, long? Bytes = null) : DiskSource
{
    internal override async Task<MachineDisk> MaterializeAsync(string directory, int index, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path)) throw HullException.NotFound($"no disk image '{Path}'");
        var info = await DiskImage.InspectForeignAsync(Path, cancellationToken).ConfigureAwait(false);
        // Whatever has no known signature passes for raw; a disk has whole sectors at least.
        if (info.Format == "raw" && new FileInfo(Path).Length % 512 != 0)
            throw HullException.Invalid($"'{Path}' is no disk image: it has none of the known formats, nor the size of a raw disk");
        var file = NameOf(index) + ".qcow2";
        var target = System.IO.Path.Combine(directory, file);
        // A qcow2 without backing file is copied as it is: that keeps its compression, and reflinks where the disk can.
        if (info.Format == "qcow2") await CopyAsync(Path, target, cancellationToken).ConfigureAwait(false);
        else await DiskImage.ConvertAsync(Path, info.Format, target, "qcow2", null, cancellationToken).ConfigureAwait(false);
        if (Bytes is { } bytes) await DiskImage.GrowAsync(target, "qcow2", bytes, cancellationToken).ConfigureAwait(false);
        return new MachineDisk(NameOf(index), file, "qcow2", BootIndex: index);
    }

    private static async Task CopyAsync(string source, string target, CancellationToken cancellationToken)
    {
        var result = await ChildProcess.RunAsync(new ChildProcessOptions("cp", "--reflink=auto", "--sparse=always", "--", source, target),
            cancellationToken: cancellationToken).ConfigureAwait(false);
        result.RequireSuccess();
    }
}

/// <summary>A CD-ROM image, read where it lies.</summary>
public sealed record MediumDisk(string Path) : DiskSource
{
    internal override Task<MachineDisk> MaterializeAsync(string directory, int index, CancellationToken cancellationToken) =>
        File.Exists(Path)
            ? Task.FromResult(new MachineDisk(NameOf(index), System.IO.Path.GetFullPath(Path), "raw", Medium: true, BootIndex: index))
            : throw HullException.NotFound($"no medium '{Path}'");
}
