namespace Hull.Linux.Cgroups;

/// <summary>
/// The control group of one container (or of one VMM): in cgroup v1 one directory per hierarchy, in v2 one.
/// <para>
/// A cgroup is named by <see cref="CgroupManager"/>, which touches nothing. <see cref="Prepare"/> makes the
/// directories and writes the limits, and answers how a new process enters (see <see cref="CgroupEntry"/>).
/// From then on <see cref="Apply"/> changes limits live, <see cref="ReadStats"/> reads counters,
/// <see cref="Freeze"/> and <see cref="Thaw"/> stop and continue every process at once. At the end
/// <see cref="Kill"/> ends what is left and <see cref="Remove"/> takes the directories away.
/// <see cref="Record"/> is plain data for a state file; <see cref="CgroupManager.Load"/> turns it back.
/// </para>
/// <para>Every operation on a cgroup that is gone is either a no-op (Kill, Remove, Thaw) or NotFound.</para>
/// </summary>
public interface ICgroup
{
    CgroupVersion Version { get; }

    /// <summary>Directories by controller name ("memory", "cpu", …, "name=systemd"); on v2 the one key is "".</summary>
    IReadOnlyDictionary<string, string> Paths { get; }

    /// <summary>What a later process needs to find this cgroup again.</summary>
    CgroupRecord Record { get; }

    /// <summary>True while the directory that decides (v2, or the first v1 hierarchy) is there.</summary>
    bool Exists { get; }

    /// <summary>Makes the cgroup with the limits. Undoes itself when it fails.</summary>
    /// <exception cref="Hull.Core.HullException">InvalidArgument for a value the kernel refuses, Unsupported for a controller it lacks.</exception>
    CgroupEntry Prepare(CgroupLimits limits);

    /// <summary>
    /// How a further process enters a cgroup that exists (exec), or one below it: <paramref name="subgroups"/> is one path, or on v1
    /// one for some controllers each, <c>cpu,cpuacct:path</c>.
    /// </summary>
    CgroupEntry OpenEntry(IReadOnlyList<string>? subgroups = null);

    /// <summary>
    /// The same for the cgroup that a process of this one has moved itself to. On v2 a cgroup with enabled controllers holds no
    /// process ("no internal processes"), and to enter it is refused with EBUSY.
    /// </summary>
    CgroupEntry OpenEntryOf(int pid) => OpenEntry();

    /// <summary>Moves a process in. Costs one write per hierarchy, each under a lock of the whole system; prefer an entry.</summary>
    void Add(int pid);

    /// <summary>Changes limits of a cgroup that exists.</summary>
    void Apply(CgroupLimits limits);

    CgroupStats ReadStats();

    /// <summary>Process ids, of the cgroup itself or of it and all below, as this process's PID namespace numbers them.</summary>
    IReadOnlyList<int> Processes(bool recursive = true);

    /// <summary>Stops every process; returns when all are stopped.</summary>
    void Freeze();

    void Thaw();

    FreezerState Freezer { get; }

    /// <summary>Sends the signal to every process of the cgroup and all below; with SIGKILL no fork escapes it.</summary>
    void Kill(int signal);

    /// <summary>Removes the directories and all below. Waits a while for processes that are dying.</summary>
    void Remove();

    /// <summary>Opens a descriptor that becomes readable (v1 eventfd) or changes (v2 memory.events) on out-of-memory.</summary>
    OomWatch WatchOom();
}

/// <summary>Generation of the control group interface.</summary>
public enum CgroupVersion
{
    V1 = 1,
    V2 = 2,
}

/// <summary>Who makes the cgroups.</summary>
public enum CgroupDriver
{
    /// <summary>This process, by mkdir.</summary>
    Cgroupfs,

    /// <summary>systemd, asked over D-Bus for a transient scope.</summary>
    Systemd,
}

/// <summary>Whether the processes of a cgroup run.</summary>
public enum FreezerState
{
    Undefined,
    Thawed,
    Freezing,
    Frozen,
}

/// <summary>A cgroup as a state file keeps it.</summary>
public sealed record CgroupRecord(CgroupDriver Driver, string? Unit, IReadOnlyDictionary<string, string> Paths)
{
    /// <summary>Topmost directories that were made for it and go with it when they are empty.</summary>
    public IReadOnlyList<string> CreatedParents { get; init; } = [];
}
