using System.Text.Json.Nodes;

namespace Hull.RuntimeContract.Tests;

/// <summary>runtime.md: state, operations and their order.</summary>
public sealed class LifecycleTests
{
    [Theory, Runtimes]
    public void CreatedThenRunningThenStopped(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("echo here; sleep 1000");
        container.Create().Ok();
        Assert.Equal("created", container.Status());
        Assert.Equal("", container.Output);
        container.Start().Ok();
        Assert.Equal("running", container.Status());
        for (var i = 0; i < 1000 && container.Output == ""; i++) Thread.Sleep(10);
        Assert.Equal("here", container.Output);
        container.Kill().Ok();
        container.WaitFor("stopped");
        container.Delete().Ok();
        Assert.NotEqual(0, container.Call("state", container.Id).ExitCode);
    }

    [Theory, Runtimes]
    public void StateHasWhatTheSpecAsksFor(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("annotations", """{"org.example.key":"value"}""");
        container.StartSleeping();
        var state = container.State();
        Assert.Equal(container.Id, (string?)state["id"]);
        Assert.Equal(container.Bundle, (string?)state["bundle"]);
        Assert.StartsWith("1.", (string?)state["ociVersion"]);
        Assert.Equal("value", (string?)state["annotations"]!["org.example.key"]);
        // runc's start answers before init has executed the program.
        var commandLine = $"/proc/{container.Pid}/cmdline";
        for (var i = 0; i < 500 && !File.ReadAllText(commandLine).Contains("sleep"); i++) Thread.Sleep(20);
        Assert.Contains("sleep", File.ReadAllText(commandLine));
    }

    [Theory, Runtimes]
    public void TheBundleIsTheWorkingDirectoryByDefault(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("sleep", "1000");
        container.WriteSpec();
        container.CallIn(container.Bundle, "create", container.Id).Ok();
        Assert.Equal(container.Bundle, (string?)container.State()["bundle"]);
    }

    [Theory, Runtimes]
    public void TheProgramDoesNotRunBeforeStart(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("touch /ran");
        container.Create().Ok();
        Assert.False(File.Exists(container.InRootfs("ran")));
        container.Start().Ok();
        container.WaitFor("stopped");
        Assert.True(File.Exists(container.InRootfs("ran")));
    }

    [Theory, Runtimes]
    public void ChangesOfTheConfigAfterCreateHaveNoEffect(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("echo first");
        container.Create().Ok();
        container.Spec.Script("echo second");
        container.WriteSpec();
        container.Start().Ok();
        container.WaitFor("stopped");
        Assert.Equal("first", container.Output);
    }

    [Theory, Runtimes]
    public void AnIdIsTakenOnce(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        var pid = container.Pid;
        Assert.NotEqual(0, container.Create().ExitCode);
        Assert.Equal("running", container.Status());
        Assert.Equal(pid, container.Pid);
    }

