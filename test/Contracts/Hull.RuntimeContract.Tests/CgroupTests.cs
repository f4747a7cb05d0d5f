using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>config-linux.md, "Control groups", and the commands on them.</summary>
public sealed class CgroupTests
{
    [Theory, Runtimes]
    public void TheContainerIsInItsCgroup(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Contains(container.Pid.ToString(), container.Cgroup("pids", "cgroup.procs", "cgroup.procs").Split('\n'));
        Assert.Contains(container.Pid.ToString(), container.Cgroup("memory", "cgroup.procs", "cgroup.procs").Split('\n'));
    }

    [Theory, Runtimes]
    public void MemoryIsLimited(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.memory", """{"limit":33554432,"reservation":16777216}""");
        container.StartSleeping();
        Assert.Equal("33554432", container.Cgroup("memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal("16777216", container.Cgroup("memory", "memory.soft_limit_in_bytes", "memory.low"));
    }

    [Theory, Runtimes]
    public void ExceedingTheMemoryLimitKills(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.memory", """{"limit":16777216,"swap":16777216}""");
        Assert.Equal("137", container.RunScript("sh -c 'exec tail /dev/zero' 2>/dev/null; echo $?").Split('\n')[^1]);
    }

    [Theory, Runtimes(NotCrun = "it waits for good")]
    public void ALimitThatLeavesNoMemoryForInitIsSaidSo(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("true").Set("linux.resources.memory", """{"limit":1}""");
        var result = container.Run();
        Assert.NotEqual(0, result.ExitCode);
        if (container.Runtime.IsHull) Assert.Contains("memory limit of 1 bytes may be too low", result.Error);
    }

    [Theory, Runtimes]
    public void CpuTimeIsLimited(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.cpu", """{"shares":1024,"quota":50000,"period":100000}""");
        container.StartSleeping();
        if (ControlGroups.IsV2)
        {
            Assert.Equal("50000 100000", container.Cgroup("cpu", "", "cpu.max"));
            return;
        }

        Assert.Equal("1024", container.Cgroup("cpu", "cpu.shares", ""));
        Assert.Equal("50000", container.Cgroup("cpu", "cpu.cfs_quota_us", ""));
        Assert.Equal("100000", container.Cgroup("cpu", "cpu.cfs_period_us", ""));
    }

    [Theory, Runtimes(NotCrun = "it waits for good")]
    public void AFrozenCgroupIsRefusedAndStays(string runtime)
    {
        using var container = new Container(runtime);
        var directory = ControlGroups.Directory("freezer", container.CgroupsPath);
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, ControlGroups.IsV2 ? "cgroup.freeze" : "freezer.state"), ControlGroups.IsV2 ? "1" : "FROZEN");
        try
        {
            var result = container.Create();
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains("cgroup unexpectedly frozen", result.Error);
            Assert.True(Directory.Exists(directory));
        }
        finally
        {
            if (Directory.Exists(directory)) Directory.Delete(directory);
        }
    }

    [Theory, Runtimes]
    public void CpusAreChosen(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.cpu", """{"cpus":"0","mems":"0"}""");
        container.StartSleeping();
        Assert.Equal("0", container.Cgroup("cpuset", "cpuset.cpus", "cpuset.cpus"));
        Assert.Equal("1", container.ExecScript("nproc"));
    }

    [Theory, Runtimes]
    public void TasksAreLimited(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.pids", """{"limit":5}""");
        Assert.Contains("fork", container.RunScript("(for i in 1 2 3 4 5 6 7 8; do sleep 1 & done) 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void BlockDevicesAreThrottled(string runtime)
    {
        using var container = new Container(runtime);
        var device = Directory.GetFiles("/sys/block/", "*").Concat(Directory.GetDirectories("/sys/block")).Select(path => path + "/dev").FirstOrDefault(File.Exists);
        Require.That(device is not null, "no block device");
        var numbers = File.ReadAllText(device!).Trim().Split(':');
        container.Spec.Set("linux.resources.blockIO",
            $$"""{"throttleReadBpsDevice":[{"major":{{numbers[0]}},"minor":{{numbers[1]}},"rate":1048576}]}""");
        container.StartSleeping();
        Assert.Contains("1048576", container.Cgroup("blkio", "blkio.throttle.read_bps_device", "io.max"));
    }

    [Theory, Runtimes]
    public void LimitsAreUpdatedLive(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.memory", """{"limit":33554432}""").Set("linux.resources.pids", """{"limit":100}""");
        container.StartSleeping();
        container.Call("update", "--memory", "67108864", "--pids-limit", "10", "--cpu-quota", "20000", "--cpu-period", "100000", container.Id).Ok();
        Assert.Equal("67108864", container.Cgroup("memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal("10", container.Cgroup("pids", "pids.max", "pids.max"));
        Assert.Equal(ControlGroups.IsV2 ? "20000 100000" : "20000", container.Cgroup("cpu", "cpu.cfs_quota_us", "cpu.max"));
    }

    [Theory, Runtimes]
    public void LimitsAreUpdatedFromAFile(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        File.WriteAllText(container.Outside("resources.json"), """{"memory":{"limit":50331648},"pids":{"limit":33}}""");
        container.Call("update", "--resources", container.Outside("resources.json"), container.Id).Ok();
        Assert.Equal("50331648", container.Cgroup("memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal("33", container.Cgroup("pids", "pids.max", "pids.max"));
    }

    [Theory, Runtimes]
    public void DevicesStayUsableAcrossAnUpdate(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Call("update", "--pids-limit", "50", container.Id).Ok();
        Assert.Equal("ok", container.ExecScript("echo x > /dev/null && echo ok"));
    }

    [Theory, Runtimes(NotCrun = "1.8 returns before all is frozen")]
    public void PauseStopsAndResumeGoesOn(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("i=0; while :; do i=$((i+1)); echo $i > /count; usleep 5000; done");
        container.Create().Ok();
        container.Start().Ok();
        for (var i = 0; i < 500 && Count() == ""; i++) Thread.Sleep(10);
        container.Call("pause", container.Id).Ok();
        Assert.Equal("paused", container.Status());
        var before = Count();
        Thread.Sleep(100);
        Assert.Equal(before, Count());
        container.Call("resume", container.Id).Ok();
        Assert.Equal("running", container.Status());
        for (var i = 0; i < 500 && Count() == before; i++) Thread.Sleep(10);
        Assert.NotEqual(before, Count());

        string Count() => File.Exists(container.InRootfs("count")) ? File.ReadAllText(container.InRootfs("count")).Trim() : "";
    }

    [Theory, Runtimes]
    public void PausingWhatIsPausedOrResumingWhatRunsFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        if (container.Runtime.Name != "crun") Assert.NotEqual(0, container.Call("resume", container.Id).ExitCode);
        container.Call("pause", container.Id).Ok();
        if (container.Runtime.Name != "crun") Assert.NotEqual(0, container.Call("pause", container.Id).ExitCode);
        container.Call("resume", container.Id).Ok();
    }

    [Theory, Runtimes]
    public void APausedContainerIsDeletedByForce(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Call("pause", container.Id).Ok();
        container.Delete("--force").Ok();
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void PsListsProcesses(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        var pids = JsonNode.Parse(container.Call("ps", "--format", "json", container.Id).Ok().Output)!.AsArray();
        Assert.Equal([container.Pid], pids.Select(node => (int)node!));
        Assert.Contains(container.Pid.ToString(), container.Call("ps", container.Id).Ok().Output);
    }

    [Theory, Runtimes(NotCrun = "has no such command")]
    public void EventsHaveStatistics(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.memory", """{"limit":33554432}""").Set("linux.resources.pids", """{"limit":77}""");
        container.StartSleeping();
        var line = JsonNode.Parse(container.Call("events", "--stats", container.Id).Ok().Output)!;
        Assert.Equal("stats", (string?)line["type"]);
        Assert.Equal(container.Id, (string?)line["id"]);
        var data = line["data"]!;
        Assert.Equal(33554432UL, (ulong)data["memory"]!["usage"]!["limit"]!);
        Assert.True((ulong)data["pids"]!["current"]! >= 1);
        Assert.Equal(77UL, (ulong)data["pids"]!["limit"]!);
        Assert.True((ulong)data["cpu"]!["usage"]!["total"]! > 0);
        Assert.True(data["memory"]!["raw"]!.AsObject().Count > 5);
    }

    [Theory, Runtimes]
    public void KillAllReachesEveryProcess(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.WithoutNamespace("pid").Script("sleep 1001 & sleep 1002 & wait");
        container.Create().Ok();
        container.Start().Ok();
        for (var i = 0; i < 500 && container.Cgroup("pids", "cgroup.procs", "cgroup.procs").Split('\n').Length < 3; i++) Thread.Sleep(10);
        container.Call("kill", "--all", container.Id, "KILL").Ok();
        container.WaitFor("stopped");
        for (var i = 0; i < 500 && container.Cgroup("pids", "cgroup.procs", "cgroup.procs") != ""; i++) Thread.Sleep(10);
        Assert.Equal("", container.Cgroup("pids", "cgroup.procs", "cgroup.procs"));
    }

    [Theory, Runtimes]
    public void DeletionEndsWhatInitLeftBehind(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.WithoutNamespace("pid").Script("setsid sleep 1003 </dev/null >/dev/null 2>&1 & exit 0");
        container.Create().Ok();
        container.Start().Ok();
        container.WaitFor("stopped");
        container.Delete("--force").Ok();
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 leaves the cgroup")]
    public void AValueTheKernelRefusesLeavesNothing(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.cpu", """{"cpus":"4000"}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 ignores it")]
    public void UnifiedIsForV2Only(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.unified", """{"pids.max":"44"}""").Args("sleep", "1000");
        if (!ControlGroups.IsV2)
        {
            Assert.NotEqual(0, container.Run().ExitCode);
            container.AssertNothingIsLeft();
            return;
        }

        container.Create().Ok();
        Assert.Equal("44", container.Cgroup("", "", "pids.max"));
    }

    [Theory, Runtimes]
    public void ExecJoinsTheCgroup(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Contains(container.Id, container.ExecScript("cat /proc/self/cgroup"));
    }

    [Theory, Runtimes(NotCrun = "1.8 takes the path as it is")]
    public void APathThatLeadsOutStaysInside(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("linux.cgroupsPath", $"/../..{ControlGroups.Parent}/x/../{container.Id}");
        container.StartSleeping();
        Assert.Contains(container.Pid.ToString(), container.Cgroup("pids", "cgroup.procs", "cgroup.procs").Split('\n'));
    }
}
