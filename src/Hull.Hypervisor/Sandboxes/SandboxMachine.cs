using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Netlink;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Sandboxes;

/// <summary>How one sandbox machine is started.</summary>
/// <param name="Id">Name of the machine.</param>
/// <param name="Layers">The disk with the image's layers; null leaves its place empty.</param>
/// <param name="WritableDisk">An ext4 image for what is written; null leaves its place empty.</param>
/// <param name="Tap">An open tap device the machine takes over; null connects its NIC to nothing.</param>
/// <param name="ConsolePath">File that takes what the guest kernel says; null discards it.</param>
/// <param name="LogPath">File that takes what the monitor says.</param>
/// <param name="Jail">What the monitor is confined to.</param>
/// <param name="Shares">Files of the host for the guest; they belong to the machine from now on.</param>
/// <param name="FurtherNics">NICs beside the one of the shape; the guest knows them by their MAC addresses.</param>
public sealed record SandboxOptions(string Id, LayerDisk? Layers = null, string? WritableDisk = null, SafeFd? Tap = null,
    string? ConsolePath = null, string? LogPath = null, QemuJail? Jail = null, ShareDaemon? Shares = null, IReadOnlyList<NicConfig>? FurtherNics = null);

/// <summary>A machine whose init is the guest agent, and the connection to that agent.</summary>
public sealed partial class SandboxMachine : IAsyncDisposable
{
    private readonly SandboxOptions _options;

    /// <summary>The template's memory, from which this machine's own differs by what it has written; null where it shares none.</summary>
    private SafeFd? _base;
    private byte[]? _beginning;

    /// <summary>Made of a live template's monitor, and like that one a child of the process that keeps it.</summary>
    private bool _isTwin;

    private SandboxMachine(QemuMachine machine, AgentClient agent, SandboxOptions options)
    {
        Machine = machine;
        Agent = agent;
        _options = options;
    }

    public QemuMachine Machine { get; }

    /// <summary>Numbers of descriptors in the monitor.</summary>
    internal (int Control, int Data, int Qmp, int Tap) Numbers { get; private init; }

    public AgentClient Agent { get; }

    /// <summary>The container that was created in it before it was anybody's, by its id there; see <see cref="LiveTemplate.Container"/>.</summary>
    internal string? Container { get; private init; }

    /// <summary>Completes when the monitor is in its own cgroup: no container is to be started before.</summary>
    public Task Confined => Machine.Confined;

