using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>A cgroup of version 2 (Documentation/admin-guide/cgroup-v2.rst).</summary>
internal sealed class V2Cgroup : ICgroup
{
    private const int FreezePatience = 10_000;
    private readonly string _directory;
    private readonly string _root;
    private readonly bool _rootless;

    internal V2Cgroup(string directory, string root, bool rootless)
    {
        _directory = directory;
        _root = root;
        _rootless = rootless;
        Paths = new Dictionary<string, string> { [""] = directory };
    }

    public CgroupVersion Version => CgroupVersion.V2;

    public IReadOnlyDictionary<string, string> Paths { get; }

    public CgroupRecord Record => new(CgroupDriver.Cgroupfs, null, Paths);

    public bool Exists => CgroupFile.IsThere(_directory);

    public FreezerState Freezer => CgroupFile.TryRead(_directory, "cgroup.freeze") switch
    {
        "0" => FreezerState.Thawed,
        "1" => IsFrozen ? FreezerState.Frozen : FreezerState.Freezing,
        _ => FreezerState.Undefined,
    };

    private bool IsFrozen => Number.ParseTable(CgroupFile.TryRead(_directory, "cgroup.events")).GetValueOrDefault("frozen") == 1;

    public CgroupEntry Prepare(CgroupLimits limits)
    {
        var made = new List<string>();
        try
        {
            var errno = CgroupTree.Make(_directory, _root, made);
            if (errno is Errno.EACCES or Errno.EPERM or Errno.EROFS && _rootless) return WithoutCgroup(limits, errno);
            if (errno is not (Errno.None or Errno.EEXIST)) throw Check.Failure(errno, $"make cgroup {_directory}");
            if (errno == Errno.EEXIST) CgroupTree.RefuseFrozen(_directory, Freezer);
            V2Controllers.Enable(_directory, _root, limits);
            new V2Limits(_directory, _rootless).Write(limits, fresh: errno == Errno.None);
            return OpenEntry(_directory, isShared: errno == Errno.EEXIST, isExplicit: false);
        }
        catch
        {
            for (var i = made.Count - 1; i >= 0; i--) CgroupFile.RemoveDirectory(made[i]);
            throw;
        }
    }

    /// <summary>An ordinary user without a delegated cgroup runs without one, unless a limit was asked for.</summary>
    private CgroupEntry WithoutCgroup(CgroupLimits limits, Errno errno)
    {
        if (limits is { Memory: null, Cpu: null, Pids: null, BlockIo: null, HugePages.Count: 0, Rdma.Count: 0, Unified.Count: 0 })
        {
            return new CgroupEntry();
        }

        throw new HullException(ErrorKind.PermissionDenied,
            $"limits need a cgroup, and {_directory} cannot be made ({ErrnoText.Describe(errno)}): delegate a cgroup to this user");
    }

    public CgroupEntry OpenEntry(IReadOnlyList<string>? subgroups = null)
    {
        var named = new Subgroups(subgroups, []);
        return OpenEntry(CgroupTree.Join(_directory, named.PathFor([])), isShared: true, isExplicit: named.IsExplicit);
    }

    public CgroupEntry OpenEntryOf(int pid)
    {
        var path = CgroupTree.Join(_root, CgroupHost.PathOf($"/proc/{pid}/cgroup", ""));
        return path.StartsWith(_directory + "/", StringComparison.Ordinal) ? OpenEntry(path, isShared: true, isExplicit: true) : OpenEntry();
    }

    private CgroupEntry OpenEntry(string path, bool isShared, bool isExplicit)
    {
        var descriptor = CgroupFile.TryOpen(path, Fcntl.O_PATH | Fcntl.O_DIRECTORY, out var errno);
        if (descriptor is not null) return new CgroupEntry { CloneDescriptor = descriptor, IsShared = isShared };
        if (_rootless && errno == Errno.ENOENT && !isExplicit) return new CgroupEntry();
        throw Subgroups.Missing(path, errno);
    }

    public void Add(int pid)
    {
        var errno = CgroupFile.TryWrite(_directory + "/cgroup.procs", Number.Text(pid));
        if (errno == Errno.None || (_rootless && errno is Errno.ENOENT or Errno.EACCES)) return;
        throw Check.Failure(errno, $"put process {pid} into cgroup {_directory}");
    }

    public void Apply(CgroupLimits limits)
    {
        if (!Exists) throw HullException.NotFound($"cgroup {_directory} does not exist");
        V2Controllers.Enable(_directory, _root, limits);
        new V2Limits(_directory, _rootless).Write(limits, fresh: false);
    }

    public CgroupStats ReadStats() => V2Stats.Read(_directory);

    public IReadOnlyList<int> Processes(bool recursive = true) => CgroupTree.Processes(_directory, recursive);

    public void Freeze()
    {
        CgroupFile.Write(_directory, "cgroup.freeze", "1");
        var deadline = Environment.TickCount64 + FreezePatience;
        for (var pause = 0; !IsFrozen; pause = Math.Min(pause + 1, 20))
        {
            if (Environment.TickCount64 > deadline)
            {
                CgroupFile.TryWrite(_directory + "/cgroup.freeze", "0");
                throw new HullException(ErrorKind.Timeout, $"cgroup {_directory} does not freeze; it was thawed again");
            }

            Thread.Sleep(pause);
        }
    }

    public void Thaw()
    {
        var errno = CgroupFile.TryWrite(_directory + "/cgroup.freeze", "0");
        if (errno is not (Errno.None or Errno.ENOENT)) throw Check.Failure(errno, $"thaw cgroup {_directory}");
    }

    public void Kill(int signal)
    {
        // cgroup.kill came with Linux 5.14; it catches what forks meanwhile.
        if (signal == Signals.Kill && CgroupFile.TryWrite(_directory + "/cgroup.kill", "1") is Errno.None) return;
        const int MostRounds = 100;
        for (var round = 0; round < MostRounds; round++)
        {
            var processes = Processes();
            if (processes.Count == 0) return;
            foreach (var pid in processes) Signals.Send(pid, signal);
            if (signal != Signals.Kill) return;
            Thread.Sleep(Math.Min(round, 50));
        }
    }

    public void Remove() => CgroupTree.Remove(_directory);

    public OomWatch WatchOom() => OomWatch.OpenV2(_directory);
}
