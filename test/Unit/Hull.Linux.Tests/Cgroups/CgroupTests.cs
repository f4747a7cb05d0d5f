using System.Diagnostics;
using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Testing;

namespace Hull.Linux.Tests.Cgroups;

/// <summary>The manager on this machine's own control groups, whatever their version.</summary>
public sealed class CgroupTests : IDisposable
{
    private readonly ICgroup _cgroup;
    private readonly List<Process> _processes = [];

    public CgroupTests()
    {
        Require.Root();
        _cgroup = CgroupManager.Name("x", $"/hull-unit-{RandomId.New()[..12]}/leaf");
    }

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        _cgroup.Remove();
        foreach (var path in _cgroup.Paths.Values.Distinct())
        {
            var parent = Path.GetDirectoryName(path)!;
            if (Directory.Exists(parent)) Directory.Delete(parent);
        }
    }

    [Fact]
    public void LimitsAreWrittenAndUpdated()
    {
        using (_cgroup.Prepare(new CgroupLimits { Memory = new MemoryLimits { Limit = 64 << 20 }, Pids = 50 })) Assert.True(_cgroup.Exists);
        var stats = _cgroup.ReadStats();
        Assert.Equal(64UL << 20, stats.Memory!.Memory.Limit);
        Assert.Equal(50UL, stats.Pids!.Limit);
        _cgroup.Apply(new CgroupLimits { Memory = new MemoryLimits { Limit = 32 << 20 }, Pids = -1 });
        stats = _cgroup.ReadStats();
        Assert.Equal(32UL << 20, stats.Memory!.Memory.Limit);
        Assert.Equal(0UL, stats.Pids!.Limit);
    }

    [Fact]
    public void TheEntryCoversEveryHierarchyWithoutASystemWideLock()
    {
        using var entry = _cgroup.Prepare(new CgroupLimits());
        var entered = entry.JoinDescriptors.Select(LinkOf).ToList();
        Assert.All(entered, path => Assert.EndsWith("/tasks", path, StringComparison.Ordinal));
        var directories = entered.Select(path => Path.GetDirectoryName(path)!).ToList();
        if (entry.CloneDescriptor is { } born) directories.Add(LinkOf(born));
        Assert.Equal(_cgroup.Paths.Values.Distinct().Order(), directories.Order());

        static string LinkOf(SafeFd descriptor) => new FileInfo($"/proc/self/fd/{descriptor.Value}").LinkTarget!;
    }

    [Fact]
    public void ARefusedLimitLeavesNothing()
    {
        var error = Assert.Throws<HullException>(() => _cgroup.Prepare(new CgroupLimits { Cpu = new CpuLimits { Cpus = "4000" } }));
        Assert.Contains("cpuset.cpus", error.Message, StringComparison.Ordinal);
        Assert.False(_cgroup.Exists);
        Assert.All(_cgroup.Paths.Values, path => Assert.False(Directory.Exists(Path.GetDirectoryName(path))));
    }

    [Fact]
    public void AnEmptyCpusetAboveIsFilled()
    {
        Require.That(CgroupManager.Version == CgroupVersion.V1, "only v1 has empty cpusets");
        var parent = Directory.CreateDirectory(Path.GetDirectoryName(_cgroup.Paths["cpuset"])!).FullName;
        Assert.Equal("", File.ReadAllText(parent + "/cpuset.cpus").Trim());
        _cgroup.Prepare(new CgroupLimits()).Dispose();
        Start();
        Assert.NotEqual("", File.ReadAllText(parent + "/cpuset.cpus").Trim());
    }

    [Fact]
    public void ProcessesAreFrozenThawedAndKilled()
    {
        _cgroup.Prepare(new CgroupLimits()).Dispose();
        var sleeper = Start();
        Assert.Equal([sleeper.Id], _cgroup.Processes());
        _cgroup.Freeze();
        Assert.Equal(FreezerState.Frozen, _cgroup.Freezer);
        _cgroup.Thaw();
        Assert.Equal(FreezerState.Thawed, _cgroup.Freezer);
        Assert.Equal(1UL, _cgroup.ReadStats().Pids!.Current);
        _cgroup.Kill(9);
        Assert.True(sleeper.WaitForExit(10_000));
        Assert.Empty(_cgroup.Processes());
    }

    [Fact]
    public void AFrozenGroupIsKilledToo()
    {
        _cgroup.Prepare(new CgroupLimits()).Dispose();
        var sleeper = Start();
        _cgroup.Freeze();
        _cgroup.Kill(9);
        Assert.True(sleeper.WaitForExit(10_000));
    }

    [Fact]
    public void TheRecordFindsItAgain()
    {
        _cgroup.Prepare(new CgroupLimits { Pids = 7 }).Dispose();
        var same = CgroupManager.Load(_cgroup.Record);
        Assert.Equal(7UL, same.ReadStats().Pids!.Limit);
        same.Remove();
        Assert.False(_cgroup.Exists);
        same.Remove();
    }

    [Fact]
    public void DeviceRulesAreChangedInPlace()
    {
        Require.That(CgroupManager.Version == CgroupVersion.V1, "reads devices.list, which v1 has");
        DeviceRule Allow(long minor) => new(true, DeviceKind.Character, 1, minor, DeviceAccess.All);
        _cgroup.Prepare(new CgroupLimits { Devices = [Allow(3), Allow(5)] }).Dispose();
        var list = _cgroup.Paths["devices"] + "/devices.list";
        Assert.Equal("c 1:3 rwm\nc 1:5 rwm\n", File.ReadAllText(list));
        _cgroup.Apply(new CgroupLimits { Devices = [Allow(5), Allow(7)] });
        Assert.Equal("c 1:5 rwm\nc 1:7 rwm\n", File.ReadAllText(list));
        _cgroup.Apply(new CgroupLimits { Devices = [new DeviceRule(true, DeviceKind.All, null, null, DeviceAccess.All)] });
        Assert.Equal("a *:* rwm\n", File.ReadAllText(list));
    }

    [Fact]
    public void OutOfMemoryIsTold()
    {
        _cgroup.Prepare(new CgroupLimits { Memory = new MemoryLimits { Limit = 8 << 20, Swap = 8 << 20 } }).Dispose();
        using var watch = _cgroup.WatchOom();
        var eater = Start("/bin/sh", "-c", "read line; tail /dev/zero");
        eater.StandardInput.WriteLine();
        // v2 tells of every event of memory.events, among them that the limit was reached.
        while (!watch.Acknowledge()) Assert.True(watch.IsAlive);
        // The kernel tells before it kills.
        Assert.True(eater.WaitForExit(10_000));
        Assert.True(_cgroup.ReadStats().Memory!.OomKills > 0);
    }

    [Fact]
    public void PageCacheIsTakenAndNobodyEndsForIt()
    {
        _cgroup.Prepare(new CgroupLimits { Memory = new MemoryLimits { Limit = 256 << 20 } }).Dispose();
        using var directory = new TemporaryDirectory();
        Require.OnDisk(directory.Path);
        var process = Start("/bin/sh", "-c", "read go; dd if=/dev/zero of=\"$0\" bs=1M count=48 conv=fsync 2> /dev/null; echo done > \"$0.done\"; read end", directory["file"]);
        process.StandardInput.WriteLine();
        process.StandardInput.Flush();
        for (var i = 0; i < 6000 && !File.Exists(directory["file.done"]); i++) Thread.Sleep(10);
        Assert.SkipUnless(Usage() > 32 << 20, "the page cache of this directory's file system is nobody's");
        CgroupMemory.Press(_cgroup, 16 << 20);
        // memory.high is not reclaimed to at once by a process that sleeps, but by whoever lowers it (cgroup-v2.rst).
        Assert.InRange(Usage(), 0L, 24 << 20);
        Assert.False(process.HasExited);
        Assert.Equal(256UL << 20, _cgroup.ReadStats().Memory!.Memory.Limit);
        CgroupMemory.Release(_cgroup);
        if (_cgroup.Version == CgroupVersion.V2) Assert.Equal("max\n", File.ReadAllText(Path.Combine(_cgroup.Paths[""], "memory.high")));
        else Assert.StartsWith("oom_kill_disable 0", File.ReadAllText(Path.Combine(_cgroup.Paths["memory"], "memory.oom_control")), StringComparison.Ordinal);

        long Usage() => (long)_cgroup.ReadStats().Memory!.Memory.Usage;
    }

    private Process Start(string program = "/bin/sleep", params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true };
        foreach (var argument in arguments.Length == 0 ? ["1000"] : arguments) start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        _processes.Add(process);
        _cgroup.Add(process.Id);
        return process;
    }
}
