using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Templates;
using Hull.Linux;

namespace Hull.Hypervisor.Sandboxes;

/// <summary>How one sandbox machine is started.</summary>
/// <param name="Id">Name of the machine.</param>
/// <param name="Layers">Medium of the disk with the image's layers; null leaves the place empty for later.</param>
/// <param name="Writable">Medium of the disk that takes what is written.</param>
/// <param name="Tap">An open tap device the machine takes over; null connects its NIC to nothing.</param>
/// <param name="ConsolePath">File that takes what the guest kernel says; null discards it.</param>
/// <param name="LogPath">File that takes what the monitor says.</param>
public sealed record SandboxOptions(string Id, DiskBackend? Layers = null, DiskBackend? Writable = null, SafeFd? Tap = null,
    string? ConsolePath = null, string? LogPath = null);

/// <summary>A machine whose init is the guest agent, and the connection to that agent.</summary>
public sealed class SandboxMachine : IAsyncDisposable
{
    private SandboxMachine(QemuMachine machine, AgentClient agent)
    {
        Machine = machine;
        Agent = agent;
    }

    public QemuMachine Machine { get; }

    public AgentClient Agent { get; }

    /// <summary>Boots a machine from its kernel. The agent answers, and waits at the release gate.</summary>
    public static async Task<SandboxMachine> BootAsync(QemuHypervisor hypervisor, GuestImage guest, SandboxShape shape,
        SandboxOptions options, MemoryFile? memory = null, CancellationToken cancellationToken = default)
    {
        var sandbox = await LaunchAsync(hypervisor, guest, shape, options, memory, incoming: false, cancellationToken).ConfigureAwait(false);
        try
        {
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
        var sandbox = await LaunchAsync(hypervisor, template.Guest, template.Shape, options, template.Memory, incoming: true,
            cancellationToken).ConfigureAwait(false);
        try
        {
            await sandbox.Machine.LoadStateAsync(template.StatePath, cancellationToken).ConfigureAwait(false);
            await sandbox.Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
            return sandbox;
        }
        catch
        {
            await sandbox.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Agent.DisposeAsync().ConfigureAwait(false);
        await Machine.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task<SandboxMachine> LaunchAsync(QemuHypervisor hypervisor, GuestImage guest, SandboxShape shape,
        SandboxOptions options, MemoryFile? memory, bool incoming, CancellationToken cancellationToken)
    {
        var descriptors = new DescriptorTable();
        var (controlNumber, control) = descriptors.AddSocket();
        var (dataNumber, data) = descriptors.AddSocket();
        var parts = new SandboxParts(
            memory is null ? new AnonymousMemory()
                : new FileMemory($"/proc/self/fd/{descriptors.Add(memory.Descriptor.Duplicate())}", Shared: !incoming),
            options.ConsolePath is null ? new NullChannel() : new FileChannel(options.ConsolePath),
            controlNumber, dataNumber,
            options.Tap is null ? new UnconnectedNic() : new TapNic(descriptors.Add(options.Tap)),
            options.Layers, options.Writable, incoming);
        var config = shape.ToConfig(options.Id, guest, hypervisor.Accelerator.Name, parts);
        try
        {
            var machine = await hypervisor.LaunchQemuAsync(config, new LaunchOptions(descriptors, options.LogPath), cancellationToken)
                .ConfigureAwait(false);
            return new SandboxMachine(machine, new AgentClient(control, data));
        }
        catch
        {
            await control.DisposeAsync().ConfigureAwait(false);
            await data.DisposeAsync().ConfigureAwait(false);
            throw;
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
            var said = Machine.Config.Serial is FileChannel console && File.Exists(console.Path) ? File.ReadAllText(console.Path).Trim() : "";
            throw new HullException(ErrorKind.Internal, $"machine {Machine.Config.Id} ended during its boot " +
                $"({exit.Reason ?? $"exit code {exit.ExitCode}"}): {said[(said.LastIndexOf('\n') + 1)..].Trim()}", cause);
        }
    }
}
