using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
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
public sealed class SandboxMachine : IAsyncDisposable
{
    private readonly SandboxOptions _options;

    /// <summary>The template's memory, from which this machine's own differs by what it has written; null where it shares none.</summary>
    private SafeFd? _base;
    private byte[]? _beginning;

    private SandboxMachine(QemuMachine machine, AgentClient agent, SandboxOptions options)
    {
        Machine = machine;
        Agent = agent;
        _options = options;
    }

    public QemuMachine Machine { get; }

    public AgentClient Agent { get; }

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

    /// <summary>
    /// Saves the machine as it is at one moment: RAM into a memory file, the state of its devices into a file, and whatever
    /// <paramref name="whilePaused"/> does. What can be copied ahead is: the machine stands still for what it has changed only.
    /// </summary>
    /// <returns>How long programs of the guest stood still.</returns>
    public async Task<TimeSpan> SaveAsync(SafeFd memory, string statePath, Action whilePaused, CancellationToken cancellationToken = default)
    {
        if (_base is null || _beginning is null)
            throw HullException.Unsupported($"machine {Machine.Config.Id} was not made from a template or shares files of the host, so it can be neither saved nor duplicated");
        var (_, plugged) = await Machine.Qmp.ExecuteAsync(QmpCommands.QueryMemorySize(), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (plugged > 0)
            throw HullException.Unsupported($"machine {Machine.Config.Id} was given memory while it ran, so it can be neither saved nor duplicated: start it with that much");
        SparseFile.Copy(_base, memory, Machine.Config.MemoryBytes);
        var stopped = System.Diagnostics.Stopwatch.GetTimestamp();
        await Agent.QuiesceAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await Machine.PauseAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                PrivatePages.CopyTo(Machine.ProcessId, _base, memory);
                whilePaused();
                await Machine.SaveDevicesAsync(statePath, _beginning, cancellationToken).ConfigureAwait(false);
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
        try
        {
            var machine = await hypervisor.LaunchQemuAsync(config, new LaunchOptions(descriptors, options.LogPath, Jail: options.Jail),
                cancellationToken).ConfigureAwait(false);
            return (new SandboxMachine(machine, new AgentClient(control, data,
                // Ports of a machine that is made from a saved one may hold frames for streams of its old host.
                statePath is null ? 0 : (uint)Random.Shared.Next(1 << 20, 1 << 30)), options), state);
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
