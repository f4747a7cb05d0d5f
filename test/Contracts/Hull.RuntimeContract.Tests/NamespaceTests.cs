using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>config-linux.md, "Namespaces".</summary>
public sealed class NamespaceTests
{
    private static string Own(string file) => Command.Run("readlink", "/proc/self/ns/" + file).Ok().Trimmed;

    [Theory]
    [Runtimes]
    public void NamedNamespacesAreNew(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"cgroup"}""");
        var links = container.RunScript("for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done").Split('\n');
        Assert.Equal(6, links.Length);
        foreach (var (link, name) in links.Zip(["pid", "net", "ipc", "uts", "mnt", "cgroup"])) Assert.NotEqual(Own(name), link);
    }

    [Theory, Runtimes]
    public void NamespacesThatAreNotNamedAreTheCallers(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.WithoutNamespace("network").WithoutNamespace("ipc").WithoutNamespace("uts").Remove("hostname");
        var links = container.RunScript("for n in net ipc uts; do readlink /proc/self/ns/$n; done").Split('\n');
        Assert.Equal([Own("net"), Own("ipc"), Own("uts")], links);
    }

    [Theory, Runtimes]
    public void InitIsProcessOne(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("1", container.RunScript("echo $$"));
    }

    [Theory, Runtimes]
    public void WithoutAPidNamespaceAllProcessesEnd(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.WithoutNamespace("pid").Script("sleep 1001 & sleep 1002");
        container.Create().Ok();
        container.Start().Ok();
        container.Call("kill", "--all", container.Id, "KILL").Ok();
        container.WaitFor("stopped");
    }

    [Theory, Runtimes]
    public void APathIsJoined(string runtime)
    {
        using var first = new Container(runtime).StartSleeping();
        using var second = new Container(runtime);
        second.Spec.WithoutNamespace("network").WithoutNamespace("uts").WithoutNamespace("ipc").Remove("hostname");
        foreach (var (type, file) in (ReadOnlySpan<(string, string)>)[("network", "net"), ("uts", "uts"), ("ipc", "ipc")])
        {
            second.Spec.Add("linux.namespaces", $$"""{"type":"{{type}}","path":"/proc/{{first.Pid}}/ns/{{file}}"}""");
        }

        Assert.Equal(first.ExecScript("readlink /proc/self/ns/net; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; hostname"),
            second.RunScript("readlink /proc/self/ns/net; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; hostname"));
    }

    [Theory, Runtimes]
    public void APidNamespaceIsJoined(string runtime)
    {
        using var first = new Container(runtime).StartSleeping();
        using var second = new Container(runtime);
        second.Spec.WithoutNamespace("pid").Add("linux.namespaces", $$"""{"type":"pid","path":"/proc/{{first.Pid}}/ns/pid"}""");
        Assert.NotEqual("1", second.RunScript("echo $$"));
    }

    [Theory, Runtimes]
    public void TheHostNameIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("hostname", "ship");
        Assert.Equal("ship", container.RunScript("hostname"));
        Assert.NotEqual("ship", Command.Run("hostname").Trimmed);
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it", NotCrun = "its init prints the host's until exec")]
    public void TheDomainNameIsSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("domainname", "harbour.example");
        Assert.Equal("harbour.example", container.RunScript("cat /proc/sys/kernel/domainname"));
    }

    [Theory, Runtimes]
    public void LoopbackIsUp(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Contains("127.0.0.1", container.RunScript("ip addr show lo"));
    }

    [Theory, Runtimes]
    public void AUserNamespaceMapsIds(string runtime)
    {
        using var container = new Container(runtime);
        Command.Run("chown", "-R", "100000:100000", container.RootfsPath + "/tmp", container.RootfsPath + "/root").Ok();
        Command.Run("chmod", "o+x", Path.GetDirectoryName(container.Bundle)!, container.Bundle).Ok();
        container.Spec.Add("linux.namespaces", """{"type":"user"}""")
            .Set("linux.uidMappings", """[{"containerID":0,"hostID":100000,"size":65536}]""")
            .Set("linux.gidMappings", """[{"containerID":0,"hostID":200000,"size":65536}]""");
        var lines = container.RunScript("id -u; id -g; cat /proc/self/uid_map; cat /proc/self/gid_map; touch /tmp/x; stat -c %u /tmp/x").Split('\n');
        Assert.Equal("0", lines[0]);
        Assert.Equal("0", lines[1]);
        Assert.Equal(["0", "100000", "65536"], lines[2].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["0", "200000", "65536"], lines[3].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("0", lines[4]);
        Assert.Equal("100000", Command.Run("stat", "-c", "%u", container.InRootfs("tmp/x")).Trimmed);
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it", NotCrun = "1.8 loses its child on this kernel")]
    public void ATimeNamespaceHasOffsets(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"time"}""")
            .Set("linux.timeOffsets", """{"boottime":{"secs":864000,"nanosecs":0}}""");
        var inside = double.Parse(container.RunScript("cut -d. -f1 /proc/uptime"));
        var outside = double.Parse(File.ReadAllText("/proc/uptime").Split('.')[0]);
        Assert.InRange(inside - outside, 863000, 865000);
    }

    [Theory, Runtimes]
    public void ACgroupNamespaceHidesTheHostsPath(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"cgroup"}""");
        var lines = container.RunScript("cat /proc/self/cgroup").Split('\n');
        Assert.All(lines.Where(line => line.Contains("memory") || line.StartsWith("0::")), line => Assert.DoesNotContain(container.Id, line));
    }

    [Theory, Runtimes]
    public void AnUnknownNamespaceIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"dream"}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void APathThatIsNoNamespaceIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.WithoutNamespace("network").Add("linux.namespaces", """{"type":"network","path":"/etc/hostname"}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void SysctlsOfTheNamespacesAreSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.sysctl", """{"net.ipv4.ip_forward":"1","kernel.shmmni":"1234"}""");
        Assert.Equal("1\n1234", container.RunScript("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni"));
    }

    [Theory, Runtimes]
    public void ASysctlOfTheHostIsRefused(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.sysctl", """{"vm.swappiness":"7"}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        Assert.NotEqual("7", File.ReadAllText("/proc/sys/vm/swappiness").Trim());
        container.AssertNothingIsLeft();
    }
}
