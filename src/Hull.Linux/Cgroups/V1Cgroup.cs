using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>A cgroup of version 1: the same name in every mounted hierarchy (Documentation/admin-guide/cgroup-v1).</summary>
internal sealed class V1Cgroup : ICgroup
{
    /// <summary>The key of the directory in the v2 hierarchy that a machine has beside v1 ("hybrid").</summary>
    internal const string Unified = "unified";

    // Where processes are listed: the first of these that is there.
    private static readonly string[] DecidingControllers = ["devices", "freezer", "pids", "memory", "cpu"];
    private const int FreezeAttempts = 1000;

    private readonly Dictionary<string, string> _paths;
    private readonly string[] _directories;
    private readonly Func<string, string> _rootOf;
    private readonly bool _rootless;

    /// <param name="paths">Directory by controller.</param>
    /// <param name="rootOf">Mount point by directory, for the making of parents.</param>
    /// <param name="rootless">Hierarchies that may not be written are left out, and with them the limits nobody asked for.</param>
    internal V1Cgroup(Dictionary<string, string> paths, Func<string, string> rootOf, bool rootless)
    {
        _paths = paths;
        _rootOf = rootOf;
        _rootless = rootless;
        _directories = [.. paths.Values.Distinct()];
    }

    public CgroupVersion Version => CgroupVersion.V1;

    public IReadOnlyDictionary<string, string> Paths => _paths;

    public CgroupRecord Record => new(CgroupDriver.Cgroupfs, null, _paths);

    public bool Exists => CgroupFile.IsThere(Deciding);

    public FreezerState Freezer => CgroupFile.TryRead(DirectoryOf("freezer") ?? "", "freezer.state") switch
    {
        "THAWED" => FreezerState.Thawed,
        "FREEZING" => FreezerState.Freezing,
        "FROZEN" => FreezerState.Frozen,
        _ => FreezerState.Undefined,
    };

    private string Deciding
    {
        get
        {
            foreach (var controller in DecidingControllers)
            {
                if (DirectoryOf(controller) is { } directory) return directory;
            }

            // An ordinary user may have been allowed in none: then nothing is at the empty path, and nothing exists.
            return _directories is [var first, ..] ? first : "";
        }
    }

    internal string? DirectoryOf(string controller) => _paths.GetValueOrDefault(controller);

    public CgroupEntry Prepare(CgroupLimits limits)
    {
        var made = new List<string>();
        try
        {
            MakeDirectories(made, limits);
            new V1Limits(this, _rootless).Write(limits, fresh: true);
            return OpenEntry(new Subgroups(null, []), isShared: !made.Contains(Deciding));
        }
        catch
        {
            for (var i = made.Count - 1; i >= 0; i--) CgroupFile.RemoveDirectory(made[i]);
            throw;
        }
    }

    private void MakeDirectories(List<string> made, CgroupLimits limits)
    {
        foreach (var directory in _directories)
        {
            var isCpuset = directory == DirectoryOf("cpuset");
            var root = _rootOf(directory);
            var errno = CgroupTree.Make(directory, root, made, isCpuset ? path => InheritCpuset(path, directory, root, limits) : null);
            if (errno == Errno.EEXIST && directory == DirectoryOf("freezer")) CgroupTree.RefuseFrozen(directory, Freezer);
            if (errno is Errno.None or Errno.EEXIST) continue;
            if (!_rootless || errno is not (Errno.EACCES or Errno.EPERM or Errno.EROFS)) throw Check.Failure(errno, $"make cgroup {directory}");
            foreach (var controller in _paths.Where(pair => pair.Value == directory).Select(pair => pair.Key).ToArray())
            {
                _paths.Remove(controller);
            }
        }
    }

    /// <summary>A new cpuset is empty, and no process can enter an empty one (cpusets.rst, 1.5): it starts as its parent is.</summary>
    private static void InheritCpuset(string path, string leaf, string root, CgroupLimits limits)
    {
        if (path != leaf || limits.Cpu?.Cpus is null or "") InheritFrom(path, root, "cpuset.cpus");
        if (path != leaf || limits.Cpu?.MemoryNodes is null or "") InheritFrom(path, root, "cpuset.mems");
    }

    /// <summary>The parent may be somebody else's who left it empty: then it gets what its own parent has first.</summary>
    private static string InheritFrom(string path, string root, string file)
    {
        var parent = path[..path.LastIndexOf('/')];
        var value = CgroupFile.TryRead(parent, file) ?? "";
        if (value.Length == 0 && parent.Length > root.Length) value = InheritFrom(parent, root, file);
        // With cgroup.clone_children the kernel has copied already; writing the same again does no harm.
        if (value.Length > 0) CgroupFile.Write(path, file, value);
        return value;
    }

    public CgroupEntry OpenEntry(IReadOnlyList<string>? subgroups = null) =>
        OpenEntry(new Subgroups(subgroups, subgroups is null ? [] : _paths.Keys), isShared: true);

