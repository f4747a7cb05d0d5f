using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <param name="Id">Id of the new workload.</param>
/// <param name="Warnings">What was understood but does less than the user may expect.</param>
public sealed record CreateResult(string Id, IReadOnlyList<string> Warnings);

/// <param name="Signal">Name or number; null for the workload's stop signal.</param>
/// <param name="Timeout">Seconds until SIGKILL; -1 waits for ever; null for the workload's.</param>
public sealed record StopRequest(string? Signal = null, int? Timeout = null);

/// <param name="Force">Kill it if it runs.</param>
/// <param name="Volumes">Remove its anonymous volumes too.</param>
/// <param name="Link">Remove only the link <c>parent/alias</c>.</param>
public sealed record RemoveRequest(bool Force = false, bool Volumes = false, bool Link = false);

/// <summary>When a wait is over.</summary>
public enum WaitCondition
{
    /// <summary>It does not run; at once if it does not run now.</summary>
    NotRunning,

    /// <summary>The next exit after the registration, even if it is not started yet.</summary>
    NextExit,

    /// <summary>It is gone.</summary>
    Removed,
}

/// <summary>What a wait found.</summary>
public sealed record WaitResult(int ExitCode, string? Error);

/// <summary>
/// A wait that is registered: nothing that happens from now on is missed. Await <see cref="Completion"/>; dispose to give up.
/// </summary>
public sealed class WaitRegistration(string workload, Task<WaitResult> completion, Action cancel) : IDisposable
{
    /// <summary>Id of what is waited for.</summary>
    public string Workload { get; } = workload;

    public Task<WaitResult> Completion { get; } = completion;

    public void Dispose() => cancel();
}

/// <param name="Streams">Which streams to connect.</param>
/// <param name="Logs">Begin with what was logged so far.</param>
/// <param name="Stream">Go on with what comes; false ends after the logs.</param>
/// <param name="DetachKeys">Key sequence that detaches (<c>ctrl-p,ctrl-q</c>); null for the default, empty for none.</param>
public sealed record AttachRequest(StreamSelection Streams, bool Logs = false, bool Stream = true, string? DetachKeys = null);

/// <summary>Which lines of a log to read.</summary>
public sealed record LogQuery
{
    public StreamSelection Streams { get; init; } = StreamSelection.Output | StreamSelection.Error;

    /// <summary>Go on with lines as they come, until the workload ends.</summary>
    public bool Follow { get; init; }

    /// <summary>The last so many lines of what matches; null for all.</summary>
    public long? Tail { get; init; }

    public DateTimeOffset? Since { get; init; }
    public DateTimeOffset? Until { get; init; }
}

/// <summary>A change to a live or stopped workload; null members stay as they are.</summary>
public sealed record UpdateRequest
{
    public ResourceLimits? Resources { get; init; }
    public RestartPolicy? Restart { get; init; }

    /// <summary>The new set of published ports.</summary>
    public IReadOnlyList<PortConfig>? Ports { get; init; }

    /// <summary>The new set of mounts; takes effect at the next start.</summary>
    public IReadOnlyList<MountConfig>? Mounts { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }
    public HealthConfig? Health { get; init; }
    public LogConfig? Log { get; init; }
    public IReadOnlyList<string>? DependsOn { get; init; }

    /// <summary>The group it moves to, while it does not run; empty for none.</summary>
    public string? Group { get; init; }

    /// <summary>Replaces the opaque data of wire edges, by name.</summary>
    public IReadOnlyDictionary<string, string>? EdgeData { get; init; }
}

/// <summary>Which workloads; members are joined by "and", values of one member by "or".</summary>
public sealed record WorkloadFilter
{
    /// <summary>Running ones only, unless <see cref="Statuses"/> says otherwise.</summary>
    public bool All { get; init; }

    /// <summary>The newest so many, whatever their status; 0 for no bound.</summary>
    public int Last { get; init; }

    /// <summary>Prefixes of ids.</summary>
    public IReadOnlyList<string> Ids { get; init; } = [];

    /// <summary>Regular expressions (or parts) of names.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary><c>key</c> or <c>key=value</c>; all must match.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    public IReadOnlyList<WorkloadStatus> Statuses { get; init; } = [];
    public IReadOnlyList<int> ExitCodes { get; init; } = [];

    /// <summary>Image reference, id, or any image it descends from.</summary>
    public IReadOnlyList<string> Ancestors { get; init; } = [];

    /// <summary>Older than this workload (id or name).</summary>
    public string? Before { get; init; }

    /// <summary>Newer than this workload.</summary>
    public string? Since { get; init; }

    /// <summary>Volume names or mount targets.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    /// <summary>Network names or ids.</summary>
    public IReadOnlyList<string> Networks { get; init; } = [];

