using Hull.Linux;

namespace Hull.Runtime;

/// <summary>What criu does with cgroups; its option --manage-cgroups has the meanings.</summary>
public enum CgroupsMode
{
    /// <summary>criu's own default, soft.</summary>
    Unset = -1,
    Ignore = 0,
    Soft = 3,
    Full = 4,
    Strict = 5,
}

/// <summary>What saving and continuing a container have in common. Paths are absolute.</summary>
public abstract record CriuOptions
{
    /// <summary>The directory of the images.</summary>
    public required string ImagePath { get; init; }

    /// <summary>Where criu logs and keeps what it needs meanwhile; the images' directory unless given.</summary>
    public string? WorkPath { get; init; }

    /// <summary>The program; it is looked up in $PATH where it is a name.</summary>
    public string Program { get; init; } = "criu";

    /// <summary>Allows open TCP connections.</summary>
    public bool TcpEstablished { get; init; }

    /// <summary>Allows unix sockets whose other end is outside.</summary>
    public bool ExternalUnixSockets { get; init; }

    /// <summary>Allows a session whose leader is outside.</summary>
    public bool ShellJob { get; init; }

    /// <summary>Allows file locks, which only a whole container may have.</summary>
    public bool FileLocks { get; init; }

    /// <summary>Drops from the parent images what the later ones replace.</summary>
    public bool AutoDedup { get; init; }

    /// <summary>Memory pages are handed over after the rest, by a page server.</summary>
    public bool LazyPages { get; init; }

    public CgroupsMode CgroupsMode { get; init; } = CgroupsMode.Unset;

    /// <summary>CLONE_NEW* of namespaces that are continued empty, to be filled by hooks.</summary>
    public ulong EmptyNamespaces { get; init; }
}

/// <summary>How a container is saved.</summary>
public sealed record CheckpointOptions : CriuOptions
{
    /// <summary>Earlier images, relative to these, that hold memory which has not changed since.</summary>
    public string? ParentPath { get; init; }

    /// <summary>The container runs on.</summary>
    public bool LeaveRunning { get; init; }

    /// <summary>Saves only memory, and lets the container run: a later checkpoint has less to save.</summary>
    public bool PreDump { get; init; }

    /// <summary>Where memory pages are sent, or, with <see cref="CriuOptions.LazyPages"/>, asked for.</summary>
    public (string Address, int Port)? PageServer { get; init; }

    /// <summary>Gets one NUL byte when the page server is ready.</summary>
    public SafeFd? StatusDescriptor { get; init; }
}

/// <summary>How a saved container is continued.</summary>
public sealed record RestoreOptions : CriuOptions
{
    /// <summary>As for a container that is made: bundle, console socket, pid file.</summary>
    public required CreateOptions Create { get; init; }

    /// <summary>The SELinux or AppArmor label in place of the saved one.</summary>
    public string? SecurityProfile { get; init; }

    /// <summary>The SELinux context of mounts in place of the saved one.</summary>
    public string? MountContext { get; init; }
}