    [Theory, Runtimes]
    public void StartingTwiceFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.NotEqual(0, container.Start().ExitCode);
        Assert.Equal("running", container.Status());
    }

    [Theory, Runtimes]
    public void StartingAStoppedContainerFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Kill().Ok();
        container.WaitFor("stopped");
        Assert.NotEqual(0, container.Start().ExitCode);
    }

    [Theory, Runtimes]
    public void DeletingARunningContainerFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.NotEqual(0, container.Delete().ExitCode);
        Assert.Equal("running", container.Status());
    }

    [Theory, Runtimes]
    public void ForcedDeleteKills(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Delete("--force").Ok();
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ForcedDeleteOfACreatedContainer(string runtime)
    {
        using var container = new Container(runtime);
        container.Create().Ok();
        container.Delete("--force").Ok();
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void KillingACreatedContainerStopsIt(string runtime)
    {
        using var container = new Container(runtime);
        container.Create().Ok();
        container.Kill().Ok();
        container.WaitFor("stopped");
    }

    [Theory, Runtimes]
    public void KillingAStoppedContainerFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Kill().Ok();
        container.WaitFor("stopped");
        Assert.NotEqual(0, container.Kill().ExitCode);
    }

    [Theory, Runtimes]
    public void SignalZeroAsksWhetherItLives(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        container.Kill("0").Ok();
        Assert.Equal("running", container.Status());
    }

    [Theory, Runtimes]
    public void ForcedDeleteOfNothingSucceeds(string runtime)
    {
        using var container = new Container(runtime);
        container.Delete("--force").Ok();
        Assert.NotEqual(0, container.Delete().ExitCode);
    }

    [Theory, Runtimes]
    public void UnknownContainersAreErrors(string runtime)
    {
        using var container = new Container(runtime);
        Assert.NotEqual(0, container.Call("state", container.Id).ExitCode);
        Assert.NotEqual(0, container.Start().ExitCode);
        Assert.NotEqual(0, container.Kill().ExitCode);
        Assert.NotEqual(0, container.Exec("true").ExitCode);
    }

    [Theory, Runtimes]
    public void SignalsHaveNamesAndNumbers(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("trap 'echo usr1' USR1; trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
        container.Create().Ok();
        container.Start().Ok();
        WaitForLine("ready");
        container.Kill("USR1").Ok();
        WaitForLine("usr1");
        container.Kill("SIGTERM").Ok();
        container.WaitFor("stopped");
        Assert.Contains("term", container.Output);

        void WaitForLine(string line)
        {
            for (var i = 0; i < 500 && !container.Output.Split('\n').Contains(line); i++) Thread.Sleep(10);
            Assert.Contains(line, container.Output);
        }
    }

    [Theory, Runtimes]
    public void TheDefaultSignalIsTerm(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("trap 'exit 0' TERM; touch /ready; while :; do sleep 0.05; done");
        container.Create().Ok();
        container.Start().Ok();
        for (var i = 0; i < 500 && !File.Exists(container.InRootfs("ready")); i++) Thread.Sleep(10);
        container.Call("kill", container.Id).Ok();
        container.WaitFor("stopped");
    }

    [Theory, Runtimes(NotCrun = "1.8 sends signal 0 instead")]
    public void AnUnknownSignalIsAnError(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.NotEqual(0, container.Kill("NOSUCH").ExitCode);
        Assert.Equal("running", container.Status());
    }

    [Theory, Runtimes]
    public void ThePidFileHasThePid(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("pid");
        container.Spec.Args("sleep", "1000");
        container.Create("--pid-file", file).Ok();
        Assert.Equal(container.Pid.ToString(), File.ReadAllText(file).Trim());
    }

    [Theory, Runtimes]
    public void RunDetachedComesBackWhileItRuns(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("sleep", "1000");
        container.Run("--detach", "--pid-file", container.Outside("pid")).Ok();
        Assert.Equal("running", container.Status());
        Assert.Equal(container.Pid.ToString(), File.ReadAllText(container.Outside("pid")).Trim());
    }

    [Theory, Runtimes]
    public void RunLeavesNothing(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("done", container.RunScript("echo done"));
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ListShowsContainers(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Contains(container.Id, container.Call("list").Ok().Output);
        Assert.Equal(container.Id, container.Call("list", "-q").Ok().Trimmed);
        var entry = JsonNode.Parse(container.Call("list", "-f", "json").Ok().Output)!.AsArray().Single()!;
        Assert.Equal(container.Id, (string?)entry["id"]);
        Assert.Equal(container.Pid, (int)entry["pid"]!);
        Assert.Equal("running", (string?)entry["status"]);
        Assert.Equal(container.Bundle, (string?)entry["bundle"]);
    }

    [Theory, Runtimes]
    public void ContainersOfAnotherRootAreNotSeen(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        using var other = new Container(runtime);
        Assert.Equal("", other.Call("list", "-q").Ok().Trimmed);
    }

    [Theory, Runtimes(NotCrun = "1.8 prints no features")]
    public void FeaturesNameWhatThereIs(string runtime)
    {
        using var container = new Container(runtime);
        var features = JsonNode.Parse(container.Call("features").Ok().Output)!;
        Assert.Contains("bind", features["mountOptions"]!.AsArray().Select(node => (string?)node));
        Assert.Contains("network", features["linux"]!["namespaces"]!.AsArray().Select(node => (string?)node));
        Assert.Contains("prestart", features["hooks"]!.AsArray().Select(node => (string?)node));
    }

    [Theory, Runtimes]
    public void SpecWritesAConfigThatRuns(string runtime)
    {
        using var container = new Container(runtime);
        container.CallIn(container.Bundle, "spec").Ok();
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(container.Bundle, "config.json")))!;
        config["process"]!["terminal"] = false;
        config["process"]!["args"] = new JsonArray("echo", "from spec");
        config["linux"]!["cgroupsPath"] = container.CgroupsPath;
        File.WriteAllText(Path.Combine(container.Bundle, "config.json"), config.ToJsonString());
        Assert.Equal("from spec", container.Call("run", "--bundle", container.Bundle, container.Id).Ok().Trimmed);
    }
}
