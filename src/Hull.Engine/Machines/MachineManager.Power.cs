using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Container;
using Hull.Hypervisor;
using Hull.Hypervisor.CloudInit;
using Hull.Hypervisor.Qemu;
using Hull.Linux.Cgroups;
using Hull.Network;
using Hull.Runtime.State;

namespace Hull.Engine.Machines;

public sealed partial class MachineManager
{
    /// <summary>Room for disks and NICs that are plugged in while the machine runs.</summary>
    private const int HotplugSlots = 8;

    /// <summary>How long a monitor may take to flush and close its disks.</summary>
    private static readonly TimeSpan QuitTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Runs a machine; <see cref="ErrorKind.NotModified"/> when it runs already.</summary>
    public Task<MachineView> StartAsync(string machine, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, record => StartAsync(record, saved: null, cancellationToken), cancellationToken);

    /// <summary>
    /// Presses the power button and, when the machine still runs after <paramref name="timeout"/>, takes its power away.
    /// <see cref="ErrorKind.NotModified"/> when it does not run.
    /// </summary>
    public Task<MachineView> StopAsync(string machine, TimeSpan timeout, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var live = Find(record.Id) ?? throw new HullException(ErrorKind.NotModified, $"machine '{record.Config.Name}' does not run");
            _store.Save(record with { WantedRunning = false });
            if (live.Paused) await SetPausedAsync(live, paused: false, cancellationToken).ConfigureAwait(false);
            if (timeout > TimeSpan.Zero)
            {
                await live.Machine.PowerButtonAsync(cancellationToken).ConfigureAwait(false);
                await live.Ended.WaitAsync(timeout, _clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
            }

            if (!live.Ended.IsCompleted) await live.Machine.QuitAsync(QuitTimeout, cancellationToken).ConfigureAwait(false);
            await live.Ended.ConfigureAwait(false);
            return View(_store.Get(record.Id));
        }, cancellationToken);

    /// <summary>Presses the reset button.</summary>
    public Task ResetAsync(string machine, CancellationToken cancellationToken = default) =>
        OnRunningAsync(machine, live => live.Machine.ResetAsync(cancellationToken), cancellationToken);

    public Task PauseAsync(string machine, CancellationToken cancellationToken = default) => WantPausedAsync(machine, paused: true, cancellationToken);

    public Task ResumeAsync(string machine, CancellationToken cancellationToken = default) => WantPausedAsync(machine, paused: false, cancellationToken);

    /// <summary>Writes the screen as PNG into a file.</summary>
    public Task ScreenshotAsync(string machine, string path, CancellationToken cancellationToken = default) =>
        OnRunningAsync(machine, live => live.Machine.ScreenshotAsync(path, cancellationToken), cancellationToken);

    /// <summary>Counters of a running machine.</summary>
    public Task<MachineStatistics> StatisticsAsync(string machine, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, record => RequireRunning(record).Machine.QueryStatisticsAsync(cancellationToken), cancellationToken);

    /// <summary>Path of the unix socket of the first serial port; the machine must run.</summary>
    public string ConsoleSocket(string machine)
    {
        var record = _store.Get(machine);
        RequireRunning(record);
        return Path.Combine(RuntimeDirectoryOf(record.Id), "serial");
    }

    /// <summary>Path of the unix socket that serves the screen by VNC (RFC 6143); the machine must run and have a display.</summary>
    public string DisplaySocket(string machine)
    {
        var record = _store.Get(machine);
        RequireRunning(record);
        if (!record.Config.Display) throw HullException.Unsupported($"machine '{record.Config.Name}' has no display");
        return Path.Combine(RuntimeDirectoryOf(record.Id), "vnc");
    }

    /// <summary>The end of a running machine; completed for one that does not run.</summary>
    public Task WaitAsync(string machine) => Find(_store.Get(machine).Id)?.Ended ?? Task.CompletedTask;

    private string RuntimeDirectoryOf(string id) => Path.Combine(_options.RuntimeDirectory, id[..16]);

    private Task OnRunningAsync(string machine, Func<Live, Task> operation, CancellationToken cancellationToken) =>
        ExclusiveAsync(machine, async record =>
        {
            await operation(RequireRunning(record)).ConfigureAwait(false);
            return true;
        }, cancellationToken);

