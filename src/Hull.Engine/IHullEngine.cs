using Hull.Engine.Drivers;
using Hull.Engine.Events;
using Hull.Engine.Logs;
using Hull.Engine.Resources;
using Hull.Engine.Volumes;
using Hull.Engine.Workloads;
using Hull.Network;

namespace Hull.Engine;

/// <summary>
/// The engine as its wire edges see it. Every operation throws <see cref="Hull.Core.HullException"/>; every one may be
/// called from many threads. Workloads are named by id, unambiguous prefix of an id, or name.
/// </summary>
public interface IHullEngine
{
    IWorkloads Workloads { get; }

    IExecs Execs { get; }

    IEvents Events { get; }

    NetworkManager Networks { get; }

    IVolumeManager Volumes { get; }

    IResourceGroups Groups { get; }

    /// <summary>The drivers by isolation name.</summary>
    IReadOnlyDictionary<string, IInstanceDriver> Drivers { get; }

    EngineOptions Options { get; }
}

/// <summary>Workloads and what is done with them.</summary>
public interface IWorkloads
{
    /// <summary>
    /// Stores a new workload and prepares its root. <see cref="Hull.Core.ErrorKind.NotFound"/> for a missing image,
    /// <see cref="Hull.Core.ErrorKind.Conflict"/> for a name in use.
    /// </summary>
    Task<CreateResult> CreateAsync(WorkloadConfig config, CancellationToken cancellationToken);

    /// <summary>Runs it; <see cref="Hull.Core.ErrorKind.NotModified"/> when it runs already.</summary>
    Task StartAsync(string workload, CancellationToken cancellationToken);

    /// <summary>Asks it to end and kills it after the timeout; <see cref="Hull.Core.ErrorKind.NotModified"/> when it does not run.</summary>
    Task StopAsync(string workload, StopRequest request, CancellationToken cancellationToken);

    /// <summary>Sends a signal by name or number (null for SIGKILL) to the init.</summary>
    Task KillAsync(string workload, string? signal, CancellationToken cancellationToken);

    Task RestartAsync(string workload, StopRequest request, CancellationToken cancellationToken);

    Task PauseAsync(string workload, CancellationToken cancellationToken);

    Task UnpauseAsync(string workload, CancellationToken cancellationToken);

    Task RenameAsync(string workload, string name, CancellationToken cancellationToken);

    /// <summary>Changes limits, policies, ports or mounts; answers warnings, such as "takes effect at the next start".</summary>
    Task<IReadOnlyList<string>> UpdateAsync(string workload, UpdateRequest request, CancellationToken cancellationToken);

    /// <summary>Registers a wait; what happens after this call returns is not missed.</summary>
    WaitRegistration Wait(string workload, WaitCondition condition);

    /// <summary>
    /// Connects to the standard streams. A workload that does not run yet is connected from its first byte when it is
    /// started. The logs asked for come first.
    /// </summary>
    Task<IAttachment> AttachAsync(string workload, AttachRequest request, CancellationToken cancellationToken);

    Task ResizeAsync(string workload, int columns, int rows, CancellationToken cancellationToken);

    /// <summary>Reads the log; <see cref="Hull.Core.ErrorKind.Unsupported"/> for log drivers that cannot be read back.</summary>
    IAsyncEnumerable<LogEntry> LogsAsync(string workload, LogQuery query, CancellationToken cancellationToken);

    /// <summary>The processes inside, with the columns that ps(1) arguments ask for.</summary>
    Task<ProcessTable> TopAsync(string workload, string psArguments, CancellationToken cancellationToken);

    /// <summary>Usage now; all zero for a workload that does not run.</summary>
    Task<StatsSample> StatsAsync(string workload, bool withPrevious, CancellationToken cancellationToken);

    /// <summary>What each running workload was promised and allowed, and what was taken from it.</summary>
    Task<IReadOnlyList<Allocation>> AllocationsAsync(CancellationToken cancellationToken);

    /// <summary>Usage once a second until the workload is removed.</summary>
    IAsyncEnumerable<StatsSample> StatsStreamAsync(string workload, CancellationToken cancellationToken);

    /// <summary>What differs from the image.</summary>
    Task<IReadOnlyList<FileChange>> ChangesAsync(string workload, CancellationToken cancellationToken);

    Task<PathStat> StatPathAsync(string workload, string path, CancellationToken cancellationToken);

