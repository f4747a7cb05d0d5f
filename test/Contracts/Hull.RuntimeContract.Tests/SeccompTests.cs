using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace Hull.RuntimeContract.Tests;

/// <summary>config-linux.md, "Seccomp".</summary>
public sealed class SeccompTests
{
    private static Container With(string runtime, string syscalls, string defaultAction = "SCMP_ACT_ALLOW", string rest = "")
    {
        var container = new Container(runtime);
        container.Spec.Set("linux.seccomp", $$"""{"defaultAction":"{{defaultAction}}","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{{syscalls}}]{{rest}}}""");
        return container;
    }

    [Theory, Runtimes]
    public void AnErrnoIsTheAnswer(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}""");
        Assert.Contains("not permitted", container.RunScript("mkdir /x 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void TheErrnoCanBeChosen(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}""");
        Assert.Contains("No space left", container.RunScript("mkdir /x 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void TheProcessIsKilled(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL"}""");
        Assert.Equal("159", container.RunScript("sh -c 'exec mkdir /x'; echo $?").Split('\n')[^1]);
    }

    [Theory, Runtimes]
    public void ArgumentsAreCompared(string runtime)
    {
        // socket(AF_NETLINK) is 16; ip asks with it, and nothing else here does.
        using var container = With(runtime,
            """{"names":["socket"],"action":"SCMP_ACT_ERRNO","errnoRet":97,"args":[{"index":0,"value":16,"op":"SCMP_CMP_EQ"}]}""");
        Assert.Contains("not supported", container.RunScript("ip addr 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void MaskedComparison(string runtime)
    {
        using var container = With(runtime,
            """{"names":["chmod","fchmodat","fchmod"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":2048,"valueTwo":2048,"op":"SCMP_CMP_MASKED_EQ"}]},{"names":["fchmodat"],"action":"SCMP_ACT_ERRNO","args":[{"index":2,"value":2048,"valueTwo":2048,"op":"SCMP_CMP_MASKED_EQ"}]}""");
        Assert.Equal("plain refused", container.RunScript("touch /x; chmod 755 /x && printf 'plain '; chmod 4755 /x 2>/dev/null || echo refused"));
    }

    [Theory, Runtimes]
    public void UnknownCallsInAProfileAreLeftOut(string runtime)
    {
        using var container = With(runtime, """{"names":["no_such_call_ever","mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}""");
        Assert.Contains("not permitted", container.RunScript("mkdir /x 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void AnUnknownActionIsAnError(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir"],"action":"SCMP_ACT_DREAM"}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 leaves it out")]
    public void AnUnknownArchitectureIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.seccomp", """{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_Z80"]}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void TheFilterIsOnWithoutNoNewPrivileges(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}""");
        container.Spec.Set("process.noNewPrivileges", "false");
        Assert.Contains("not permitted", container.RunScript("mkdir /x 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void ExecIsFilteredToo(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}""").StartSleeping();
        Assert.Contains("not permitted", container.ExecScript("mkdir /x 2>&1 || true"));
    }

    [Theory, Runtimes(NotCrun = "1.8 keeps the connection open")]
    public async Task AListenerGetsTheNotifyDescriptor(string runtime)
    {
        using var directory = new Hull.Testing.TemporaryDirectory("hull-sc");
        var path = directory["agent.sock"];
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var received = Task.Run(() =>
        {
            using var connection = listener.Accept();
            var buffer = new byte[65536];
            var length = 0;
            int count;
            while ((count = connection.Receive(buffer, length, buffer.Length - length, SocketFlags.None)) > 0) length += count;
            return System.Text.Encoding.UTF8.GetString(buffer, 0, length);
        });
        using var container = With(runtime, """{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}""",
            rest: $$""","listenerPath":"{{path}}","listenerMetadata":"some data" """);
        container.Spec.Args("sleep", "1000");
        container.Create().Ok();
        var state = JsonNode.Parse(await received.WaitAsync(TimeSpan.FromSeconds(20)))!;
        Assert.Equal("some data", (string?)state["metadata"]);
        Assert.Contains("seccompFd", state["fds"]!.AsArray().Select(node => (string?)node));
        Assert.Equal(container.Id, (string?)state["state"]!["id"]);
        Assert.Equal(container.Pid, (int)state["pid"]!);
    }

    [Theory, Runtimes(NotCrun = "1.8 runs it")]
    public void NotifyWithoutAListenerIsAnError(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}""");
        container.Spec.Args("true");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void TheStatusSaysThatAFilterIsOn(string runtime)
    {
        using var container = With(runtime, """{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}""");
        Assert.Equal("2", container.RunScript("grep Seccomp: /proc/self/status | tr -dc 0-9"));
    }
}
