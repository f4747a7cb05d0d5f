using System.Text.Json.Serialization;

namespace Hull.Oci.Runtime;

/// <summary>What only Linux has (config-linux.md).</summary>
public sealed record LinuxSpec
{
    public IReadOnlyList<IdMapping>? UidMappings { get; init; }

    public IReadOnlyList<IdMapping>? GidMappings { get; init; }

    public IReadOnlyDictionary<string, string>? Sysctl { get; init; }

    public ResourcesSpec? Resources { get; init; }

    public string? CgroupsPath { get; init; }

    public IReadOnlyList<NamespaceSpec>? Namespaces { get; init; }

    public IReadOnlyList<DeviceSpec>? Devices { get; init; }

    public SeccompSpec? Seccomp { get; init; }

    public string? RootfsPropagation { get; init; }

    public IReadOnlyList<string>? MaskedPaths { get; init; }

    public IReadOnlyList<string>? ReadonlyPaths { get; init; }

    public string? MountLabel { get; init; }

    public IntelRdtSpec? IntelRdt { get; init; }

    public PersonalitySpec? Personality { get; init; }

    /// <summary>Offsets by clock name: <c>monotonic</c> and <c>boottime</c>.</summary>
    public IReadOnlyDictionary<string, TimeOffsetSpec>? TimeOffsets { get; init; }
}

/// <summary>A namespace to make or, with a path, to join.</summary>
public sealed record NamespaceSpec
{
    public string? Type { get; init; }

    public string? Path { get; init; }
}

/// <summary>A device node to make inside the container.</summary>
public sealed record DeviceSpec
{
    public string? Path { get; init; }

    /// <summary><c>c</c>, <c>u</c>, <c>b</c> or <c>p</c> as mknod(1) has them.</summary>
    public string? Type { get; init; }

    public long Major { get; init; }

    public long Minor { get; init; }

    public uint? FileMode { get; init; }

    public uint? Uid { get; init; }

    public uint? Gid { get; init; }
}

/// <summary>An offset of time_namespaces(7).</summary>
public sealed record TimeOffsetSpec
{
    public long Secs { get; init; }

    public uint Nanosecs { get; init; }
}

/// <summary>The execution domain of personality(2): <c>LINUX</c> or <c>LINUX32</c>.</summary>
public sealed record PersonalitySpec
{
    public string? Domain { get; init; }

    public IReadOnlyList<string>? Flags { get; init; }
}

/// <summary>Cache and memory bandwidth classes of resctrl.</summary>
public sealed record IntelRdtSpec
{
    [JsonPropertyName("closID")]
    public string? ClosId { get; init; }

    public string? L3CacheSchema { get; init; }

    public string? MemBwSchema { get; init; }

    [JsonPropertyName("enableCMT")]
    public bool EnableCmt { get; init; }

    [JsonPropertyName("enableMBM")]
    public bool EnableMbm { get; init; }
}

/// <summary>A filter of system calls (config-linux.md, "Seccomp").</summary>
public sealed record SeccompSpec
{
    public string? DefaultAction { get; init; }

    public uint? DefaultErrnoRet { get; init; }

    public IReadOnlyList<string>? Architectures { get; init; }

    public IReadOnlyList<string>? Flags { get; init; }

    public string? ListenerPath { get; init; }

    public string? ListenerMetadata { get; init; }

    public IReadOnlyList<SyscallSpec>? Syscalls { get; init; }
}

public sealed record SyscallSpec
{
    public IReadOnlyList<string>? Names { get; init; }

    public string? Action { get; init; }

    public uint? ErrnoRet { get; init; }

    public IReadOnlyList<SyscallArgumentSpec>? Args { get; init; }
}

public sealed record SyscallArgumentSpec
{
    public uint Index { get; init; }

    public ulong Value { get; init; }

    public ulong ValueTwo { get; init; }

    public string? Op { get; init; }
}
