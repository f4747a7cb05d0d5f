using System.Net.Sockets;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor;

/// <summary>
/// A program that runs virtual machines.
/// <para>
/// The life of a machine: <see cref="LaunchAsync"/> starts its monitor with the machine paused before its first
/// instruction, or, with <see cref="VirtualMachineConfig.Incoming"/>, waiting for a saved state. From there
/// <see cref="IVirtualMachine.ResumeAsync"/> boots it, or <see cref="IVirtualMachine.LoadStateAsync"/> and then
/// resume continues what was saved. It ends by its own power-off, by <see cref="IVirtualMachine.StopAsync"/> or
/// with its monitor; then <see cref="IVirtualMachine.Exited"/> completes and nothing of it is left running.
/// </para>
/// <para>What an implementation cannot do it says in <see cref="Capabilities"/>, so that callers ask first.</para>
/// </summary>
public interface IHypervisor
{
    HypervisorCapabilities Capabilities { get; }

    /// <summary>Starts the monitor of a machine. Nothing is left behind where this throws.</summary>
    Task<IVirtualMachine> LaunchAsync(VirtualMachineConfig config, LaunchOptions options,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// Takes up a machine again whose monitor another process launched with <see cref="LaunchOptions.ControlSocket"/>.
    /// What that process had begun and not finished is taken back; whether the machine runs or stands still stays as it is.
    /// How it ended will be known by its reason alone: the exit code belongs to the process that launched it.
    /// </summary>
    Task<IVirtualMachine> ReattachAsync(VirtualMachineConfig config, int processId, LaunchOptions options,
        CancellationToken cancellationToken = default);
}

/// <summary>How a monitor process is started.</summary>
/// <param name="Descriptors">Descriptors the monitor inherits under the numbers that the config names.</param>
/// <param name="LogPath">File that takes what the monitor prints; null discards it.</param>
/// <param name="ControlSocket">Unix socket on which the monitor can be reached by a later process; null makes none.</param>
/// <param name="Jail">What the monitor is confined to; null starts it as a plain child.</param>
public sealed record LaunchOptions(DescriptorTable? Descriptors = null, string? LogPath = null, string? ControlSocket = null,
    Qemu.QemuJail? Jail = null);

/// <summary>Descriptors for a monitor process. It is created first, so that a config can name their numbers there.</summary>
/// <param name="first">Number of the first there.</param>
public sealed class DescriptorTable(int first = 3) : IDisposable
{
    private readonly List<SafeFd> _descriptors = [];
    private readonly List<int> _files = [];

    /// <summary>The descriptors in the order of their numbers.</summary>
    public IReadOnlyList<SafeFd> Descriptors => _descriptors;

    /// <summary>Takes ownership of a descriptor and answers its number in the monitor process.</summary>
    public int Add(SafeFd descriptor)
    {
        _descriptors.Add(descriptor);
        return first - 1 + _descriptors.Count;
    }

    /// <summary>Number of the next one.</summary>
    public int Next => first + _descriptors.Count;

    /// <summary>Numbers of the descriptors that the monitor may open again by name; see <see cref="AddFile"/>.</summary>
    public IReadOnlyList<int> FileNumbers => _files;

    /// <summary>
    /// Takes ownership of an open file and answers the path by which the monitor opens it, with the access it was opened
    /// with here: so a monitor needs no right to the file itself.
    /// </summary>
    public string AddFile(SafeFd file)
    {
        var number = Add(file);
        _files.Add(number);
        return $"/dev/fdset/{number}";
    }

    /// <summary>An added descriptor by its number.</summary>
    public SafeFd this[int number] => _descriptors[number - first];

    /// <summary>Opens a file and answers the path by which the monitor opens it.</summary>
    /// <param name="flags">O_* flags.</param>
    public string OpenFile(string path, int flags) =>
        AddFile(Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, flags, 0x180), $"open {path}"));

    /// <summary>Adds one end of a new stream socket pair and answers its number and, as a stream, the other end.</summary>
    public (int Number, Stream Stream) AddSocket()
    {
        var (near, far) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
        return (Add(far), new NetworkStream(new Socket(new SafeSocketHandle(near.Release(), ownsHandle: true)), ownsSocket: true));
    }

    public void Dispose()
    {
        foreach (var descriptor in _descriptors) descriptor.Dispose();
        _descriptors.Clear();
    }
}

/// <summary>A machine and its monitor. Safe for use from several threads; operations run one after the other.</summary>
public interface IVirtualMachine : IAsyncDisposable
{
    VirtualMachineConfig Config { get; }

    /// <summary>Process id of the monitor on the host.</summary>
    int ProcessId { get; }

    /// <summary>Completes when the monitor has ended, with the reason.</summary>
    Task<MachineExit> Exited { get; }

    Task<MachineState> QueryStateAsync(CancellationToken cancellationToken = default);

    Task PauseAsync(CancellationToken cancellationToken = default);

    Task ResumeAsync(CancellationToken cancellationToken = default);

    Task ResetAsync(CancellationToken cancellationToken = default);