    /// <summary><c>port[/proto]</c> or a range, published on the host.</summary>
    public IReadOnlyList<string> Published { get; init; } = [];

    public IReadOnlyList<string> Exposed { get; init; } = [];

    /// <summary><c>starting</c>, <c>healthy</c>, <c>unhealthy</c>, <c>none</c>.</summary>
    public IReadOnlyList<string> Health { get; init; } = [];

    /// <summary><c>container</c>, <c>vm</c>.</summary>
    public IReadOnlyList<string> Isolations { get; init; } = [];
}

/// <summary>What a prune may take.</summary>
/// <param name="Until">Made before this.</param>
/// <param name="Labels"><c>key</c> or <c>key=value</c> that must match.</param>
/// <param name="LabelsNot">… that must not match.</param>
public sealed record PruneFilter(DateTimeOffset? Until, IReadOnlyList<string> Labels, IReadOnlyList<string> LabelsNot)
{
    public static PruneFilter None { get; } = new(null, [], []);
}

public sealed record PruneResult(IReadOnlyList<string> Removed, long SpaceReclaimed);

/// <param name="Count">How many; at least one for each name.</param>
/// <param name="Names">Of the first ones; others get generated names.</param>
public sealed record ForkRequest(int Count, IReadOnlyList<string> Names);

/// <param name="Ids">The new workloads, which run.</param>
/// <param name="Pause">How long the programs of the one that was forked stood still.</param>
public sealed record ForkResult(IReadOnlyList<string> Ids, TimeSpan Pause);

/// <summary>What a running workload was at one moment.</summary>
public sealed record SavedSnapshot(string Name, DateTimeOffset CreatedAt);

/// <param name="Pause">How long its programs stood still for it.</param>
public sealed record SnapshotResult(SavedSnapshot Snapshot, TimeSpan Pause);

/// <summary>The processes of a workload as a table.</summary>
public sealed record ProcessTable(IReadOnlyList<string> Titles, IReadOnlyList<IReadOnlyList<string>> Rows);

/// <summary>A usage sample with the one before it, for rates.</summary>
public sealed record StatsSample(string Id, string Name, InstanceStats Current, InstanceStats? Previous);

public enum ChangeKind
{
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// <summary>A path of the root that differs from the image.</summary>
public sealed record FileChange(string Path, ChangeKind Kind);

/// <summary>What a path inside a workload is.</summary>
/// <param name="Mode">st_mode of inode(7).</param>
/// <param name="LinkTarget">Target of a symbolic link, resolved inside the root; empty otherwise.</param>
public sealed record PathStat(string Name, long Size, uint Mode, DateTimeOffset ModifiedAt, string LinkTarget);

/// <param name="NoOverwriteDirNonDir">Refuse to replace a directory by a file or the other way round.</param>
/// <param name="CopyOwner">Keep the owners of the archive instead of giving entries to the workload's root.</param>
public sealed record ArchivePutRequest(string Path, bool NoOverwriteDirNonDir = false, bool CopyOwner = false);

/// <summary>An image to be made from a workload.</summary>
public sealed record CommitRequest
{
    /// <summary>Reference to tag; null for none.</summary>
    public string? Reference { get; init; }

    public string Comment { get; init; } = "";
    public string Author { get; init; } = "";

    /// <summary>Freeze the workload while its files are read.</summary>
    public bool Pause { get; init; } = true;

    /// <summary>Dockerfile instructions applied to the image's config (<c>CMD</c>, <c>ENV</c> …).</summary>
    public IReadOnlyList<string> Changes { get; init; } = [];

    /// <summary>Process settings that replace the workload's; null to keep them.</summary>
    public ProcessConfig? Process { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }
    public IReadOnlyList<string>? ExposedPorts { get; init; }
}

/// <summary>A further process in a workload.</summary>
public sealed record ExecConfig
{
    public required IReadOnlyList<string> Command { get; init; }
    public IReadOnlyList<string> Environment { get; init; } = [];
    public string? WorkingDirectory { get; init; }
    public string? User { get; init; }
    public bool Privileged { get; init; }
    public bool Terminal { get; init; }
    public StreamSelection Attach { get; init; }
    public string? DetachKeys { get; init; }
}

/// <summary>An exec as it is now.</summary>
public sealed record ExecSnapshot
{
    public required string Id { get; init; }
    public required string WorkloadId { get; init; }
    public required ExecConfig Config { get; init; }
    public bool Running { get; init; }

    /// <summary>Null until it has ended.</summary>
    public int? ExitCode { get; init; }

    public int ProcessId { get; init; }
}

/// <param name="Detach">Do not connect streams, even those the exec was made for.</param>
/// <param name="Columns">Terminal size at the start; 0 for the default.</param>
/// <param name="Rows">Terminal size at the start.</param>
public sealed record ExecStartRequest(bool Detach = false, int Columns = 0, int Rows = 0);
