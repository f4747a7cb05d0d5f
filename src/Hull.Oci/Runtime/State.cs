namespace Hull.Oci.Runtime;

/// <summary>The state of a container as hooks and callers see it (runtime.md, "State").</summary>
public sealed record State
{
    public required string OciVersion { get; init; }

    public required string Id { get; init; }

    /// <summary>One of <see cref="ContainerStatus"/>.</summary>
    public required string Status { get; init; }

    public int? Pid { get; init; }

    public required string Bundle { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }
}

/// <summary>The words for where a container is in its life (runtime.md).</summary>
public static class ContainerStatus
{
    public const string Creating = "creating";
    public const string Created = "created";
    public const string Running = "running";
    public const string Stopped = "stopped";

    /// <summary>Not of the specification, but what runc and every engine on it say.</summary>
    public const string Paused = "paused";
}

/// <summary>What goes to a seccomp listener with the notify descriptor (config-linux.md, "The Container Process State").</summary>
public sealed record ContainerProcessState
{
    public required string OciVersion { get; init; }

    public required IReadOnlyList<string> Fds { get; init; }

    public required int Pid { get; init; }

    public string? Metadata { get; init; }

    public required State State { get; init; }
}
