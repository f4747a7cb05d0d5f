namespace Hull.RuntimeContract.Tests;

/// <summary>What is wrong is refused with a message, and leaves nothing behind.</summary>
public sealed class BadInputTests
{
    private static void Refuses(Container container, string config, string? says = null)
    {
        File.WriteAllText(Path.Combine(container.Bundle, "config.json"), config);
        foreach (var command in (string[])["create", "run"])
        {
            var result = container.Call(command, "--bundle", container.Bundle, container.Id);
            Assert.NotEqual(0, result.ExitCode);
            Assert.NotEqual("", result.Error.Trim());
            if (container.Runtime.IsHull)
            {
                Assert.Single(result.Error.Trim().Split('\n'));
                if (says is not null) Assert.Contains(says, result.Error);
            }

            container.AssertNothingIsLeft();
        }
    }

    [Theory, Runtimes]
    public void ABundleWithoutConfig(string runtime)
    {
        using var container = new Container(runtime);
        var result = container.Call("run", "--bundle", container.Bundle, container.Id);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("config.json", result.Error);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ABundleThatIsNotThere(string runtime)
    {
        using var container = new Container(runtime);
        Assert.NotEqual(0, container.Call("run", "--bundle", container.Outside("nowhere"), container.Id).ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void NoJson(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, "this is no JSON", "config.json");
    }

    [Theory, Runtimes]
    public void HalfAFile(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, container.Spec.ToString()[..500], "config.json");
    }

    [Theory, Runtimes]
    public void AnEmptyFile(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, "", "config.json");
    }

    [Theory, Runtimes]
    public void AnEmptyObject(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, "{}");
    }

    [Theory, Runtimes]
    public void AnArray(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, "[]", "config.json");
    }

    [Theory, Runtimes(NotCrun = "1.8 runs it")]
    public void AWrongType(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, container.Spec.Set("process.args", "\"true\"").ToString(), "args");
    }

    [Theory, Runtimes]
    public void NoProcess(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Remove("process").Text("linux.cgroupsPath", container.CgroupsPath);
        File.WriteAllText(Path.Combine(container.Bundle, "config.json"), container.Spec.ToString());
        Assert.NotEqual(0, container.Call("run", "--bundle", container.Bundle, container.Id).ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void NoArguments(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, container.Spec.Set("process.args", "[]").ToString(), "args");
    }

    [Theory, Runtimes(NotCrun = "1.8 crashes", NotRunc = "takes the bundle as root")]
    public void NoRoot(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, container.Spec.Remove("root").ToString(), "root");
    }

    [Theory, Runtimes(NotCrun = "1.8 does not look")]
    public void AVersionOfTheFuture(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("ociVersion", "9.0.0");
        if (container.Runtime.IsHull) Refuses(container, container.Spec.ToString(), "9.0.0");
    }

    [Theory, Runtimes(NotCrun = "1.8 leaves it out")]
    public void AnUnknownCapabilityIsNoGrant(string runtime)
    {
        using var container = new Container(runtime);
        // runc warns and goes on; either way the process does not have more than it should.
        container.Spec.Capabilities("bounding", "CAP_DREAM").Capabilities("effective", "CAP_DREAM").Capabilities("permitted", "CAP_DREAM");
        container.Spec.Args("grep", "CapBnd", "/proc/self/status");
        var result = container.Run();
        if (result.ExitCode == 0) Assert.Contains("0000000000000000", result.Output);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 takes some and leaves their cgroups")]
    public void IdsThatAreNoNames(string runtime)
    {
        using var container = new Container(runtime);
        container.WriteSpec();
        foreach (var id in (string[])["", "..", ".", "a/b", "../escape", "white space", "a\nb"])
        {
            Assert.NotEqual(0, container.Call("create", "--bundle", container.Bundle, id).ExitCode);
        }

        Assert.False(Directory.Exists(container.Outside("escape")));
    }

    [Theory, Runtimes]
    public void UnknownCommandsAndFlags(string runtime)
    {
        using var container = new Container(runtime);
        if (container.Runtime.Name != "runc") Assert.NotEqual(0, container.Call("dream").ExitCode);
        Assert.NotEqual(0, container.Call("run", "--no-such-flag", container.Id).ExitCode);
        Assert.NotEqual(0, container.Call("create").ExitCode);
        Assert.NotEqual(0, container.Call("state").ExitCode);
    }

    [Theory, Runtimes(NotCrun = "1.8 fails before it opens the log")]
    public void TheErrorIsInTheLogToo(string runtime)
    {
        using var container = new Container(runtime);
        var log = container.Outside("log.json");
        Assert.NotEqual(0, container.Call("--log", log, "--log-format", "json", "run", "--bundle", container.Outside("nowhere"), container.Id).ExitCode);
        var line = File.ReadLines(log).Last();
        var entry = System.Text.Json.Nodes.JsonNode.Parse(line)!;
        Assert.Equal("error", (string?)entry["level"]);
        Assert.NotEqual("", (string?)entry["msg"]);
        Assert.NotNull((string?)entry["time"]);
    }

    [Theory, Runtimes]
    public void AMountWithoutADestination(string runtime)
    {
        using var container = new Container(runtime);
        Refuses(container, container.Spec.Add("mounts", """{"type":"tmpfs","source":"tmpfs"}""").ToString());
    }

    [Theory, Runtimes]
    public void MappingsWithoutAUserNamespaceOrTheOtherWayRound(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"user"}""").Args("true");
        if (container.Runtime.Name == "crun") return;
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ExecOfABadProcessFile(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        File.WriteAllText(container.Outside("process.json"), "{");
        Assert.NotEqual(0, container.Call("exec", "--process", container.Outside("process.json"), container.Id).ExitCode);
        Assert.NotEqual(0, container.Call("exec", "--process", container.Outside("nowhere"), container.Id).ExitCode);
        Assert.NotEqual(0, container.Call("exec", container.Id).ExitCode);
        Assert.Equal("running", container.Status());
    }

    [Theory, Runtimes]
    public void AnUpdateWithBadValuesChangesNothing(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.resources.pids", """{"limit":55}""");
        container.StartSleeping();
        File.WriteAllText(container.Outside("resources.json"), "{");
        Assert.NotEqual(0, container.Call("update", "--resources", container.Outside("resources.json"), container.Id).ExitCode);
        Assert.NotEqual(0, container.Call("update", "--cpuset-cpus", "4000", container.Id).ExitCode);
        Assert.Equal("55", container.Cgroup("pids", "pids.max", "pids.max"));
    }
}