    private Task WantPausedAsync(string machine, bool paused, CancellationToken cancellationToken) =>
        ExclusiveAsync(machine, async record =>
        {
            var live = RequireRunning(record);
            _store.Save(record with { WantedPaused = paused });
            await SetPausedAsync(live, paused, cancellationToken).ConfigureAwait(false);
            return true;
        }, cancellationToken);

    private static async Task SetPausedAsync(Live live, bool paused, CancellationToken cancellationToken)
    {
        if (paused) await live.Machine.PauseAsync(cancellationToken).ConfigureAwait(false);
        else await live.Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
        live.Paused = paused;
    }

    /// <param name="saved">The snapshot whose memory it goes on from; null boots it.</param>
    private async Task<MachineView> StartAsync(MachineRecord record, MachineSnapshot? saved, CancellationToken cancellationToken)
    {
        if (Find(record.Id) is not null) throw new HullException(ErrorKind.NotModified, $"machine '{record.Config.Name}' runs already");
        var hypervisor = await _options.HypervisorFor(record.Config.Architecture, cancellationToken).ConfigureAwait(false);
        var runtime = RuntimeDirectoryOf(record.Id);
        RemoveJails(record.Id);
        if (Directory.Exists(runtime)) Directory.Delete(runtime, recursive: true);
        Directory.CreateDirectory(runtime, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            _options.Admission?.Admit(ClaimOf(record));
            if (record.Config.Group is { } group) _options.Groups?.Prepare(group);
            (record, var network) = await ConnectAsync(saved is null ? AsNew(record) : record with { Shape = saved.Shape }, keepAddresses: saved is not null, cancellationToken)
                .ConfigureAwait(false);
            await WriteSeedAsync(record, network, cancellationToken).ConfigureAwait(false);
            var machine = await LaunchAsync(hypervisor, record, incoming: saved is not null, cancellationToken).ConfigureAwait(false);
            try
            {
                // Recorded before anything runs in it: an engine that comes after this one knows whose monitor it is.
                record = _store.Save(record with
                {
                    WantedRunning = true,
                    WantedPaused = false,
                    Monitor = new MonitorRecord(machine.ProcessId, ProcessIdentity.StartTimeOf(machine.ProcessId) ?? 0, _clock.GetUtcNow()),
                });
                if (saved is not null)
                {
                    await PlugAsync(record, machine, cancellationToken).ConfigureAwait(false);
                    await machine.LoadStateAsync(Path.Combine(_store.DirectoryOf(record.Id), saved.StateFile!), cancellationToken).ConfigureAwait(false);
                }

                Limit(record.Id, record.Config.Resources);
                Track(record.Id, machine, paused: false);
                await machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await machine.StopAsync(CancellationToken.None).ConfigureAwait(false);
                if (Find(record.Id) is null) await machine.DisposeAsync().ConfigureAwait(false);
                _store.Save(_store.Get(record.Id) with { WantedRunning = false });
                throw;
            }

            return View(record);
        }
        catch
        {
            if (Find(record.Id) is { } live) await live.Ended.ConfigureAwait(false);
            else
            {
                _options.Admission?.Release(record.Id);
                await DisconnectAsync(record.Id).ConfigureAwait(false);
                RemoveJails(record.Id);
                Directory.Delete(runtime, recursive: true);
            }

            throw;
        }
    }

    /// <summary>At a start everything has its place from the beginning: nothing is plugged in later.</summary>
    private static MachineRecord AsNew(MachineRecord record) => record with
    {
        Shape = MachineShape.Of(record.Config),
        Config = record.Config with
        {
            Disks = [.. record.Config.Disks.Select(disk => disk with { Slot = null })],
            Nics = [.. record.Config.Nics.Select(nic => nic with { Slot = null })],
        },
    };

