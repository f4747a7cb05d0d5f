using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>Further processes of a running container.</summary>
public sealed class ExecTests
{
    [Theory, Runtimes]
    public void ItSeesWhatTheContainerSees(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Equal("hull\n1", container.ExecScript("hostname; ps | grep -c 'sleep 100[0]'"));
    }

    [Theory, Runtimes]
    public void ItIsInTheSameNamespaces(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        foreach (var name in (string[])["pid", "net", "ipc", "uts", "mnt"])
        {
            Assert.Equal(Hull.Testing.Command.Run("readlink", $"/proc/{container.Pid}/ns/{name}").Trimmed, container.ExecScript($"readlink /proc/self/ns/{name}"));
        }
    }

    [Theory, Runtimes(NotCrun = "it takes any path")]
    public void ItEntersCgroupsBelowTheContainersOnly(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Contains("is not a sub cgroup path", container.Call("exec", "--cgroup", "..", container.Id, "true").Error);
        Assert.NotEqual(0, container.Call("exec", "--cgroup", "nowhere", container.Id, "true").ExitCode);
        foreach (var path in ControlGroups.Existing(container.CgroupsPath).ToArray()) Directory.CreateDirectory(path + "/inner");
        // A cpuset that has no processors takes no process, so in v1 controllers are named one by one.
        var inner = ControlGroups.IsV2 ? "inner" : "pids,memory:inner";
        var lines = container.Call("exec", "--cgroup", inner, container.Id, "cat", "/proc/self/cgroup").Ok().Output.Split('\n');
        Assert.EndsWith("/inner", lines.Single(line => line.Contains(ControlGroups.IsV2 ? "0::" : ":pids:")));
        if (ControlGroups.IsV2) return;
        Assert.DoesNotContain("/inner", lines.Single(line => line.Contains(":devices:")));
        Assert.Contains("unknown controller", container.Call("exec", "--cgroup", "nothing:inner", container.Id, "true").Error);
    }

    [Theory, Runtimes]
    public void ItFollowsInitBelowACgroupThatMayHoldNoProcess(string runtime)
    {
        Require.That(ControlGroups.IsV2, "the rule of no internal processes is cgroup v2's");
        using var container = new Container(runtime).StartSleeping();
        var cgroup = ControlGroups.Directory("", container.CgroupsPath);
        Directory.CreateDirectory(cgroup + "/inner");
        File.WriteAllText(cgroup + "/inner/cgroup.procs", container.Pid.ToString());
        File.WriteAllText(cgroup + "/cgroup.subtree_control", "+memory");
        Assert.EndsWith("/inner", container.Exec("cat", "/proc/self/cgroup").Ok().Trimmed);
        Assert.NotEqual(0, container.Call("exec", "--cgroup", "/", container.Id, "true").ExitCode);
    }

    [Theory, Runtimes]
    public void EnvironmentDirectoryAndUserAreOptions(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        var result = container.Call("exec", "--env", "X=1", "--env", "Y=2 3", "--env", "PATH=/bin", "--cwd", "/var", "--user", "1000:1001", container.Id,
            "sh", "-c", "echo $X $Y $(pwd) $(id -u) $(id -g)");
        Assert.Equal("1 2 3 /var 1000 1001", result.Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void AProcessFileDescribesIt(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        File.WriteAllText(container.Outside("process.json"),
            """{"user":{"uid":1000,"gid":1000,"additionalGids":[9]},"args":["sh","-c","echo $A; id -G; pwd"],"env":["A=b","PATH=/bin"],"cwd":"/tmp"}""");
        Assert.Equal("b\n1000 9\n/tmp", container.Call("exec", "--process", container.Outside("process.json"), container.Id).Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void DetachedItRunsOn(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Call("exec", "--detach", "--pid-file", container.Outside("pid"), container.Id, "sleep", "1004").Ok();
        var pid = File.ReadAllText(container.Outside("pid")).Trim();
        Assert.Contains("1004", File.ReadAllText($"/proc/{pid}/cmdline"));
        Assert.Contains(pid, container.Cgroup("pids", "cgroup.procs", "cgroup.procs").Split('\n'));
    }

    [Theory, Runtimes]
    public void CapabilitiesAreTheContainers(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Equal(Line("CapBnd", File.ReadAllText($"/proc/{container.Pid}/status")), Line("CapBnd", container.Exec("cat", "/proc/self/status").Ok().Output));

        static string Line(string name, string text) => text.Split('\n').Single(line => line.StartsWith(name, StringComparison.Ordinal));
    }

    [Theory, Runtimes]
    public void NoDescriptorOfTheRuntimeIsOpen(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Equal("0\n1\n2\n3", container.Exec("ls", "/proc/self/fd").Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void InAStoppedContainerItFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Kill().Ok();
        container.WaitFor("stopped");
        Assert.NotEqual(0, container.Exec("true").ExitCode);
    }

    [Theory, Runtimes]
    public void InACreatedContainerItRuns(string runtime)
    {
        using var container = new Container(runtime);
        container.Create().Ok();
        Assert.Equal("here", container.Exec("echo", "here").Ok().Trimmed);
        Assert.Equal("created", container.Status());
    }

    [Theory, Runtimes]
    public void ItEndsWithTheContainer(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Call("exec", "--detach", "--pid-file", container.Outside("pid"), container.Id, "sleep", "1005").Ok();
        container.Kill().Ok();
        container.WaitFor("stopped");
        var pid = File.ReadAllText(container.Outside("pid")).Trim();
        for (var i = 0; i < 500 && Alive(pid); i++) Thread.Sleep(10);
        Assert.False(Alive(pid));

        static bool Alive(string pid)
        {
            try
            {
                return File.ReadAllText($"/proc/{pid}/cmdline").Contains("1005");
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    [Theory, Runtimes]
    public void ManyAtOnce(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        var results = Enumerable.Range(0, 12).AsParallel().WithDegreeOfParallelism(6)
            .Select(number => (number, text: container.Exec("echo", number.ToString()).Ok().Trimmed)).ToArray();
        Assert.All(results, result => Assert.Equal(result.number.ToString(), result.text));
    }

    [Theory, Runtimes]
    public void TheMountNamespaceHidesTheHost(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.DoesNotContain(container.Bundle, container.ExecScript("cat /proc/self/mounts; pwd; ls -la /proc/self/cwd"));
    }
}
