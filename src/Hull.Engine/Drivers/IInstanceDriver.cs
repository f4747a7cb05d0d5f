using Hull.Core;
using Hull.Engine.Resources;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Network;

namespace Hull.Engine.Drivers;

/// <summary>
/// Turns an <see cref="InstanceSpec"/> into a running thing: an operating system container or a virtual machine.
/// </summary>
/// <remarks>
/// <para>Words. A <i>workload</i> is what the user asked for and lives in the engine. An <i>instance</i> is one
/// realization of it; it exists from <see cref="CreateAsync"/> to <see cref="IInstance.DeleteAsync"/> and runs at most
/// once: a restart is a new instance with the same id. The <i>init</i> is the instance's first process; its end is the
/// instance's end. An <i>exec</i> is a further process in it.</para>
/// <para>A life.</para>
/// <list type="number">
/// <item>The engine prepares what both isolations share (root snapshot, volumes, network endpoints, the files
/// <c>hosts</c>, <c>hostname</c> and <c>resolv.conf</c>) and calls <see cref="CreateAsync"/>. The driver builds
/// everything up to the last step before user code runs and answers with status <see cref="InstanceStatus.Created"/>:
/// whoever attaches now misses no byte.</item>
/// <item><see cref="IInstance.AttachAsync"/> any number of times, then <see cref="IInstance.StartAsync"/>: user code
/// runs. A program that cannot be executed fails one of the two calls with
/// <see cref="ErrorKind.CommandNotFound"/> or <see cref="ErrorKind.CommandNotExecutable"/>.</item>
/// <item><see cref="IInstance.ExecAsync"/>, <see cref="IInstance.SignalAsync"/>, <see cref="IInstance.PauseAsync"/> …
/// while it runs. <see cref="IInstance.Exited"/> completes once, with the status that the supervisor has already
/// written to disk and after the last byte of output has reached the log.</item>
/// <item><see cref="IInstance.DeleteAsync"/> takes every resource back: processes, cgroups, mounts, sockets, runtime
/// files. It is idempotent, works in any state (it kills what still runs), and after it nothing the driver made is left
/// except the log and the exit record, which belong to the engine.</item>
/// </list>
/// <para>The engine may die at any moment. A driver keeps no state in memory that it cannot find again: after a restart
/// the engine calls <see cref="ReconnectAsync"/> once per instance it had recorded. An instance whose supervisor lives is
/// handed back running, with logs unbroken; one that ended meanwhile is handed back stopped with its recorded exit
/// status; one whose supervisor was killed is ended by the driver (its processes do not outlive their supervisor) and
/// handed back stopped with exit code 137 and a reason; null means nothing of it is left.
/// <see cref="ReclaimAsync"/> takes back what an interrupted <see cref="CreateAsync"/> left.</para>
/// <para>Never: two live instances with one id; user code before <see cref="IInstance.StartAsync"/>, unless
/// <see cref="InstanceSpec.Begin"/> announced it; an
/// <see cref="IInstance.Exited"/> without the exit record on disk; a method that waits for user code.
/// Methods of one instance may be called at the same time from many threads.</para>
/// </remarks>
public interface IInstanceDriver : IAsyncDisposable
{
    /// <summary>The isolation it implements as users write it: <c>container</c>, <c>vm</c>.</summary>
    string Isolation { get; }

    /// <summary>What it can do on this machine.</summary>
    DriverCapabilities Capabilities { get; }

    /// <summary>What the network must put at the instance's end of its endpoints.</summary>
    AttachmentKind NetworkAttachment { get; }

    /// <summary>Facts for the users of <c>info</c>: kernel, accelerator, runtime names and versions.</summary>
    IReadOnlyDictionary<string, string> Describe();

    /// <summary>
    /// Checks, without doing anything, that the spec asks nothing the driver cannot do; throws
    /// <see cref="ErrorKind.Unsupported"/> or <see cref="ErrorKind.InvalidArgument"/>. Returns warnings for the user.
    /// </summary>
    IReadOnlyList<string> Validate(InstanceSpec spec);

    /// <summary>
    /// Bytes of memory that an instance has to itself whether its programs use it or not, as a virtual machine has; 0 where
    /// memory is what its programs use.
    /// </summary>
    long FixedMemoryOf(ResourceLimits resources, IsolationOptions isolation) => 0;