    /// <summary>Boots a machine from its kernel. The agent answers, and waits at the release gate.</summary>
    public static async Task<SandboxMachine> BootAsync(QemuHypervisor hypervisor, GuestImage guest, SandboxShape shape,
        SandboxOptions options, MemoryFile? memory = null, CancellationToken cancellationToken = default)
    {
        var (sandbox, _) = await LaunchAsync(hypervisor, guest, shape, options, memory, null, cancellationToken).ConfigureAwait(false);
        try
        {
            await sandbox.PlugNicsAsync(cancellationToken).ConfigureAwait(false);
            await sandbox.Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
            await sandbox.ExpectAgentAsync(cancellationToken).ConfigureAwait(false);
            return sandbox;
        }
        catch
        {
            await sandbox.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Makes a machine from a template. It runs, and its agent waits at the release gate.</summary>
    public static async Task<SandboxMachine> CloneAsync(QemuHypervisor hypervisor, Template template, SandboxOptions options,
        CancellationToken cancellationToken = default)
    {
        // What was saved with a tap is not to be loaded without one (hw/net/virtio-net.c, has_vnet_hdr).
        if (template.DevicesOnly && options.Tap is null) options = options with { Tap = TapDevice.OpenAlone() };
        // Memory that another process is to work on as well cannot be a private mapping of the template's.
        using var own = options.Shares is null ? null : template.Memory.Copy();
        var (sandbox, state) = await LaunchAsync(hypervisor, template.Guest, template.Shape, options, own ?? template.Memory,
            template.StatePath, cancellationToken).ConfigureAwait(false);
        try
        {
            (sandbox._base, sandbox._beginning) = (own is null ? template.Memory.Descriptor.Duplicate() : null, QemuMachine.ConfigurationSection(template.StatePath));
            await sandbox.Machine.LoadStateAsync(state, template.DevicesOnly, cancellationToken).ConfigureAwait(false);
            if (options.Shares is { } shares) await sandbox.Machine.AttachSharesAsync(ShareDaemon.Tag, shares.Socket, cancellationToken).ConfigureAwait(false);
            await sandbox.PlugNicsAsync(cancellationToken).ConfigureAwait(false);
            await sandbox.Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
            return sandbox;
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.Unavailable)
        {
            await sandbox.DisposeAsync().ConfigureAwait(false);
            throw new HullException(ErrorKind.Internal,
                $"qemu ended while machine {options.Id} was made from its template: {QemuHypervisor.LastLine(options.LogPath)}", cause);
        }
        catch
        {
            await sandbox.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Makes a machine by making the monitor of a live template twice. It runs, and its agent waits at the release gate.</summary>
    public static Task<SandboxMachine> TwinAsync(QemuHypervisor hypervisor, Template template, LiveTemplate live, SandboxOptions options,
        CancellationToken cancellationToken = default) => TwinAsync(hypervisor, template, live, () => options, options.Jail is { IsOriginal: true }, cancellationToken);

    /// <summary>The same with options that are asked for when the twin is made and stands still, for as long as it takes.</summary>
    internal static async Task<SandboxMachine> TwinAsync(QemuHypervisor hypervisor, Template template, LiveTemplate live, Func<SandboxOptions> choose,
        bool isOriginal, CancellationToken cancellationToken)
    {
        using var channels = new DescriptorTable();
        var (controlNumber, control) = channels.AddSocket();
        var (dataNumber, data) = channels.AddSocket();
        SandboxOptions? options = null;
        SafeFd? layers = null, writable = null;
        try
        {
            var machine = QemuTwin.Launch(live, hypervisor.Capabilities, (channels[controlNumber], channels[dataNumber]), isOriginal, () =>
            {
                options = choose();
                // Disks that are as the template's own take their place; others are put in their drives. Those of a duplicate or of an image's template are the same.
                layers = Open(live.HasLayers ? null : options.Layers?.Single, Fcntl.O_RDONLY);
                writable = Open(live.OfInstance || new FileInfo(options.WritableDisk ?? "/").Length == Disks.WritableDisk.DefaultBytes ? options.WritableDisk : null, Fcntl.O_RDWR);
                var disks = new Dictionary<int, SafeFd>();
                foreach (var number in layers is null ? [] : live.Files.Layers) disks[number] = layers!;
                foreach (var number in writable is null ? [] : live.Files.Writable) disks[number] = writable!;
                var config = template.Shape.ToConfig(options.Id, template.Guest, hypervisor.Accelerator.Name,
                    new SandboxParts(new FileMemory("", Shared: false), new NullChannel(), controlNumber, dataNumber, new UnconnectedNic(), null, null, Incoming: true));
                return new TwinOwner(config, options.Jail!, options.Tap, options.LogPath!, options.ConsolePath!, disks);
            });
            return await new SandboxMachine(machine, new AgentClient(control, data, FreshStreams()), options!)
            {
                _base = template.Memory.Descriptor.Duplicate(), _beginning = QemuMachine.ConfigurationSection(template.StatePath),
                Numbers = (live.Control, live.Data, live.Qmp, live.Tap), _isTwin = !live.OfInstance, Container = live.Container,
            }.BeginTwinAsync(hasLayers: live.HasLayers || layers is not null, hasWritable: writable is not null, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await control.DisposeAsync().ConfigureAwait(false);
            await data.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            layers?.Dispose();
            writable?.Dispose();
        }
    }

    private async Task<SandboxMachine> BeginTwinAsync(bool hasLayers, bool hasWritable, CancellationToken cancellationToken)
    {
        try
        {
            await ExchangeDisksAsync(hasLayers ? null : _options.Layers, hasWritable ? null : _options.WritableDisk, cancellationToken).ConfigureAwait(false);
            await PlugNicsAsync(cancellationToken).ConfigureAwait(false);
            await Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
            _options.Tap?.Dispose();
            return this;
        }
        catch
        {
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Puts media into the machine's drives in place of those it has, which the guest must not use. Null leaves what is there.</summary>
    internal async Task ExchangeDisksAsync(LayerDisk? layers, string? writableDisk, CancellationToken cancellationToken = default)
    {
        // Far from the numbers that the monitor was started with.
        var generation = Machine.Generations.GetValueOrDefault(SandboxShape.WritableDisk) + 1;
        using var files = new DescriptorTable(first: 1000 * generation);
        var layersDisk = layers?.Open(files);
        var writable = writableDisk is null ? null : new ImageDisk(files.OpenFile(writableDisk, Fcntl.O_RDWR), "raw", ReadOnly: false);
        await Machine.PassFilesAsync(files, cancellationToken).ConfigureAwait(false);
        if (layersDisk is not null) await Machine.ExchangeDiskAsync(SandboxShape.LayersDisk, layersDisk, cancellationToken).ConfigureAwait(false);
        if (writable is not null) await Machine.ExchangeDiskAsync(SandboxShape.WritableDisk, writable, cancellationToken).ConfigureAwait(false);
    }

    private static SafeFd? Open(string? path, int flags) =>
        path is null ? null : Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, flags), $"open {path}");

    /// <summary>Ports of a machine that is made from a saved one may hold frames for streams of its old host.</summary>
    private static uint FreshStreams() => (uint)Random.Shared.Next(1 << 20, 1 << 30);

    /// <summary>
    /// Saves the machine as it is at one moment: RAM into a memory file, the state of its devices into a file, and whatever
    /// <paramref name="whilePaused"/> does. What can be copied ahead is: the machine stands still for what it has changed only.
    /// </summary>
    /// <returns>How long programs of the guest stood still.</returns>
    public async Task<TimeSpan> SaveAsync(SafeFd memory, string statePath, Action whilePaused, CancellationToken cancellationToken = default)
    {
        var (template, beginning) = await RequireTemplateAsync(cancellationToken).ConfigureAwait(false);
        SparseFile.Copy(template, memory, Machine.Config.MemoryBytes);
        return await StandStillAsync(async () =>
        {
            PrivatePages.CopyTo(Machine.ProcessId, template, memory);
            whilePaused();
            await Machine.SaveDevicesAsync(statePath, beginning, cancellationToken).ConfigureAwait(false);
        }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the machine was made of, which is all that is known of a machine that can be saved or duplicated.</summary>
    private async Task<(SafeFd Memory, byte[] Beginning)> RequireTemplateAsync(CancellationToken cancellationToken)
    {
        if (_base is null || _beginning is null)
            throw HullException.Unsupported($"machine {Machine.Config.Id} was not made from a template or shares files of the host, so it can be neither saved nor duplicated");
        var (_, plugged) = await Machine.Qmp.ExecuteAsync(QmpCommands.QueryMemorySize(), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (plugged > 0)
            throw HullException.Unsupported($"machine {Machine.Config.Id} was given memory while it ran, so it can be neither saved nor duplicated: start it with that much");
        return (_base, _beginning);
    }

    /// <summary>Does something while neither the guest nor its processors run, and answers how long that was.</summary>
    private async Task<TimeSpan> StandStillAsync(Func<Task> action, CancellationToken cancellationToken)
    {
        var stopped = System.Diagnostics.Stopwatch.GetTimestamp();
        await Agent.QuiesceAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await Machine.PauseAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await action().ConfigureAwait(false);
            }
            finally
            {
                await Machine.ResumeAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            await Agent.ContinueAsync(CancellationToken.None).ConfigureAwait(false);
        }

        return System.Diagnostics.Stopwatch.GetElapsedTime(stopped);
    }

    /// <summary>
    /// Ends the machine with this process. A twin of a live template gives its memory back, which takes longer than many a
    /// program runs, after that: its parent collects it, and who deletes the instance waits until its cgroup is empty.
    /// </summary>
    public ValueTask EndAsync()
    {
        if (!_isTwin) return DisposeAsync();
        Machine.Kill();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _base?.Dispose();
        await Agent.DisposeAsync().ConfigureAwait(false);
        await Machine.DisposeAsync().ConfigureAwait(false);
        _options.Shares?.Dispose();
    }

    /// <summary>Starts a monitor; with a saved state, that is open in it under the number answered.</summary>
    private static async Task<(SandboxMachine Sandbox, int State)> LaunchAsync(QemuHypervisor hypervisor, GuestImage guest,
        SandboxShape shape, SandboxOptions options, MemoryFile? memory, string? statePath, CancellationToken cancellationToken)
    {
        var descriptors = new DescriptorTable();
        var (controlNumber, control) = descriptors.AddSocket();
        var (dataNumber, data) = descriptors.AddSocket();
        var state = statePath is null ? 0 : descriptors.Add(Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, statePath, Fcntl.O_RDONLY), $"open the template's state at {statePath}"));
        var incoming = statePath is not null;
        var parts = new SandboxParts(
            memory is null ? new AnonymousMemory()
                : new FileMemory($"/proc/self/fd/{descriptors.Add(memory.Descriptor.Duplicate())}", Shared: !incoming || options.Shares is not null),
            options.ConsolePath is null ? new NullChannel() : new FileChannel(
                descriptors.OpenFile(options.ConsolePath, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND)),
            controlNumber, dataNumber,
            options.Tap is null ? new UnconnectedNic() : new TapNic(descriptors.Add(options.Tap)),
            options.Layers?.Open(descriptors),
            options.WritableDisk is null ? null
                : new ImageDisk(descriptors.OpenFile(options.WritableDisk, Fcntl.O_RDWR), "raw", ReadOnly: false),
            incoming);
        var config = shape.ToConfig(options.Id, guest, hypervisor.Accelerator.Name, parts);
        // The monitor's own channel comes last.
        var numbers = (controlNumber, dataNumber, descriptors.Next, (parts.Nic as TapNic)?.Descriptor ?? -1);
        try
        {
            var machine = await hypervisor.LaunchQemuAsync(config, new LaunchOptions(descriptors, options.LogPath, Jail: options.Jail),
                cancellationToken).ConfigureAwait(false);
            return (new SandboxMachine(machine, new AgentClient(control, data,
                statePath is null ? 0 : FreshStreams()), options)
            {
                Numbers = numbers,
            }, state);
        }
        catch
        {
            await control.DisposeAsync().ConfigureAwait(false);
            await data.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task PlugNicsAsync(CancellationToken cancellationToken)
    {
        foreach (var nic in _options.FurtherNics ?? [])
        {
            // The monitor has a descriptor of its own from then on.
            using var tap = (nic.Backend as PassedTapNic)?.Tap;
            await Machine.AttachNicAsync(nic, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task ExpectAgentAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Agent.HelloAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.Unavailable)
        {
            var exit = await Machine.Exited.WaitAsync(TimeSpan.FromSeconds(10), cancellationToken).ConfigureAwait(false);
            var said = _options.ConsolePath is { } path && File.Exists(path) ? File.ReadAllText(path).Trim() : "";
            throw new HullException(ErrorKind.Internal, $"machine {Machine.Config.Id} ended during its boot " +
                $"({exit.Reason ?? $"exit code {exit.ExitCode}"}): {said[(said.LastIndexOf('\n') + 1)..].Trim()}", cause);
        }
    }
}
