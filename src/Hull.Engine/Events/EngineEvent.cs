namespace Hull.Engine.Events;

/// <summary>What kind of object an event is about.</summary>
public enum EventSubject
{
    Workload,
    Image,
    Volume,
    Network,
    Engine,
}

/// <summary>
/// Something that happened. The actions of a workload: <c>create</c>, <c>start</c>, <c>die</c>, <c>stop</c>, <c>kill</c>,
/// <c>restart</c>, <c>pause</c>, <c>unpause</c>, <c>rename</c>, <c>update</c>, <c>destroy</c>, <c>attach</c>, <c>detach</c>,
/// <c>resize</c>, <c>oom</c>, <c>top</c>, <c>export</c>, <c>commit</c>, <c>archive-path</c>, <c>extract-to-dir</c>,
/// <c>exec_create: …</c>, <c>exec_start: …</c>, <c>exec_die</c>, <c>health_status: healthy|unhealthy|starting</c>.
/// </summary>
/// <param name="Id">Id (or name, for volumes) of the object.</param>
/// <param name="Attributes">Name, image, labels, exit code and the like.</param>
public sealed record EngineEvent(EventSubject Subject, string Action, string Id,
    IReadOnlyDictionary<string, string> Attributes, DateTimeOffset At);

/// <summary>Which events; members are joined by "and", values of one member by "or".</summary>
public sealed record EventFilter
{
    public DateTimeOffset? Since { get; init; }
    public DateTimeOffset? Until { get; init; }
    public IReadOnlyList<EventSubject> Subjects { get; init; } = [];

    /// <summary>Actions; <c>health_status</c> matches every health status.</summary>
    public IReadOnlyList<string> Actions { get; init; } = [];

    /// <summary>Ids or names of workloads.</summary>
    public IReadOnlyList<string> Workloads { get; init; } = [];

    public IReadOnlyList<string> Images { get; init; } = [];
    public IReadOnlyList<string> Volumes { get; init; } = [];
    public IReadOnlyList<string> Networks { get; init; } = [];

    /// <summary><c>key</c> or <c>key=value</c>; all must match.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];
}