    /// <summary>Builds an instance up to the point where user code would run. Leaves nothing behind when it fails.</summary>
    Task<IInstance> CreateAsync(InstanceSpec spec, CancellationToken cancellationToken);

    /// <summary>Finds an instance again after the engine was restarted; null when nothing of it exists.</summary>
    Task<IInstance?> ReconnectAsync(InstanceSpec spec, CancellationToken cancellationToken);

    /// <summary>Takes back whatever carries this id and no longer answers: for interrupted creations and foreign damage.</summary>
    Task ReclaimAsync(string id, CancellationToken cancellationToken);

    /// <summary>
    /// The root file system of a workload that is not running, with its mounts, for copying in and out. The root is
    /// mounted where nobody else sees it and disappears with the returned object.
    /// </summary>
    Task<IRootAccess> OpenStoppedRootAsync(InstanceSpec spec, CancellationToken cancellationToken);

    /// <summary>Gives back what is kept only to make the next instances faster; it is had again when they come.</summary>
    void ReleaseIdle()
    {
    }

    /// <summary>What <see cref="IInstance.SaveAsync"/> kept in a directory.</summary>
    ISavedInstance OpenSaved(string directory);
}

/// <summary>
/// An instance as it was at one moment. Any number can go on from it, one with the same id or others with theirs: each has its
/// own address, host name, machine id and random numbers before its programs run on.
/// </summary>
public interface ISavedInstance : IDisposable
{
    /// <summary>How long its programs stood still for it; zero where that is not known any more.</summary>
    TimeSpan Pause { get; }

    /// <summary>One instance goes on from it and no other, now or later: it may take what is saved in place of a copy.</summary>
    bool IsForOne { get; set; }
}

/// <summary>Where an instance is in its life.</summary>
public enum InstanceStatus
{
    Created,
    Running,
    Paused,
    Stopped,
}

/// <summary>One realization of a workload. See <see cref="IInstanceDriver"/> for its life.</summary>
public interface IInstance : IAsyncDisposable
{
    string Id { get; }

    InstanceStatus Status { get; }

    /// <summary>Process id of the init as the host sees it (of the monitor, for a virtual machine).</summary>
    int ProcessId { get; }

    /// <summary>When user code began to run.</summary>
    DateTimeOffset? StartedAt { get; }

    /// <summary>Completes when the instance has ended, is recorded on disk, and its output has been logged.</summary>
    Task<ExitStatus> Exited { get; }

    /// <summary>
    /// The kernel killed a process of the instance for memory, maybe not its init. Where the driver cannot tell when it
    /// happens, <see cref="ExitStatus.OutOfMemory"/> tells in the end.
    /// </summary>
    event Action? OutOfMemory;

    /// <summary>Lets user code run. Once per instance.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>
    /// A connection to the standard streams of the init: output from now on, input if asked for. Slow readers hold back
    /// the instance once their buffer is full, as a pipe would; nothing is lost or reordered.
    /// </summary>
    Task<IAttachment> AttachAsync(StreamSelection streams, CancellationToken cancellationToken);

    /// <summary>Sets the terminal size of the init; <see cref="ErrorKind.Conflict"/> without a terminal.</summary>
    Task ResizeAsync(int columns, int rows, CancellationToken cancellationToken);

    /// <summary>Starts a further process inside. Answers when the program has been executed or could not be.</summary>
    Task<IInstanceProcess> ExecAsync(ExecSpec spec, CancellationToken cancellationToken);

    /// <summary>Sends a signal to the init, or to every process inside.</summary>
    Task SignalAsync(int signal, bool everyProcess, CancellationToken cancellationToken);

    Task PauseAsync(CancellationToken cancellationToken);

    Task ResumeAsync(CancellationToken cancellationToken);

    /// <summary>Applies new limits; a member that is null stays as it is.</summary>
    Task UpdateAsync(ResourceLimits limits, CancellationToken cancellationToken);

    /// <summary>What memory it has of the host, and how much of that its programs need.</summary>
    Task<MemoryHolding> ReadMemoryAsync(CancellationToken cancellationToken);

    /// <summary>Makes it do with so many bytes, as far as that takes nothing from its programs; null ends that.</summary>
    Task PressMemoryAsync(long? bytes, CancellationToken cancellationToken);

    /// <summary>Usage as seen now, without waiting.</summary>
    Task<InstanceStats> StatsAsync(CancellationToken cancellationToken);

