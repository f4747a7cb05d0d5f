using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;

namespace Hull.Linux.Resctrl;

/// <summary>What a class of service gets of the last-level cache and of memory bandwidth, in lines of schemata.</summary>
/// <param name="CacheSchema">L3 lines such as "L3:0=ffff0;1=3ff".</param>
/// <param name="BandwidthSchema">MB lines such as "MB:0=20;1=70".</param>
public sealed record ResctrlLimits(string? CacheSchema, string? BandwidthSchema);

/// <summary>
/// A group of resctrl, the kernel's interface to Intel RDT and AMD QoS (Documentation/arch/x86/resctrl.rst). A group that is
/// made here goes at the end; one that was there, named by a closID, is joined and stays.
/// </summary>
/// <param name="name">The container's id, or the closID of the spec.</param>
/// <param name="root">Mount point of resctrl.</param>
public sealed class ResctrlGroup(string name, string root = ResctrlGroup.DefaultRoot)
{
    public const string DefaultRoot = "/sys/fs/resctrl";
    private const long Magic = 0x7655821;
    private readonly string _path = root + "/" + name;

    /// <summary>True where the file system is mounted.</summary>
    public static bool IsAvailable => CgroupFile.FileSystemType(DefaultRoot) == Magic;

    public bool Exists => CgroupFile.IsThere(_path);

    /// <summary>Makes the group with its limits; answers whether it was made, so that the caller knows to remove it.</summary>
    public bool Prepare(ResctrlLimits limits, bool mustExistEqual)
    {
        if (name.Contains('/') || name is "." or "..") throw HullException.Invalid($"linux.intelRdt.closID '{name}' is no name of a directory");
        if (!CgroupFile.IsThere(root + "/schemata")) throw HullException.Unsupported($"linux.intelRdt needs resctrl, which is not mounted at {root}");
        var errno = CgroupFile.MakeDirectory(_path);
        if (errno == Errno.ENOSPC) throw new HullException(ErrorKind.ResourceExhausted, $"no class of service is left for {name}: the processor has only so many");
        if (errno is not (Errno.None or Errno.EEXIST)) throw Check.Failure(errno, $"make resctrl group {_path}");
        var isMade = errno == Errno.None;
        try
        {
            var schemata = Schemata(limits);
            if (!isMade && mustExistEqual && schemata.Length > 0) RequireEqual(schemata);
            else if (schemata.Length > 0) Write(schemata);
        }
        catch when (isMade)
        {
            CgroupFile.RemoveDirectory(_path);
            throw;
        }

        return isMade;
    }

    /// <summary>Changes the limits of a group that exists.</summary>
    public void Apply(ResctrlLimits limits)
    {
        var schemata = Schemata(limits);
        if (schemata.Length > 0) Write(schemata);
    }

    /// <summary>Moves a process in; what it forks follows it.</summary>
    public void Add(int pid) => CgroupFile.Write(_path, "tasks", Number.Text(pid));

    public void Remove()
    {
        var errno = CgroupFile.RemoveDirectory(_path);
        if (errno is not (Errno.None or Errno.ENOENT)) throw Check.Failure(errno, $"remove resctrl group {_path}");
    }

    /// <summary>L3 lines of the one and MB lines of the other; bandwidth lines in the cache schema do not count.</summary>
    internal static string Schemata(ResctrlLimits limits)
    {
        var lines = (limits.CacheSchema ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(line => !line.StartsWith("MB:", StringComparison.Ordinal))
            .Concat((limits.BandwidthSchema ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        return string.Join('\n', lines);
    }

    private void Write(string schemata)
    {
        var errno = CgroupFile.TryWrite(_path + "/schemata", schemata + "\n");
        if (errno == Errno.None) return;
        // The kernel says what it dislikes in a file of its own.
        var reason = CgroupFile.TryRead(root, "info/last_cmd_status");
        throw HullException.Invalid($"resctrl refuses the schemata \"{schemata.Replace('\n', ' ')}\": {reason ?? ErrnoText.Describe(errno)}");
    }

    private void RequireEqual(string schemata)
    {
        var present = CgroupFile.Read(_path, "schemata").Split('\n', StringSplitOptions.TrimEntries);
        foreach (var line in schemata.Split('\n'))
        {
            if (!present.Contains(line)) throw HullException.Conflict($"resctrl group {name} exists with another schema than \"{line}\"");
        }
    }
}