    private async Task<IVirtualMachine> LaunchAsync(IHypervisor hypervisor, MachineRecord record, bool incoming, CancellationToken cancellationToken)
    {
        using var descriptors = new DescriptorTable();
        var taps = new Dictionary<string, int>();
        foreach (var nic in record.Config.Nics.Where(nic => nic is { Network: not null, Slot: null })) taps.Add(nic.Id, descriptors.Add(OpenTap(record, nic)));
        var config = Describe(record, taps) with { Incoming = incoming };
        if (record.Config.Tpm)
        {
            var directory = _store.DirectoryOf(record.Id);
            var tpm = TpmEmulator.Start(Path.Combine(directory, "tpm"), Path.Combine(directory, "tpm.log"), JailOf(record.Id, "tpm"));
            config = config with { Tpm = new DescriptorChannel(descriptors.Add(tpm)) };
        }

        return await hypervisor.LaunchAsync(config, LaunchOptions(record) with { Descriptors = descriptors }, cancellationToken).ConfigureAwait(false);
    }

    private LaunchOptions LaunchOptions(MachineRecord record) => new()
    {
        LogPath = Path.Combine(_store.DirectoryOf(record.Id), "monitor.log"),
        ControlSocket = Path.Combine(RuntimeDirectoryOf(record.Id), "control"),
        Jail = JailOf(record.Id, "monitor") with { SocketDirectory = RuntimeDirectoryOf(record.Id) },
    };

    /// <summary>
    /// The jail of a machine's monitor or of its TPM, each with a root of its own. They are one user, whom nothing of this host
    /// belongs to but what the machine itself writes: disks, medium, state and screen reach them as open files.
    /// </summary>
    private QemuJail JailOf(string id, string part) => new(Path.Combine(_options.RuntimeDirectory, $"{id[..16]}.{part}"),
        $"{CgroupParentOf(id)}/{part}-{id[..16]}", QemuJail.UserFor(id), []);

    /// <summary>Whether a cgroup's name is that of a machine's jail that is there.</summary>
    internal static bool OwnsCgroup(string executionRoot, string name) =>
        name.Split('-') is [var part, var id] && Directory.Exists(Path.Combine(executionRoot, "machines", $"{id}.{part}"));

    private void RemoveJails(string id)
    {
        foreach (var part in (string[])["monitor", "tpm"]) JailOf(id, part).Remove();
    }

    private void Track(string id, IVirtualMachine machine, bool paused)
    {
        var live = new Live(machine) { Paused = paused };
        lock (_lock) _live[id] = live;
        _options.Admission?.Take(ClaimOf(_store.Get(id)));
        live.Ended = WatchAsync(id, machine);
        _reclaimer?.Wake();
    }

    private async Task WatchAsync(string id, IVirtualMachine machine)
    {
        var exit = await machine.Exited.ConfigureAwait(false);
        if (_disposed) return;
        // A clean shutdown by the guest is what it wanted; anything else leaves the wish to run as it was.
        var record = _store.Get(id);
        record = _store.Save(record with { LastExit = exit.Reason ?? $"exit code {exit.ExitCode}", WantedRunning = record.WantedRunning && exit.Reason != "guest-shutdown" });
        await machine.DisposeAsync().ConfigureAwait(false);
        await ForgetRunningAsync(id).ConfigureAwait(false);
        lock (_lock) _live.Remove(id);
        _options.Admission?.Release(id);
        _reclaimer?.Forget(id);
        if (record is { WantedRunning: true, Config.AutoStart: true }) _ = RestartAsync(record);
    }

    /// <summary>Takes back what a machine had while it ran.</summary>
    private async Task ForgetRunningAsync(string id)
    {
        try
        {
            await DisconnectAsync(id).ConfigureAwait(false);
            RemoveJails(id);
        }
        catch (HullException error)
        {
            _options.Log($"what machine {RandomId.Short(id)} had while it ran could not be taken back: {error.FullMessage}");
        }

        var runtime = RuntimeDirectoryOf(id);
        if (Directory.Exists(runtime)) Directory.Delete(runtime, recursive: true);
    }

    private async Task WriteSeedAsync(MachineRecord record, InstanceNetwork? network, CancellationToken cancellationToken)
    {
        if (!NeedsSeed(record.Config)) return;
        var path = SeedPath(record);
        File.Delete(path);
        await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite);
        var seed = record.Config.Seed ?? new MachineSeed("#cloud-config\n");
        new CloudInitSeed(record.InstanceId, record.Config.Name, seed.UserData, seed.NetworkConfig ?? DescribeNetwork(record.Config, network), GuestNetwork.VendorData)
            .WriteTo(file);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private string SeedPath(MachineRecord record) => Path.Combine(_store.DirectoryOf(record.Id), "seed.img");
}
