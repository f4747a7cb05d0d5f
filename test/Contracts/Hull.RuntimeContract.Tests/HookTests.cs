using System.Text.Json.Nodes;

namespace Hull.RuntimeContract.Tests;

/// <summary>config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle".</summary>
public sealed class HookTests
{
    /// <summary>Adds a hook that reads its input, as crun needs it to, and then runs the script.</summary>
    private static void AddHook(Container container, string kind, string script, string rest = "") =>
        AddDeafHook(container, kind, script.StartsWith("cat", StringComparison.Ordinal) ? script : "cat > /dev/null; " + script, rest);

    private static void AddDeafHook(Container container, string kind, string script, string rest = "") => container.Spec.Add("hooks." + kind,
        $$"""{"path":"/bin/sh","args":["sh","-c",{{JsonValue.Create(script).ToJsonString()}}]{{rest}}}""");

    [Theory, Runtimes(NotCrun = "1.8 fails on the broken pipe")]
    public void AHookNeedNotReadItsInput(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("annotations", $$"""{"large":"{{new string('x', 200_000)}}"}""");
        AddDeafHook(container, "createRuntime", "exec 0<&-; exit 0");
        container.Create().Ok();
    }

    [Theory, Runtimes]
    public void ArgumentZeroIsTheFirstOfTheArguments(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("name");
        foreach (var kind in (string[])["createRuntime", "createContainer"])
        {
            container.Spec.Add("hooks." + kind, $$"""{"path":"/bin/sh","args":["another-name","-c","cat > /dev/null; echo $0 >> {{file}}"]}""");
        }

        container.Create().Ok();
        Assert.Equal(["another-name", "another-name"], File.ReadAllLines(file));
    }

    [Theory, Runtimes(NotCrun = "its hooks run in /")]
    public void CreateContainerHooksRunInTheRootFileSystem(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("directories");
        AddHook(container, "createContainer", $"pwd >> {file}; echo made > here");
        AddHook(container, "startContainer", "pwd > /inside");
        container.Spec.Script("cat /here /inside");
        Assert.Equal("made\n/\n", container.Run().Ok().Output);
        Assert.EndsWith("/rootfs\n", File.ReadAllText(file));
    }

    [Theory, Runtimes]
    public void HooksRunInTheirOrder(string runtime)
    {
        using var container = new Container(runtime);
        var log = container.Outside("log");
        File.WriteAllText(log, "");
        container.Spec.Mount("/log", log, "bind", "bind");
        foreach (var kind in (string[])["prestart", "createRuntime", "poststart", "poststop"]) AddHook(container, kind, $"echo {kind} >> {log}");
        // createContainer runs in the container's namespaces before pivot_root, startContainer after it.
        AddHook(container, "createContainer", $"echo createContainer >> {log}");
        AddHook(container, "startContainer", "echo startContainer >> /log");
        container.Spec.Script("echo program >> /log; sleep 0.2");
        container.Run().Ok();
        var lines = File.ReadAllLines(log);
        Assert.Equal(["prestart", "createRuntime", "createContainer"], lines[..3]);
        // poststart runs beside what start let go.
        Assert.Equal(["startContainer", "program"], lines[3..6].Where(line => line != "poststart"));
        Assert.Contains("poststart", lines[3..6]);
        Assert.Equal(["poststop"], lines[6..]);
    }

    [Theory, Runtimes]
    public void HooksGetTheStateOnTheirInput(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("state.json");
        container.Spec.Set("annotations", """{"a":"b"}""");
        AddHook(container, "createRuntime", $"cat > {file}");
        container.Spec.Args("sleep", "1000");
        container.Create().Ok();
        var state = JsonNode.Parse(File.ReadAllText(file))!;
        Assert.Equal(container.Id, (string?)state["id"]);
        Assert.Equal(container.Bundle, (string?)state["bundle"]);
        Assert.Equal("b", (string?)state["annotations"]!["a"]);
        Assert.Equal(container.Pid, (int)state["pid"]!);
        Assert.Contains((string?)state["status"], new[] { "creating", "created" });
    }