    /// <summary>The processes inside, by their ids on the host where they have one.</summary>
    Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The processes inside as a table, with arguments of ps(1), where only the instance can make it; null where the host's
    /// ps(1) over <see cref="ProcessIdsAsync"/> does.
    /// </summary>
    Task<ProcessTable?> ProcessTableAsync(string arguments, CancellationToken cancellationToken);

    /// <summary>The root file system as the init sees it now, mounts included.</summary>
    Task<IRootAccess> OpenRootAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Saves memory, devices and disk as they are at one moment, while it runs on: what is answered can be
    /// <see cref="InstanceSpec.Saved"/> of the instances that go on from there.
    /// </summary>
    /// <param name="directory">Takes what is saved; it must not exist.</param>
    /// <param name="keep">Whether it is to be found there by <see cref="IInstanceDriver.OpenSaved"/> later on.</param>
    Task<ISavedInstance> SaveAsync(string directory, bool keep, CancellationToken cancellationToken);

    /// <summary>Ends it if it runs and takes every resource back. Idempotent.</summary>
    Task DeleteAsync(CancellationToken cancellationToken);
}

/// <summary>An exec: a further process in an instance.</summary>
public interface IInstanceProcess : IAsyncDisposable
{
    string ExecId { get; }

    /// <summary>Process id on the host, 0 where it has none.</summary>
    int ProcessId { get; }

    /// <summary>Completes when the process has ended and its output has been handed to the attachments.</summary>
    Task<ExitStatus> Exited { get; }

    /// <summary>The attachment that was opened with the process (<see cref="ExecSpec.Attach"/>), or null.</summary>
    IAttachment? Attachment { get; }

    Task ResizeAsync(int columns, int rows, CancellationToken cancellationToken);

    Task SignalAsync(int signal, CancellationToken cancellationToken);
}

/// <summary>How a process ended.</summary>
/// <param name="Code">Exit code, or 128 plus the signal.</param>
/// <param name="At">When.</param>
/// <param name="OutOfMemory">The kernel killed a process of the instance for memory.</param>
/// <param name="Reason">Why, where it was not the program's own doing; null otherwise.</param>
public sealed record ExitStatus(int Code, DateTimeOffset At, bool OutOfMemory = false, string? Reason = null);

/// <summary>Which standard streams.</summary>
[Flags]
public enum StreamSelection
{
    None = 0,
    Input = 1,
    Output = 2,
    Error = 4,
    All = Input | Output | Error,
}

/// <summary>The stream that bytes came from; the values are also the ones on the wire between shim and engine.</summary>
public enum OutputStream : byte
{
    Output = 1,
    Error = 2,
}

/// <summary>What <see cref="IAttachment.ReadAsync"/> answered; a count of 0 is the end of all output.</summary>
public readonly record struct OutputChunk(OutputStream Stream, int Count);

/// <summary>A connection to the standard streams of a process. Disposing it detaches; the process does not notice.</summary>
public interface IAttachment : IAsyncDisposable
{
    /// <summary>The process has a terminal: one stream, bytes as they are.</summary>
    bool Terminal { get; }

    /// <summary>Waits for output and fills the buffer with bytes of one stream.</summary>
    ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>No more input from this attachment: with <c>StdinOnce</c>, end of file for the process.</summary>
    ValueTask CloseInputAsync();
}

/// <summary>
/// A root file system for copying in and out. Every path is resolved below the root by the descriptor-based path library,
/// here or, for a root of another kernel, there; none is ever turned into a path of the host.
/// </summary>
public interface IRootAccess : IAsyncDisposable
{
    /// <summary>The root directory, opened by path only; null for a root of another kernel.</summary>
    SafeFd? Descriptor { get; }

    /// <summary>What is at the path; the last component itself, not what it links to.</summary>
    Task<PathStat> StatAsync(string path, CancellationToken cancellationToken);

    /// <summary>Writes what is at the path as a tar archive, named by its last component.</summary>
    Task ReadAsync(string path, Stream destination, CancellationToken cancellationToken);

    /// <summary>Writes the whole root as a tar archive, without what is mounted in it.</summary>
    Task ReadTreeAsync(Stream destination, CancellationToken cancellationToken);

    /// <summary>Unpacks an archive, plain or compressed, below a directory of the root.</summary>
    Task WriteAsync(ArchivePutRequest request, Stream archive, CancellationToken cancellationToken);
}
