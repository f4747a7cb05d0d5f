using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>
/// A cgroup that systemd makes, as a transient scope: the spec's cgroupsPath is "slice:prefix:name" and the unit prefix-name.scope
/// in that slice. systemd owns the directory and delegates it; what it cannot express, and the exact limits, are written
/// through cgroupfs, by <paramref name="inner"/>.
/// </summary>
internal sealed class SystemdCgroup(string unit, string slice, ICgroup inner, bool rootless) : ICgroup
{
    private const string DefaultPrefix = "hull";
    private CgroupLimits? _limits;

    public CgroupVersion Version => inner.Version;

    public IReadOnlyDictionary<string, string> Paths => inner.Paths;

    public CgroupRecord Record => new(CgroupDriver.Systemd, unit, inner.Paths);

    public bool Exists => inner.Exists;

    public FreezerState Freezer => inner.Freezer;

    internal static ICgroup Name(string id, string? cgroupsPath, bool rootless)
    {
        var (slice, unit) = ParseName(id, cgroupsPath, rootless);
        var path = SlicePath(slice) + "/" + unit;
        var root = ManagerRoot(rootless);
        return new SystemdCgroup(unit, slice, CgroupManager.At(_ => root + path, rootless), rootless);
    }

    internal static ICgroup Load(CgroupRecord record, ICgroup inner, bool rootless) =>
        new SystemdCgroup(record.Unit ?? throw HullException.Corrupted("the state names no unit of systemd"), "", inner, rootless);

    /// <summary>The slice and the scope that "slice:prefix:name" means.</summary>
    internal static (string Slice, string Unit) ParseName(string id, string? cgroupsPath, bool rootless)
    {
        var defaultSlice = rootless ? "user.slice" : "system.slice";
        if (string.IsNullOrEmpty(cgroupsPath)) return (defaultSlice, $"{DefaultPrefix}-{id}.scope");
        var parts = cgroupsPath.Split(':');
        if (parts.Length != 3 || parts[2].Length == 0)
            throw HullException.Invalid($"cgroupsPath '{cgroupsPath}' must be slice:prefix:name for the systemd cgroup driver");
        if (parts[2].EndsWith(".slice", StringComparison.Ordinal))
            throw HullException.Unsupported($"cgroupsPath '{cgroupsPath}' names a slice, which can have no process: name a scope");
        var slice = parts[0].Length == 0 ? defaultSlice : parts[0];
        return (slice, parts[1].Length == 0 ? $"{parts[2]}.scope" : $"{parts[1]}-{parts[2]}.scope");
    }

    /// <summary>Where a slice lies: a-b.slice is below a.slice (systemd.slice(5)).</summary>
    internal static string SlicePath(string slice)
    {
        const string Suffix = ".slice";
        if (slice == "-.slice") return "";
        var name = slice.EndsWith(Suffix, StringComparison.Ordinal) ? slice[..^Suffix.Length] : "";
        var parts = name.Split('-');
        if (name.Contains('/') || parts.Contains("")) throw HullException.Invalid($"'{slice}' is no name of a slice such as system.slice or machine-a.slice");
        return string.Concat(parts.Select((_, i) => "/" + string.Join('-', parts.Take(i + 1)) + Suffix));
    }

    /// <summary>The scope needs a process from the start, so it is made in <see cref="Add"/>; that its manager is there is known now.</summary>
    public CgroupEntry Prepare(CgroupLimits limits)
    {
        using var manager = SystemdManager.Open(rootless);
        _limits = limits;
        return new CgroupEntry { NeedsPid = true };
    }

    public CgroupEntry OpenEntry(IReadOnlyList<string>? subgroups = null) => inner.OpenEntry(subgroups);

    public CgroupEntry OpenEntryOf(int pid) => inner.OpenEntryOf(pid);

    public void Add(int pid)
    {
        if (_limits is { } limits)
        {
            _limits = null;
            using var manager = SystemdManager.Open(rootless);
            manager.StartTransient(unit, [.. Identity(pid), .. UnitProperties.Of(limits, Version)]);
            // The directory is there; this makes those of controllers that systemd does not manage and writes what it cannot say.
            using (inner.Prepare(limits)) inner.Add(pid);
            return;
        }

        inner.Add(pid);
    }

    public void Apply(CgroupLimits limits)
    {
        using (var manager = SystemdManager.Open(rootless)) manager.SetProperties(unit, UnitProperties.Of(limits, Version));
        inner.Apply(limits);
    }

    public CgroupStats ReadStats() => inner.ReadStats();

    public IReadOnlyList<int> Processes(bool recursive = true) => inner.Processes(recursive);

    public void Freeze() => inner.Freeze();

    public void Thaw() => inner.Thaw();

    public void Kill(int signal) => inner.Kill(signal);

    public void Remove()
    {
        try
        {
            using var manager = SystemdManager.Open(rootless);
            manager.Stop(unit);
        }
        catch (HullException error) when (error.Kind == ErrorKind.Unsupported)
        {
            // No manager is there any more, and its units went with it; directories may be left.
        }

        inner.Remove();
    }

    public OomWatch WatchOom() => inner.WatchOom();

    private IEnumerable<UnitProperty> Identity(int pid) =>
    [
        new("Description", $"container {unit}"), new("Slice", slice), new("PIDs", new[] { (uint)pid }), new("Delegate", true),
        new("DefaultDependencies", false), new("CollectMode", "inactive-or-failed"), new("MemoryAccounting", true), new("CPUAccounting", true),
        new("TasksAccounting", true), new(Version == CgroupVersion.V2 ? "IOAccounting" : "BlockIOAccounting", true),
    ];

    /// <summary>The cgroup of the manager itself: the root's by process 1, a user's as it says.</summary>
    private static string ManagerRoot(bool rootless)
    {
        string path;
        if (rootless)
        {
            using var manager = SystemdManager.Open(rootless);
            path = manager.ControlGroup();
        }
        else
        {
            path = CgroupHost.PathOf("/proc/1/cgroup", CgroupHost.Current.Version == CgroupVersion.V2 ? "" : "name=systemd");
        }

        const string Own = "/init.scope";
        if (path.EndsWith(Own, StringComparison.Ordinal)) path = path[..^Own.Length];
        return path == "/" ? "" : path;
    }
}