    private CgroupEntry OpenEntry(Subgroups subgroups, bool isShared)
    {
        var descriptors = new List<SafeFd>(_directories.Length);
        SafeFd? unified = null;
        try
        {
            foreach (var directory in _directories)
            {
                var path = PathIn(directory, subgroups);
                var isUnified = directory == DirectoryOf(Unified);
                // An ordinary user may lack what a birth inside needs: write access to the common ancestor.
                if (isUnified && !_rootless)
                {
                    unified = CgroupFile.TryOpen(path, Fcntl.O_PATH | Fcntl.O_DIRECTORY, out var error);
                    if (unified is null && error != Errno.ENOENT) throw Check.Failure(error, $"open cgroup {path}");
                    continue;
                }

                var descriptor = CgroupFile.TryOpen(path + (isUnified ? "/cgroup.procs" : "/tasks"), Fcntl.O_WRONLY, out var errno);
                if (descriptor is not null) descriptors.Add(descriptor);
                else if (IsRequired(path, directory, errno, subgroups)) throw Subgroups.Missing(path, errno);
            }

            if (descriptors.Count == 0 && unified is null && !_rootless) throw HullException.NotFound($"cgroup {Deciding} does not exist");
            return new CgroupEntry { CloneDescriptor = unified, JoinDescriptors = descriptors, IsShared = isShared };
        }
        catch
        {
            unified?.Dispose();
            foreach (var descriptor in descriptors) descriptor.Dispose();
            throw;
        }
    }

    private string PathIn(string directory, Subgroups subgroups) => subgroups.IsExplicit
        ? CgroupTree.Join(directory, subgroups.PathFor(_paths.Keys.Where(controller => _paths[controller] == directory)))
        : directory;

    /// <summary>A hierarchy may have lost the container's directory, but not one below it that was asked for.</summary>
    private bool IsRequired(string path, string directory, Errno errno, Subgroups subgroups) =>
        errno == Errno.ENOENT ? subgroups.IsExplicit && path != directory : !_rootless;

    public void Add(int pid)
    {
        foreach (var directory in _directories)
        {
            var errno = CgroupFile.TryWrite(directory + "/cgroup.procs", Number.Text(pid));
            if (errno != Errno.None && errno != Errno.ENOENT && !_rootless) throw Check.Failure(errno, $"put process {pid} into cgroup {directory}");
        }
    }

    public void Apply(CgroupLimits limits)
    {
        if (!Exists) throw HullException.NotFound($"cgroup {Deciding} does not exist");
        new V1Limits(this, _rootless).Write(limits, fresh: false);
    }

    public CgroupStats ReadStats() => V1Stats.Read(this);

    public IReadOnlyList<int> Processes(bool recursive = true) => CgroupTree.Processes(Deciding, recursive);

    public void Freeze()
    {
        var directory = DirectoryOf("freezer")
            ?? throw HullException.Unsupported("pausing needs the freezer controller, which is not mounted");
        for (var attempt = 1; attempt <= FreezeAttempts; attempt++)
        {
            // Asked again, because a task that forks meanwhile can keep the group in FREEZING for good.
            CgroupFile.Write(directory, "freezer.state", "FROZEN");
            if (attempt % 25 == 0) Thread.Sleep(1);
            switch (CgroupFile.Read(directory, "freezer.state"))
            {
                case "FROZEN": return;
                case "FREEZING": continue;
                case var state: throw HullException.Internal($"cgroup {directory} is {state} right after it was frozen");
            }
        }

        CgroupFile.TryWrite(directory + "/freezer.state", "THAWED");
        throw new HullException(ErrorKind.Timeout, $"cgroup {directory} does not freeze; it was thawed again");
    }

    public void Thaw()
    {
        if (DirectoryOf("freezer") is not { } directory) return;
        var errno = CgroupFile.TryWrite(directory + "/freezer.state", "THAWED");
        if (errno is not (Errno.None or Errno.ENOENT)) throw Check.Failure(errno, $"thaw cgroup {directory}");
    }

    /// <summary>
    /// Version 1 has no cgroup.kill: the group is frozen, so that nothing in it can fork, then each process is signalled;
    /// the signals arrive when it thaws.
    /// </summary>
    public void Kill(int signal)
    {
        const int MostRounds = 100;
        var wasFrozen = Freezer == FreezerState.Frozen;
        for (var round = 0; round < MostRounds; round++)
        {
            var processes = Processes();
            if (processes.Count == 0) return;
            var froze = !wasFrozen && processes.Count > 1 && TryFreeze();
            if (froze) processes = Processes();
            foreach (var pid in processes) Signals.Send(pid, signal);
            if (froze || signal == Signals.Kill) Thaw();
            if (signal != Signals.Kill) return;
            Thread.Sleep(Math.Min(round, 50));
        }
    }

    private bool TryFreeze()
    {
        try
        {
            Freeze();
            return true;
        }
        catch (HullException)
        {
            return false;
        }
    }

    public void Remove()
    {
        foreach (var directory in _directories) CgroupTree.Remove(directory);
    }

    public OomWatch WatchOom() => OomWatch.OpenV1(DirectoryOf("memory")
        ?? throw HullException.Unsupported("out-of-memory events need the memory controller, which is not mounted"));
}
