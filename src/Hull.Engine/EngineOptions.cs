namespace Hull.Engine;

/// <summary>Settings of one engine. Several engines run side by side when their roots differ.</summary>
public sealed record EngineOptions
{
    /// <summary>Everything that survives a reboot.</summary>
    public string DataRoot { get; init; } = "/var/lib/hull";

    /// <summary>Runtime files; best on tmpfs.</summary>
    public string ExecRoot { get; init; } = "/run/hull";

    /// <summary>Path of hull-shim; null for the one beside this program.</summary>
    public string? ShimPath { get; init; }

    /// <summary>Cgroup below which every instance gets its own.</summary>
    public string CgroupParent { get; init; } = "/hull";

    public string DefaultIsolation { get; init; } = "container";

    /// <summary>Name of the runtime used when none is asked for; <c>hull</c> is the built-in one.</summary>
    public string DefaultRuntime { get; init; } = "hull";

    /// <summary>Further OCI runtimes by name.</summary>
    public IReadOnlyDictionary<string, RuntimeOption> Runtimes { get; init; } = new Dictionary<string, RuntimeOption>();

    public string DefaultLogDriver { get; init; } = "json-file";

    /// <summary>Options of the default log driver; the file drivers rotate at 10 MiB × 5 unless told otherwise.</summary>
    public IReadOnlyDictionary<string, string> DefaultLogOptions { get; init; } = new Dictionary<string, string>();

    public bool DefaultInit { get; init; }

    /// <summary>Program of the init; null for hull-init beside the shim. It is started as <c>INIT -- PROGRAM ARGUMENTS</c>.</summary>
    public string? InitPath { get; init; }

    public bool NoNewPrivileges { get; init; }

    /// <summary>Ulimits of workloads that name none.</summary>
    public IReadOnlyList<Workloads.UlimitConfig> DefaultUlimits { get; init; } = [];

    /// <summary><c>private</c> (default) or <c>host</c>.</summary>
    public string DefaultCgroupNamespace { get; init; } = "private";

    /// <summary><c>private</c> or <c>shareable</c>.</summary>
    public string DefaultIpc { get; init; } = "private";

    public long DefaultShmSize { get; init; } = 64L << 20;

    /// <summary>Seccomp profile used when none is asked for: null for the built-in one, <c>unconfined</c>, or JSON.</summary>
    public string? SeccompProfile { get; init; }

    /// <summary>Whose ranges of /etc/subuid and /etc/subgid workloads with a user namespace of their own share.</summary>
    public const string AutoUser = "hull";

    /// <summary>User namespace of containers that say nothing; null for the host's.</summary>
    public Users.UserMap? UserNamespaceRemap { get; init; }

    /// <summary>Where ranges of ids are set aside.</summary>
    public Users.SubordinateIds SubordinateIds { get; init; } = new();

    /// <summary>Seconds a workload has to end when the engine stops it at its own shutdown.</summary>
    public int ShutdownTimeout { get; init; } = 15;

    /// <summary>Workloads keep running when the engine stops (they always do when it is killed).</summary>
    public bool KeepWorkloadsOnShutdown { get; init; } = true;

    /// <summary>What may be reserved of the machine.</summary>
    public Resources.ResourceOptions Resources { get; init; } = new();

    /// <summary>Emulated machines begin as twins of a process that runs (<see cref="Hypervisor.Templates.LiveTemplate"/>), which costs its memory.</summary>
    public bool LiveTemplates { get; init; } = true;

    /// <summary>
    /// Live templates at most of images that are run again and again, which have all done already that a container needs before
    /// its program runs; 0 makes none, and neither does an engine without live templates.
    /// </summary>
    public int ImageTemplates { get; init; } = 4;

    /// <summary>Twins of each live template in use that are kept ready for the next machines; 0 keeps none.</summary>
    public int WarmMachines { get; init; }

    /// <summary>
    /// Labels that tell tenants apart: machines that differ in the value of one share no memory of a template. None shares it
    /// among all. What an image is labelled with says nothing.
    /// </summary>
    public IReadOnlyList<string> TenantLabels { get; init; } = [];

    /// <summary>Labels of the engine itself.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];
}

/// <param name="Path">The OCI runtime program.</param>
/// <param name="Arguments">Arguments before its own.</param>
public sealed record RuntimeOption(string Path, IReadOnlyList<string> Arguments);
