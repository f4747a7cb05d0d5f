using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;

namespace Hull.Linux.Resctrl;

/// <summary>What a class of service gets of the last-level cache and of memory bandwidth, in lines of schemata.</summary>
/// <param name="CacheSchema">L3 lines such as "L3:0=ffff0;1=3ff".</param>
/// <param name="BandwidthSchema">MB lines such as "MB:0=20;1=70".</param>
public sealed record ResctrlLimits(string? CacheSchema, string? BandwidthSchema)
{
    public bool IsEmpty => string.IsNullOrEmpty(CacheSchema) && string.IsNullOrEmpty(BandwidthSchema);
}

/// <summary>A group as a state file keeps it.</summary>
/// <param name="Path">Directory of the class of service.</param>
/// <param name="IsOwn">Whether the directory was made for this container, and goes with it once nobody else uses it.</param>
/// <param name="MonitorPath">Directory of a monitoring group within, where the class is shared.</param>
public sealed record ResctrlRecord(string Path, bool IsOwn, string? MonitorPath);

/// <summary>
/// A group of resctrl, the kernel's interface to Intel RDT and AMD QoS (Documentation/arch/x86/resctrl.rst): a class of
/// service with its schemata, and the tasks that are in it. A group that is made here goes at the end; one that was there,
/// named by a closID, is joined and stays.
/// </summary>
public sealed class ResctrlGroup
{
    private const string DefaultRoot = "/sys/fs/resctrl";
    private const long Magic = 0x7655821;
    private static readonly string[] s_reserved = ["", ".", "..", "info", "mon_groups", "mon_data"];
    private readonly string _root;

    private ResctrlGroup(ResctrlRecord record)
    {
        Record = record;
        _root = record.Path[..record.Path.LastIndexOf('/')];
    }

    /// <summary>What a later process needs to find this group again.</summary>
    public ResctrlRecord Record { get; private set; }

    /// <summary>Where resctrl is mounted.</summary>
    /// <exception cref="HullException">Unsupported where it is not.</exception>
    public static string FindMount()
    {
        if (CgroupFile.FileSystemType(DefaultRoot) == Magic) return DefaultRoot;
        foreach (var mount in Mounts.MountInfo.ReadSelf())
        {
            if (mount.FileSystem == "resctrl") return mount.Target;
        }

        throw HullException.Unsupported(
            $"linux.intelRdt needs the resctrl file system, and none is mounted: mount -t resctrl resctrl {DefaultRoot}, on a processor and kernel that have it");
    }

    /// <summary>Names the group of a container; touches nothing.</summary>
    /// <param name="root">Where resctrl is mounted.</param>
    /// <param name="id">The container's id, which names the group where no class is given.</param>
    /// <param name="classOfService">The closID of the spec.</param>
    /// <param name="isMonitored">Whether the container's cache and bandwidth are to be counted by themselves.</param>
    public static ResctrlGroup Name(string root, string id, string? classOfService, bool isMonitored)
    {
        var isShared = !string.IsNullOrEmpty(classOfService);
        var name = isShared ? classOfService! : id;
        if (name.Contains('/') || Array.IndexOf(s_reserved, name) >= 0) throw HullException.Invalid($"linux.intelRdt.closID '{name}' is no name of a class of service");
        var path = root + "/" + name;
        return new ResctrlGroup(new ResctrlRecord(path, !isShared || !CgroupFile.IsThere(path), isShared && isMonitored ? $"{path}/mon_groups/{id}" : null));
    }

    /// <summary>The group a state file remembers.</summary>
    public static ResctrlGroup Load(ResctrlRecord record) => new(record);

