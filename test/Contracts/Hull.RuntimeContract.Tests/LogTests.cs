using System.Text.Json.Nodes;

namespace Hull.RuntimeContract.Tests;

/// <summary>What the runtime says besides errors: steps with --debug, warnings, help and version.</summary>
public sealed class LogTests
{
    [Theory, Runtimes(NotCrun = "its lines have another form")]
    public void DebugLinesGoToStderr(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("echo done");
        container.WriteSpec();
        var result = container.Call("--debug", "run", "--bundle", container.Bundle, container.Id).Ok();
        Assert.Equal("done", result.Trimmed);
        Assert.Contains("level=debug", result.Error);
    }

    [Theory, Runtimes(NotCrun = "its lines have another form")]
    public void DebugLinesGoToTheLogInstead(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("true");
        container.WriteSpec();
        var log = container.Outside("log");
        var result = container.Call("--debug", "--log", log, "--log-format", "json", "run", "--bundle", container.Bundle, container.Id).Ok();
        Assert.Equal("", result.Error);
        foreach (var line in File.ReadLines(log))
        {
            var entry = JsonNode.Parse(line)!;
            Assert.Equal("debug", (string?)entry["level"]);
            Assert.NotEqual("", (string?)entry["msg"]);
            Assert.Equal(DateTimeKind.Utc, ((DateTime)entry["time"]!).Kind);
        }
    }

    [Theory, Runtimes(NotCrun = "it says nothing")]
    public void WhoComesIntoACgroupWithProcessesIsWarned(string runtime)
    {
        using var first = new Container(runtime).StartSleeping();
        using (var second = new Container(runtime))
        {
            second.Spec.Text("linux.cgroupsPath", first.CgroupsPath);
            second.Spec.Args("sleep", "1000");
            Assert.Contains("container's cgroup is not empty", second.Create().Ok().Error);
            second.Start().Ok();
            if (!second.Runtime.IsHull) return;
            // Deleting the guest is no reason for the host to die. runc fails, because the cgroup cannot be removed.
            second.Delete("--force").Ok();
        }

        Assert.Equal("running", first.Status());
        Assert.Contains(first.Pid.ToString(), first.Cgroup("pids", "cgroup.procs", "cgroup.procs").Split('\n'));
    }

    [Theory, Runtimes(NotCrun = "its help has another form")]
    public void HelpSaysWhatEachCommandDoes(string runtime)
    {
        using var container = new Container(runtime);
        var all = container.Call("--help").Ok().Output;
        foreach (var command in (string[])["create", "start", "run", "exec", "kill", "delete", "state", "list", "ps", "pause", "resume", "update", "events", "spec", "features", "checkpoint", "restore"])
        {
            if (command != "features" || container.Runtime.IsHull) Assert.Contains($"\n   {command} ", all.Replace(",", " "));
            var lines = container.Call(command, "-h").Ok().Output.Split('\n');
            Assert.Equal("NAME:", lines[0]);
            Assert.StartsWith($"   {runtime} {command} - ", lines[1]);
        }

        Assert.Contains("No help topic for 'fly'", container.Call("fly", "-h").Error + container.Call("fly", "-h").Output);
    }
}