    [Theory, Runtimes]
    public void HooksHaveTheirEnvironmentOnly(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("env");
        AddHook(container, "createRuntime", $"env > {file}", ""","env":["ONE=1","PATH=/usr/bin:/bin"]""");
        container.Create().Ok();
        var lines = File.ReadAllLines(file).Where(line => !line.StartsWith("PWD=", StringComparison.Ordinal) && !line.StartsWith("_=", StringComparison.Ordinal)
            && !line.StartsWith("OLDPWD=", StringComparison.Ordinal)).Order();
        Assert.Equal(["ONE=1", "PATH=/usr/bin:/bin"], lines);
    }

    [Theory]
    [Runtimes]
    public void AFailingPrestartHookStopsTheCreation(string runtime) => FailingHookStopsCreation(runtime, "prestart");

    [Theory]
    [Runtimes]
    public void AFailingCreateRuntimeHookStopsTheCreation(string runtime) => FailingHookStopsCreation(runtime, "createRuntime");

    [Theory]
    [Runtimes]
    public void AFailingCreateContainerHookStopsTheCreation(string runtime) => FailingHookStopsCreation(runtime, "createContainer");

    private static void FailingHookStopsCreation(string runtime, string kind)
    {
        using var container = new Container(runtime);
        AddHook(container, kind, "exit 3");
        container.Spec.Script("touch /ran");
        Assert.NotEqual(0, container.Create().ExitCode);
        container.AssertNothingIsLeft();
        Assert.False(File.Exists(container.InRootfs("ran")));
    }

    [Theory, Runtimes]
    public void AFailingStartContainerHookKeepsTheProgramFromRunning(string runtime)
    {
        using var container = new Container(runtime);
        AddHook(container, "startContainer", "exit 3");
        container.Spec.Script("touch /ran");
        container.Create().Ok();
        container.Start();
        container.WaitFor("stopped");
        Assert.False(File.Exists(container.InRootfs("ran")));
    }

    [Theory, Runtimes]
    public void AFailingPoststopHookDoesNotKeepTheContainer(string runtime)
    {
        using var container = new Container(runtime);
        AddHook(container, "poststop", "exit 3");
        container.StartSleeping();
        container.Kill().Ok();
        container.WaitFor("stopped");
        container.Delete();
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void PoststopRunsAtDeletion(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("stopped");
        AddHook(container, "poststop", $"touch {file}");
        container.StartSleeping();
        container.Kill().Ok();
        container.WaitFor("stopped");
        Assert.False(File.Exists(file));
        container.Delete().Ok();
        Assert.True(File.Exists(file));
    }

    [Theory, Runtimes]
    public void AHookThatTakesTooLongFails(string runtime)
    {
        using var container = new Container(runtime);
        AddHook(container, "createRuntime", "exec sleep 30", ""","timeout":1""");
        var result = container.Create();
        Assert.NotEqual(0, result.ExitCode);
        Assert.True(result.Elapsed < TimeSpan.FromSeconds(25));
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void AHookThatIsNotThereFails(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("hooks.createRuntime", """{"path":"/nowhere/hook"}""");
        Assert.NotEqual(0, container.Create().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void CreateRuntimeRunsInTheRuntimesNamespaces(string runtime)
    {
        using var container = new Container(runtime);
        var file = container.Outside("ns");
        AddHook(container, "createRuntime", $"readlink /proc/self/ns/mnt /proc/self/ns/net > {file}");
        AddHook(container, "createContainer", $"readlink /proc/self/ns/mnt /proc/self/ns/net >> {file}");
        container.Create().Ok();
        var lines = File.ReadAllLines(file);
        var own = Hull.Testing.Command.Run("readlink", "/proc/self/ns/mnt", "/proc/self/ns/net").Trimmed.Split('\n');
        Assert.Equal(own, lines[..2]);
        Assert.NotEqual(own[0], lines[2]);
        Assert.NotEqual(own[1], lines[3]);
    }
}