    /// <summary>Makes the group, or joins the class of service that is there and must be as the limits say. Undoes itself when it fails.</summary>
    /// <param name="mustExist">A class of service that is named without limits must be there.</param>
    /// <param name="features">Monitoring the processor must have, such as "llc_occupancy".</param>
    public void Prepare(ResctrlLimits limits, bool mustExist, IReadOnlyList<string> features)
    {
        RequireMonitoring(features);
        var name = System.IO.Path.GetFileName(Record.Path);
        if (mustExist && Record.IsOwn) throw HullException.NotFound($"linux.intelRdt.closID '{name}': there is no class of service of that name in {_root}, and no schema to make it with");
        var errno = Record.IsOwn ? CgroupFile.MakeDirectory(Record.Path) : Errno.EEXIST;
        if (errno == Errno.ENOSPC) throw new HullException(ErrorKind.ResourceExhausted, $"no class of service is left for {name}: the processor has only so many");
        if (errno is not (Errno.None or Errno.EEXIST)) throw Check.Failure(errno, $"make resctrl group {Record.Path}");
        try
        {
            if (!Record.IsOwn) RequireEqual(limits);
            else if (!limits.IsEmpty) Write(limits);
            if (Record.MonitorPath is { } monitor) MakeMonitor(monitor);
        }
        catch
        {
            Remove();
            throw;
        }
    }

    /// <summary>Changes the limits of a group that exists.</summary>
    public void Apply(ResctrlLimits limits)
    {
        if (!limits.IsEmpty) Write(limits);
    }

    /// <summary>Moves a task in; what it forks follows it.</summary>
    public void Add(int task)
    {
        CgroupFile.Write(Record.Path, "tasks", Number.Text(task));
        if (Record.MonitorPath is { } monitor) CgroupFile.Write(monitor, "tasks", Number.Text(task));
    }

    public ResctrlStats ReadStats() => ResctrlStats.Read(_root, Record.Path, Record.MonitorPath ?? Record.Path);

    /// <summary>Takes away what was made here. A class of service that others have joined stays.</summary>
    public void Remove()
    {
        if (Record.MonitorPath is { } monitor) RemoveDirectory(monitor);
        if (Record.IsOwn && CgroupFile.TryRead(Record.Path, "tasks") is null or "") RemoveDirectory(Record.Path);
    }

    private static void RemoveDirectory(string path)
    {
        var errno = CgroupFile.RemoveDirectory(path);
        if (errno is not (Errno.None or Errno.ENOENT)) throw Check.Failure(errno, $"remove resctrl group {path}");
    }

    private static void MakeMonitor(string path)
    {
        var errno = CgroupFile.MakeDirectory(path);
        if (errno == Errno.ENOSPC) throw new HullException(ErrorKind.ResourceExhausted, $"no monitoring group is left for {path}: the processor has only so many");
        if (errno is not (Errno.None or Errno.EEXIST)) throw Check.Failure(errno, $"make resctrl monitoring group {path}");
    }

    private void RequireMonitoring(IReadOnlyList<string> features)
    {
        if (features.Count == 0) return;
        var present = (CgroupFile.TryRead(_root, "info/L3_MON/mon_features") ?? "").Split('\n');
        foreach (var feature in features)
        {
            if (!present.Contains(feature)) throw HullException.Unsupported($"linux.intelRdt: the processor does not count {feature}: {_root}/info/L3_MON/mon_features has no such line");
        }
    }

    private void Write(ResctrlLimits limits)
    {
        var schemata = ResctrlSchemata.Combine(limits);
        var errno = CgroupFile.TryWrite(Record.Path + "/schemata", schemata + "\n");
        if (errno == Errno.None) return;
        // The kernel says what it dislikes in a file of its own.
        var reason = CgroupFile.TryRead(_root, "info/last_cmd_status");
        throw HullException.Invalid($"resctrl refuses the schemata \"{schemata.Replace('\n', ' ')}\": {reason ?? ErrnoText.Describe(errno)}");
    }

    private void RequireEqual(ResctrlLimits limits)
    {
        if (limits.IsEmpty) return;
        var present = CgroupFile.Read(Record.Path, "schemata");
        if (ResctrlSchemata.FindDifference(ResctrlSchemata.Combine(limits), present) is { } line)
            throw HullException.Conflict($"the class of service {System.IO.Path.GetFileName(Record.Path)} exists with another schema than \"{line}\"");
    }
}
