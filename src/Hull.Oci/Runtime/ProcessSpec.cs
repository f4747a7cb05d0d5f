using System.Text.Json.Serialization;

namespace Hull.Oci.Runtime;

/// <summary>The container's process, and any further one given to exec (config.md, "Process").</summary>
public sealed record ProcessSpec
{
    public bool Terminal { get; init; }

    public ConsoleSize? ConsoleSize { get; init; }

    public UserSpec? User { get; init; }

    public IReadOnlyList<string>? Args { get; init; }

    public IReadOnlyList<string>? Env { get; init; }

    /// <summary>Absolute path inside the container.</summary>
    public string? Cwd { get; init; }

    public CapabilitiesSpec? Capabilities { get; init; }

    public IReadOnlyList<RlimitSpec>? Rlimits { get; init; }

    public bool NoNewPrivileges { get; init; }

    public string? ApparmorProfile { get; init; }

    public int? OomScoreAdj { get; init; }

    public string? SelinuxLabel { get; init; }

    public SchedulerSpec? Scheduler { get; init; }

    public IoPrioritySpec? IoPriority { get; init; }

    [JsonPropertyName("execCPUAffinity")]
    public CpuAffinitySpec? ExecCpuAffinity { get; init; }
}

/// <summary>Characters of the terminal.</summary>
public sealed record ConsoleSize
{
    public uint Height { get; init; }

    public uint Width { get; init; }
}

/// <summary>Ids inside the container.</summary>
public sealed record UserSpec
{
    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint? Umask { get; init; }

    public IReadOnlyList<uint>? AdditionalGids { get; init; }

    public string? Username { get; init; }
}

/// <summary>Names such as <c>CAP_NET_RAW</c> in the five sets of capabilities(7).</summary>
public sealed record CapabilitiesSpec
{
    public IReadOnlyList<string>? Bounding { get; init; }

    public IReadOnlyList<string>? Effective { get; init; }

    public IReadOnlyList<string>? Inheritable { get; init; }

    public IReadOnlyList<string>? Permitted { get; init; }

    public IReadOnlyList<string>? Ambient { get; init; }
}

/// <summary>A limit of getrlimit(2); the type is its C name, such as <c>RLIMIT_NOFILE</c>.</summary>
public sealed record RlimitSpec
{
    public string? Type { get; init; }

    public ulong Hard { get; init; }

    public ulong Soft { get; init; }
}

/// <summary>Arguments of sched_setattr(2).</summary>
public sealed record SchedulerSpec
{
    public string? Policy { get; init; }

    public int? Nice { get; init; }

    public int? Priority { get; init; }

    public IReadOnlyList<string>? Flags { get; init; }

    public ulong? Runtime { get; init; }

    public ulong? Deadline { get; init; }

    public ulong? Period { get; init; }
}

/// <summary>Arguments of ioprio_set(2).</summary>
public sealed record IoPrioritySpec
{
    [JsonPropertyName("class")]
    public string? Class { get; init; }

    public int? Priority { get; init; }
}

/// <summary>CPU lists of an exec: before it enters the container's cgroup, and after.</summary>
public sealed record CpuAffinitySpec
{
    public string? Initial { get; init; }

    public string? Final { get; init; }
}