    /// <summary>Writes the path as a tar archive; the stat is known before the first byte.</summary>
    Task ReadArchiveAsync(string workload, string path, Func<PathStat, CancellationToken, Task<Stream>> destination,
        CancellationToken cancellationToken);

    /// <summary>Unpacks a tar archive (gzip, bzip2, xz and zstd are recognized) below a directory inside.</summary>
    Task WriteArchiveAsync(string workload, ArchivePutRequest request, Stream archive, CancellationToken cancellationToken);

    /// <summary>Writes the whole root as one tar archive.</summary>
    Task ExportAsync(string workload, Stream destination, CancellationToken cancellationToken);

    /// <summary>Makes an image of the workload; answers its id.</summary>
    Task<string> CommitAsync(string workload, CommitRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Duplicates a running workload, memory and disk included, while it runs: each fork goes on from the same moment with a
    /// name, addresses and random numbers of its own.
    /// </summary>
    Task<ForkResult> ForkAsync(string workload, ForkRequest request, CancellationToken cancellationToken);

    /// <summary>Keeps a running workload's memory and disk as they are now; it goes with the workload.</summary>
    Task<SnapshotResult> SaveSnapshotAsync(string workload, string name, CancellationToken cancellationToken);

    /// <summary>Oldest first.</summary>
    IReadOnlyList<SavedSnapshot> Snapshots(string workload);

    /// <summary>Goes on from a snapshot; what came after it is lost.</summary>
    Task RestoreSnapshotAsync(string workload, string name, CancellationToken cancellationToken);

    Task RemoveSnapshotAsync(string workload, string name, CancellationToken cancellationToken);

    Task RemoveAsync(string workload, RemoveRequest request, CancellationToken cancellationToken);

    /// <summary>Removes every workload that does not run and that the filter accepts.</summary>
    Task<PruneResult> PruneAsync(PruneFilter filter, CancellationToken cancellationToken);

    Task ConnectAsync(string workload, string network, AttachmentConfig config, CancellationToken cancellationToken);

    Task DisconnectAsync(string workload, string network, bool force, CancellationToken cancellationToken);

    /// <summary>Everything about one; <paramref name="withSize"/> also measures its layers, which takes time.</summary>
    Task<WorkloadSnapshot> InspectAsync(string workload, bool withSize, CancellationToken cancellationToken);

    /// <summary>Newest first.</summary>
    Task<IReadOnlyList<WorkloadSnapshot>> ListAsync(WorkloadFilter filter, bool withSize, CancellationToken cancellationToken);

    /// <summary>Id for an id, prefix or name; null when there is none. <see cref="Hull.Core.ErrorKind.InvalidArgument"/> for an ambiguous prefix.</summary>
    string? Find(string workload);

    /// <summary>Counts by status.</summary>
    IReadOnlyDictionary<WorkloadStatus, int> Counts { get; }

    /// <summary>
    /// Waits, for a few seconds at most, until the files of workloads that are removed already are gone: an end with
    /// <c>--rm</c> is told before, and the image is in use until then.
    /// </summary>
    Task FinishRemovalsAsync() => Task.CompletedTask;
}

/// <summary>Further processes in running workloads.</summary>
public interface IExecs
{
    /// <summary>Prepares an exec; <see cref="Hull.Core.ErrorKind.Conflict"/> unless the workload runs and is not paused.</summary>
    Task<string> CreateAsync(string workload, ExecConfig config, CancellationToken cancellationToken);

    /// <summary>
    /// Runs it. Answers the attachment, connected from the first byte, or null when detached. Failure to execute throws
    /// <see cref="Hull.Core.ErrorKind.CommandNotFound"/> or <see cref="Hull.Core.ErrorKind.CommandNotExecutable"/>.
    /// </summary>
    Task<IAttachment?> StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken);

    Task ResizeAsync(string execId, int columns, int rows, CancellationToken cancellationToken);

    ExecSnapshot Inspect(string execId);
}

/// <summary>What happens in the engine, as it happens and a while back.</summary>
public interface IEvents
{
    /// <summary>
    /// Past events that match (the last 1,000 are kept), then those to come until <see cref="EventFilter.Until"/>. A
    /// reader that is 1,000 events behind loses the oldest. The subscription exists when the call returns.
    /// </summary>
    IAsyncEnumerable<EngineEvent> SubscribeAsync(EventFilter filter, CancellationToken cancellationToken);

    void Publish(EngineEvent what);
}