    /// <summary>Presses the power button. Whether the guest heeds it is its own affair; watch <see cref="Exited"/>.</summary>
    Task PowerButtonAsync(CancellationToken cancellationToken = default);

    /// <summary>Ends the machine now, as a power failure would.</summary>
    Task StopAsync(CancellationToken cancellationToken = default);

    /// <summary>Ends the machine now, but closes its disks in order first; falls back to <see cref="StopAsync"/>.</summary>
    Task QuitAsync(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Lets go of the monitor without ending the machine; the object is of no further use.</summary>
    ValueTask DetachMonitorAsync();

    /// <summary>Writes the device state, and RAM that is not in a shared file, while the machine is paused.</summary>
    Task SaveStateAsync(string path, CancellationToken cancellationToken = default);

    /// <summary>Loads what <see cref="SaveStateAsync"/> wrote; the machine stays paused.</summary>
    Task LoadStateAsync(string path, CancellationToken cancellationToken = default);

    /// <summary>Puts a medium into a disk, in place of the one it has, while the machine runs or is paused.</summary>
    Task ExchangeDiskAsync(string diskId, DiskBackend backend, CancellationToken cancellationToken = default);

    /// <summary>
    /// Puts a new qcow2 overlay, made with the disk's present file as its backing file, on each of the named disks: all
    /// at one point in time, or none. The files below are not written again.
    /// </summary>
    Task SwitchDisksAsync(IReadOnlyDictionary<string, ImageDisk> overlays, CancellationToken cancellationToken = default);

    /// <summary>
    /// Copies disks as they are at one point in time into images, while the machine runs or is paused. A full copy starts
    /// the named dirty bitmap anew; an incremental one copies what was written since, and is a
    /// <see cref="ErrorKind.Conflict"/> where the bitmap is gone.
    /// </summary>
    /// <param name="bitmap">Null makes a copy that no later one adds to.</param>
    Task BackupDisksAsync(IReadOnlyList<DiskBackup> disks, string? bitmap, bool incremental, CancellationToken cancellationToken = default);

    /// <summary>Plugs a disk in, into its slot or, without one, into the first that is free.</summary>
    Task AttachDiskAsync(DiskConfig disk, CancellationToken cancellationToken = default);

    Task AttachNicAsync(NicConfig nic, CancellationToken cancellationToken = default);

    Task DetachAsync(string deviceId, CancellationToken cancellationToken = default);

    /// <summary>Plugs processors until the machine has <paramref name="count"/>; fewer is unsupported where it is unsafe.</summary>
    Task SetProcessorsAsync(int count, CancellationToken cancellationToken = default);

    /// <summary>Plugs one module of memory in, as <see cref="SetMemoryAsync"/> did before the state was saved that is to be loaded.</summary>
    Task PlugMemoryAsync(long bytes, CancellationToken cancellationToken = default);

    /// <summary>
    /// Asks the guest by balloon, or by plugged memory above the start size, to live with so many bytes. Answers the size
    /// of the module that was plugged in for that, 0 for none.
    /// </summary>
    Task<long> SetMemoryAsync(long bytes, CancellationToken cancellationToken = default);

    /// <summary>What the guest has of memory, and what it says it could do without. Needs a balloon.</summary>
    Task<GuestMemory> QueryGuestMemoryAsync(CancellationToken cancellationToken = default);

    /// <summary>Asks the guest to live with so many bytes; nothing is plugged in for that. Needs a balloon.</summary>
    Task SetBalloonAsync(long bytes, CancellationToken cancellationToken = default);

    Task<MachineStatistics> QueryStatisticsAsync(CancellationToken cancellationToken = default);

    /// <summary>Writes the screen as PNG.</summary>
    Task ScreenshotAsync(string path, CancellationToken cancellationToken = default);
}

public enum MachineState
{
    /// <summary>Paused before its first instruction.</summary>
    NotStarted,

    /// <summary>Paused between instructions.</summary>
    Paused,
    Running,

    /// <summary>Waiting for a saved state, or loading one.</summary>
    Incoming,

    /// <summary>The guest powered off or crashed, and the monitor still holds its last state.</summary>
    Stopped,
}

/// <summary>How a monitor ended.</summary>
/// <param name="Reason">What QEMU's SHUTDOWN event says, such as <c>guest-shutdown</c>; null where it ended without one.</param>
/// <param name="ExitCode">Exit code of the monitor, or 128 plus the signal that ended it.</param>
public sealed record MachineExit(string? Reason, int ExitCode);

/// <summary>Memory of a guest, in bytes.</summary>
/// <param name="Bytes">What the guest was given, without what its balloon holds.</param>
/// <param name="Available">What its kernel could give to programs without swapping; null where it does not say so, or not yet.</param>
public readonly record struct GuestMemory(long Bytes, long? Available);

/// <summary>Counters of a machine since its monitor started.</summary>
public sealed record MachineStatistics(IReadOnlyList<DiskStatistics> Disks, long? BalloonBytes);

public sealed record DiskStatistics(string DiskId, long ReadBytes, long WrittenBytes, long Reads, long Writes);

/// <summary>A disk to copy, and the image that takes the copy.</summary>
public sealed record DiskBackup(string DiskId, ImageDisk Target);
