using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>The systemd cgroup driver with a real systemd.</summary>
public sealed class SystemdTests
{
    private const string Slice = "hulltest-a.slice";

    [Theory, Runtimes(NotCrun = "Debian's crun asks for a message bus, and none runs here", NotRunc = "Debian's runc asks for a message bus, and none runs here")]
    public void AContainerIsAScopeOfItsSliceFromCreationToDeletion(string runtime)
    {
        using var container = new Container(runtime);
        using var machine = new SystemdMachine();
        var unit = $"hull-{container.Id}.scope";
        container.Spec.Text("linux.cgroupsPath", $"{Slice}:hull:{container.Id}").Args("sleep", "1000")
            .Set("linux.resources.memory", """{"limit":67108864}""").Set("linux.resources.pids", """{"limit":33}""")
            .Set("linux.resources.cpu", """{"shares":512}""").Add("linux.namespaces", """{"type":"cgroup"}""");
        container.Spec.Mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro");
        container.WriteSpec();

        Call("run", "--detach", "--bundle", container.Bundle, container.Id).Ok();
        var properties = Properties();
        Assert.Contains("ActiveState=active", properties);
        Assert.Contains("Slice=" + Slice, properties);
        Assert.Contains($"ControlGroup=/hulltest.slice/{Slice}/{unit}", properties);
        Assert.Contains("TasksMax=33", properties);
        Assert.Contains(ControlGroups.IsV2 ? "MemoryMax=67108864" : "MemoryLimit=67108864", properties);
        Assert.Contains(ControlGroups.IsV2 ? "CPUWeight=" : "CPUShares=512", properties);
        Assert.Equal("67108864", ReadLimit("memory", "memory.limit_in_bytes", "memory.max"));

        // systemd writes its units' cgroups anew when it is reloaded: nothing is lost, and nothing is won.
        machine.Run("systemctl", "daemon-reload").Ok();
        Assert.Equal("67108864", ReadLimit("memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal("33", ReadLimit("pids", "pids.max", "pids.max"));
        Assert.Equal("ok", Call("exec", container.Id, "sh", "-c", "echo > /dev/null && ! mknod /tmp/sda b 8 0 2> /dev/null || ! cat /tmp/sda; echo ok").Ok().Trimmed);

        // All of an exec's cgroups are the container's, which its namespace shows as the root.
        Assert.DoesNotContain("..", Call("exec", container.Id, "cat", "/proc/self/cgroup").Ok().Output);

        Call("update", "--memory", "134217728", "--pids-limit", "44", container.Id).Ok();
        Assert.Contains("TasksMax=44", Properties());
        Assert.Equal("134217728", ReadLimit("memory", "memory.limit_in_bytes", "memory.max"));

        Call("delete", "--force", container.Id).Ok();
        Assert.Contains("ActiveState=inactive", Properties());
        Assert.Equal("", machine.Run("find", "/sys/fs/cgroup", "-name", unit).Ok().Output);

        string[] Properties() => machine.Run("systemctl", "show", unit).Ok().Output.Split('\n').Select(line => line.StartsWith("CPUWeight=", StringComparison.Ordinal) ? "CPUWeight=" : line).ToArray();
        CommandResult Call(params string[] arguments) => machine.Run(
            ["sh", "-c", "\"$@\" < /dev/null > /run/out 2>&1; code=$?; cat /run/out; exit $code", "sh", container.Runtime.Path, "--systemd-cgroup", "--root", container.StateRoot, .. arguments]);
        string ReadLimit(string controller, string v1, string v2) => machine.Run(
            "cat", ControlGroups.IsV2 ? $"/sys/fs/cgroup/hulltest.slice/{Slice}/{unit}/{v2}" : $"/sys/fs/cgroup/{controller}/hulltest.slice/{Slice}/{unit}/{v1}").Ok().Trimmed;
    }

    [Theory, Runtimes(NotRunc = "another message", NotCrun = "another message")]
    public void WithoutSystemdItSaysSoAndLeavesNothing(string runtime)
    {
        Require.That(!Directory.Exists("/run/systemd/system"), "systemd runs here");
        using var container = new Container(runtime);
        container.Spec.Text("linux.cgroupsPath", $":hull:{container.Id}");
        container.WriteSpec();
        var result = container.Call("--systemd-cgroup", "run", "--bundle", container.Bundle, container.Id);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("leave --systemd-cgroup out", result.Error);
        Assert.False(Directory.Exists(Path.Combine(container.StateRoot, container.Id)));
    }
}
