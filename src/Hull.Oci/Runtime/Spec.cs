using System.Text.Json.Serialization;

namespace Hull.Oci.Runtime;

/// <summary>The whole of config.json (runtime-spec 1.2, config.md). Members that are absent in the file are null.</summary>
public sealed record Spec
{
    /// <summary>The version of the specification this document follows, in SemVer.</summary>
    public string? OciVersion { get; init; }

    public ProcessSpec? Process { get; init; }

    public RootSpec? Root { get; init; }

    public string? Hostname { get; init; }

    public string? Domainname { get; init; }

    public IReadOnlyList<MountSpec>? Mounts { get; init; }

    public HooksSpec? Hooks { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public LinuxSpec? Linux { get; init; }
}

/// <summary>The container's root file system.</summary>
public sealed record RootSpec
{
    /// <summary>Absolute, or relative to the bundle.</summary>
    public string? Path { get; init; }

    public bool Readonly { get; init; }
}

/// <summary>One mount of config.md, "Mounts".</summary>
public sealed record MountSpec
{
    public string? Destination { get; init; }

    public string? Type { get; init; }

    public string? Source { get; init; }

    public IReadOnlyList<string>? Options { get; init; }

    /// <summary>Mappings for an id-mapped mount; the container id side is what is on disk.</summary>
    public IReadOnlyList<IdMapping>? UidMappings { get; init; }

    public IReadOnlyList<IdMapping>? GidMappings { get; init; }
}

/// <summary>The six kinds of hooks; see config.md, "POSIX-platform Hooks", for when and in which namespaces each runs.</summary>
public sealed record HooksSpec
{
    public IReadOnlyList<HookSpec>? Prestart { get; init; }

    public IReadOnlyList<HookSpec>? CreateRuntime { get; init; }

    public IReadOnlyList<HookSpec>? CreateContainer { get; init; }

    public IReadOnlyList<HookSpec>? StartContainer { get; init; }

    public IReadOnlyList<HookSpec>? Poststart { get; init; }

    public IReadOnlyList<HookSpec>? Poststop { get; init; }
}

/// <summary>A program that gets the container's state on stdin.</summary>
public sealed record HookSpec
{
    /// <summary>Absolute path.</summary>
    public string? Path { get; init; }

    /// <summary>All arguments, the program's own name first, as execv(3) takes them.</summary>
    public IReadOnlyList<string>? Args { get; init; }

    public IReadOnlyList<string>? Env { get; init; }

    /// <summary>Seconds.</summary>
    public int? Timeout { get; init; }
}

/// <summary>A range of ids: what is <see cref="ContainerId"/> inside is <see cref="HostId"/> outside.</summary>
public sealed record IdMapping
{
    [JsonPropertyName("containerID")]
    public uint ContainerId { get; init; }

    [JsonPropertyName("hostID")]
    public uint HostId { get; init; }

    public uint Size { get; init; }
}
