using System.Net.Sockets;
using Hull.Hypervisor.Qmp;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

/// <summary>Runs machines with QEMU, one monitor process each, spoken to over QMP on an inherited socket.</summary>
public sealed class QemuHypervisor(QemuInstallation installation, AcceleratorChoice accelerator) : IHypervisor
{
    public HypervisorCapabilities Capabilities { get; } = QemuFeatures.Of(installation, accelerator);

    public QemuInstallation Installation => installation;

    public AcceleratorChoice Accelerator => accelerator;

    /// <summary>Finds QEMU for an architecture and chooses the accelerator; see <see cref="AcceleratorProbe"/>.</summary>
    public static async Task<QemuHypervisor> DetectAsync(string architecture, string? cacheDirectory,
        CancellationToken cancellationToken = default)
    {
        var installation = await QemuInstallation.FindAsync(architecture, cancellationToken).ConfigureAwait(false);
        var accelerator = await AcceleratorProbe.ChooseAsync(installation, cacheDirectory, cancellationToken).ConfigureAwait(false);
        return new QemuHypervisor(installation, accelerator);
    }

    public async Task<IVirtualMachine> LaunchAsync(VirtualMachineConfig config, LaunchOptions options,
        CancellationToken cancellationToken = default) =>
        await LaunchQemuAsync(config, options, cancellationToken).ConfigureAwait(false);

    public async Task<IVirtualMachine> ReattachAsync(VirtualMachineConfig config, int processId, LaunchOptions options,
        CancellationToken cancellationToken = default)
    {
        var path = options.ControlSocket ?? throw HullException.Invalid($"machine {config.Id} has no control socket to find its monitor by");
        var process = ChildProcess.AdoptStranger(processId, Check.Descriptor(ProcessCalls.PidfdOpen(processId), $"find monitor {processId}"), installation.Program);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            var qmp = await QmpClient.ConnectAsync(new NetworkStream(socket, ownsSocket: true), cancellationToken: cancellationToken).ConfigureAwait(false);
            var machine = new QemuMachine(config, process, qmp, Capabilities, options);
            // First, because a copy that goes on has put a node of its own on the disk's.
            await machine.AbandonOperationsAsync(cancellationToken).ConfigureAwait(false);
            await machine.LearnNodesAsync(cancellationToken).ConfigureAwait(false);
            return machine;
        }
        catch (Exception cause) when (cause is SocketException or HullException)
        {
            socket.Dispose();
            process.Dispose();
            throw new HullException(ErrorKind.Unavailable, $"the monitor of machine {config.Id} (process {processId}) does not answer on {path}", cause);
        }
    }

    /// <summary><see cref="LaunchAsync"/> with QEMU's own type, for callers that need the monitor.</summary>
    public async Task<QemuMachine> LaunchQemuAsync(VirtualMachineConfig config, LaunchOptions options,
        CancellationToken cancellationToken = default)
    {
        using var descriptors = options.Descriptors ?? new DescriptorTable();
        var (monitorNumber, monitor) = descriptors.AddSocket();
        ChildProcess? process = null;
        try
        {
            using var log = options.LogPath is null ? null : OpenLog(options.LogPath);
            var arguments = QemuCommandLine.Build(options.Jail is null ? config : QemuFiles.Pass(config, descriptors), accelerator.Name, new DescriptorChannel(monitorNumber), options.ControlSocket,
                descriptors.FileNumbers, options.Jail is { IsOriginal: true });
            process = options.Jail is { } jail
                ? jail.Start(installation.Program, arguments, log, descriptors.Descriptors, accelerator.Name == "kvm")
                : ChildProcess.Start(new ChildProcessOptions(installation.Program, arguments)
                {
                    Stdout = log,
                    Stderr = log,
                    ExtraDescriptors = descriptors.Descriptors,
                    NewSession = true,
                });
            // The far ends must be open in the monitor alone, or its end would never be seen on the near ones.
            descriptors.Dispose();
            var qmp = await ConnectAsync(process, monitor, options.LogPath, cancellationToken).ConfigureAwait(false);
            options.Jail?.Close();
            return new QemuMachine(config, process, qmp, Capabilities, options);
        }
        catch
        {
            process?.Kill(9);
            process?.Wait();
            process?.Dispose();
            await monitor.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<QmpClient> ConnectAsync(ChildProcess process, Stream monitor, string? logPath,
        CancellationToken cancellationToken)
    {
        try
        {
            return await QmpClient.ConnectAsync(monitor, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.Unavailable)
        {
            var said = LastLine(logPath);
            var status = process.TryWait(1000);
            throw new HullException(ErrorKind.Internal,
                $"qemu ended before its monitor answered ({status?.ToString() ?? "still ending"}){(said.Length > 0 ? ": " + said : "")}", cause);
        }
    }

    /// <summary>What QEMU said last, which names the cause of its end; empty if it said nothing.</summary>
    internal static string LastLine(string? path)
    {
        if (path is null || !File.Exists(path)) return "";
        var text = File.ReadAllText(path).Trim();
        return text[(text.LastIndexOf('\n') + 1)..];
    }

    private static SafeFd OpenLog(string path) => Check.Descriptor(
        FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x180), $"open {path}");
}
