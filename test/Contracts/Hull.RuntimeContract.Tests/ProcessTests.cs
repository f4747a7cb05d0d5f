using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>config.md, "Process"; config-linux.md for what Linux adds.</summary>
public sealed class ProcessTests
{
    private static readonly string[] Sets = ["bounding", "effective", "inheritable", "permitted", "ambient"];

    private static string StatusOf(Container container, string pattern) =>
        container.RunScript($"grep -E '{pattern}' /proc/self/status | tr -s '\\t' ' '");

    [Theory, Runtimes]
    public void ArgumentsArriveAsTheyAre(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("printf", "%s|", "a b", "", "'$x'", "ä");
        Assert.Equal("a b||'$x'|ä|", container.Run().Ok().Output);
    }

    [Theory, Runtimes]
    public void TheEnvironmentIsTheSpecsOnly(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.env", """["PATH=/bin","A=1","B=two words","EMPTY="]""").Args("env");
        var lines = container.Run().Ok().Trimmed.Split('\n').Where(line => !line.StartsWith("HOME=", StringComparison.Ordinal)).Order();
        Assert.Equal(["A=1", "B=two words", "EMPTY=", "PATH=/bin"], lines);
    }

    [Theory, Runtimes]
    public void HomeComesFromThePasswdFile(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":1000,"gid":1000}""");
        Assert.Equal("/home", container.RunScript("echo $HOME"));
    }

    [Theory, Runtimes]
    public void TheWorkingDirectoryIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("process.cwd", "/var");
        Assert.Equal("/var", container.RunScript("pwd"));
    }

    [Theory, Runtimes(NotCrun = "1.8 takes it")]
    public void ARelativeWorkingDirectoryIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("process.cwd", "var");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 says / where the user cannot look")]
    public void TheWorkingDirectoryNeedBeOpenToRootOrTheUserOnly(string runtime)
    {
        using var container = new Container(runtime);
        Hull.Testing.Command.Run("chown", "42", container.InRootfs("root")).Ok();
        Hull.Testing.Command.Run("chmod", "700", container.InRootfs("root")).Ok();
        container.Spec.Text("process.cwd", "/root").Set("process.user", """{"uid":42,"gid":42}""");
        container.StartSleeping();
        Assert.Equal("/root", container.Call("exec", "--user", "0", container.Id, "pwd").Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void UserAndGroupsAreSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":1000,"gid":1001,"additionalGids":[5,77]}""");
        Assert.Equal("1000 1001 1001 5 77", container.RunScript("echo $(id -u; id -g; id -G)"));
    }

    [Theory, Runtimes]
    public void GroupsOfTheCallerAreDropped(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":1000,"gid":1000}""");
        Assert.Equal("Groups: ", StatusOf(container, "^Groups") + (StatusOf(container, "^Groups").EndsWith(' ') ? "" : " "));
    }

    [Theory, Runtimes]
    public void TheUmaskIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":0,"gid":0,"umask":63}""");
        Assert.Equal("600", container.RunScript("touch /new; stat -c %a /new"));
    }

    [Theory, Runtimes]
    public void TheUmaskIs0022ByDefault(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("0022", container.RunScript("umask"));
    }

    [Theory, Runtimes]
    public void CapabilitySetsAreThoseOfTheSpec(string runtime)
    {
        using var container = new Container(runtime);
        // CHOWN is 0, KILL 5, SYS_CHROOT 18.
        container.Spec.Capabilities("bounding", "CAP_CHOWN", "CAP_KILL", "CAP_SYS_CHROOT").Capabilities("permitted", "CAP_CHOWN", "CAP_KILL")
            .Capabilities("effective", "CAP_CHOWN").Set("process.noNewPrivileges", "true").Args("grep", "Cap", "/proc/self/status");
        var output = container.Run().Ok().Output;
        Assert.Contains("CapBnd:\t0000000000040021", output);
        Assert.Contains("CapInh:\t0000000000000000", output);
        Assert.Contains("CapAmb:\t0000000000000000", output);
    }

    [Theory, Runtimes]
    public void AmbientCapabilitiesReachAnOrdinaryUser(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":1000,"gid":1000}""");
        foreach (var set in Sets) container.Spec.Capabilities(set, "CAP_NET_BIND_SERVICE");
        container.Spec.Args("grep", "-E", "Cap(Eff|Prm|Amb)", "/proc/self/status");
        var output = container.Run().Ok().Output;
        foreach (var set in (string[])["CapEff", "CapPrm", "CapAmb"]) Assert.Contains(set + ":\t0000000000000400", output);
    }

    [Theory, Runtimes]
    public void AnOrdinaryUserHasNoCapability(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.user", """{"uid":1000,"gid":1000}""").Args("grep", "CapEff", "/proc/self/status");
        Assert.Contains("0000000000000000", container.Run().Ok().Output);
    }

    [Theory, Runtimes]
    public void WithoutCapabilitiesThereAreNone(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Remove("process.capabilities").Set("process.user", """{"uid":1000,"gid":1000}""")
            .Args("grep", "-E", "Cap(Eff|Prm)", "/proc/self/status");
        Assert.Equal(2, container.Run().Ok().Output.Split("0000000000000000").Length - 1);
    }

    [Theory, Runtimes]
    public void NoNewPrivilegesIsSetOrNot(string runtime)
    {
        using (var container = new Container(runtime)) Assert.Equal("NoNewPrivs: 1", StatusOf(container, "NoNewPrivs"));
        using (var container = new Container(runtime))
        {
            container.Spec.Set("process.noNewPrivileges", "false");
            Assert.Equal("NoNewPrivs: 0", StatusOf(container, "NoNewPrivs"));
        }
    }

    [Theory, Runtimes]
    public void LimitsAreSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.rlimits",
            """[{"type":"RLIMIT_NOFILE","soft":100,"hard":200},{"type":"RLIMIT_CORE","soft":0,"hard":0},{"type":"RLIMIT_NPROC","soft":500,"hard":500}]""");
        var output = container.RunScript("grep -E 'open files|core file|processes' /proc/self/limits | tr -s ' '");
        Assert.Contains("Max open files 100 200", output);
        Assert.Contains("Max core file size 0 0", output);
        Assert.Contains("Max processes 500 500", output);
    }

    [Theory, Runtimes]
    public void AnUnknownLimitIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.rlimits", """[{"type":"RLIMIT_DREAMS","soft":1,"hard":1}]""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void TheOutOfMemoryScoreIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.oomScoreAdj", "321");
        Assert.Equal("321", container.RunScript("cat /proc/self/oom_score_adj"));
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it", NotCrun = "1.8 does not know it")]
    public void ThePriorityOfInputAndOutputIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.ioPriority", """{"class":"IOPRIO_CLASS_BE","priority":6}""").Args("sleep", "1000");
        container.Create().Ok();
        container.Start().Ok();
        Assert.Contains("best-effort: prio 6", Hull.Testing.Command.Run("ionice", "-p", container.Pid.ToString()).Ok().Output);
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it", NotCrun = "1.8 does not know it")]
    public void TheSchedulerIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.scheduler", """{"policy":"SCHED_BATCH","nice":5}""").Args("sleep", "1000");
        container.Create().Ok();
        container.Start().Ok();
        var output = Hull.Testing.Command.Run("chrt", "-p", container.Pid.ToString()).Ok().Output;
        Assert.Contains("SCHED_BATCH", output);
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it")]
    public void ThePersonalityIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.personality", """{"domain":"LINUX32"}""");
        Assert.Equal("i686", container.RunScript("uname -m"));
    }

    [Theory, Runtimes]
    public void NoDescriptorOfTheRuntimeIsOpen(string runtime)
    {
        using var container = new Container(runtime);
        // ls itself has the directory open as 3.
        container.Spec.Args("ls", "/proc/self/fd");
        Assert.Equal("0\n1\n2\n3", container.Run().Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void PreservedDescriptorsArePassed(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(container.Outside("data"), "preserved");
        container.Spec.Args("cat", "/proc/self/fd/3");
        container.WriteSpec();
        var result = Hull.Testing.Command.Shell(
            $"exec 3<{container.Outside("data")}; {container.Runtime.Path} --root {container.StateRoot} run --preserve-fds 1 --bundle {container.Bundle} {container.Id}");
        Assert.Equal("preserved", result.Ok().Output);
    }

    [Theory, Runtimes]
    public void SignalsHaveTheirDefaultActions(string runtime)
    {
        using var container = new Container(runtime);
        // Signal 32 is glibc's own: a program under whose ancestors it was ignored cannot change that, nor need it.
        Assert.Matches("^SigBlk: 0000000000000000\nSigIgn: 00000000[08]0000000$", StatusOf(container, "Sig(Blk|Ign)"));
    }

    [Theory, Runtimes]
    public void AScriptIsRunByItsInterpreter(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(container.InRootfs("script"), "#!/bin/sh\necho scripted $1\n");
        File.SetUnixFileMode(container.InRootfs("script"), (UnixFileMode)0x1ED);
        container.Spec.Args("/script", "argument");
        Assert.Equal("scripted argument", container.Run().Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void ThePathOfTheSpecFindsTheProgram(string runtime)
    {
        using var container = new Container(runtime);
        Repository.CopyProgram(container.InRootfs("bin/busybox"), Path.Combine(Directory.CreateDirectory(container.InRootfs("odd")).FullName, "true"));
        container.Spec.Set("process.env", """["PATH=/nowhere:/odd"]""").Args("true");
        container.Run().Ok();
    }
}
