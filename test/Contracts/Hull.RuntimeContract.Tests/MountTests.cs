using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>config.md, "Mounts"; config-linux.md, "Rootfs Mount Propagation", "Masked Paths" and "Readonly Paths".</summary>
public sealed class MountTests
{
    private static string OptionsOf(Container container, string destination) =>
        container.RunScript($"grep ' {destination} ' /proc/self/mountinfo | tail -n 1");

    [Theory, Runtimes]
    public void MountsAreMadeInTheirOrder(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Mount("/tmp", "tmpfs", "tmpfs").Mount("/tmp/inner", "tmpfs", "tmpfs");
        Assert.Equal("/tmp\n/tmp/inner", container.RunScript("awk '$2 ~ /^\\/tmp/ {print $2}' /proc/mounts"));
    }

    [Theory, Runtimes]
    public void FlagsAreSet(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Mount("/mnt", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "noatime", "ro", "size=1m", "mode=0711");
        var line = OptionsOf(container, "/mnt");
        foreach (var option in (string[])["nosuid", "nodev", "noexec", "noatime", "ro", "size=1024k", "mode=711"]) Assert.Contains(option, line);
    }

    [Theory, Runtimes]
    public void ABindShowsTheSource(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(Path.Combine(container.MakeOutside("data"), "file"), "outside");
        container.Spec.Mount("/data", container.Outside("data"), "bind", "rbind", "rw");
        Assert.Equal("outside", container.RunScript("cat /data/file; echo inside > /data/new"));
        Assert.Equal("inside\n", File.ReadAllText(container.Outside("data/new")));
    }

    [Theory, Runtimes]
    public void AReadOnlyBindCannotBeWritten(string runtime)
    {
        using var container = new Container(runtime);
        container.MakeOutside("data");
        container.Spec.Mount("/data", container.Outside("data"), "bind", "bind", "ro");
        Assert.Equal("refused", container.RunScript("touch /data/x 2>/dev/null || echo refused"));
        Assert.Empty(Directory.GetFiles(container.Outside("data")));
    }

    [Theory, Runtimes]
    public void ABindKeepsTheFlagsItIsGiven(string runtime)
    {
        using var container = new Container(runtime);
        container.MakeOutside("data");
        container.Spec.Mount("/data", container.Outside("data"), "bind", "bind", "nosuid", "nodev", "noexec");
        var line = OptionsOf(container, "/data");
        foreach (var option in (string[])["nosuid", "nodev", "noexec", "rw"]) Assert.Contains(option, line);
    }

    [Theory, Runtimes(NotRunc = "1.1 does not know it")]
    public void RecursiveReadOnlyReachesSubmounts(string runtime)
    {
        using var container = new Container(runtime);
        var outer = container.MakeOutside("data");
        var inner = container.MakeOutside("data/inner");
        Command.Run("mount", "-t", "tmpfs", "tmpfs", inner).Ok();
        try
        {
            container.Spec.Mount("/data", outer, "bind", "rbind", "rro");
            Assert.Equal("a\nb", container.RunScript("touch /data/x 2>/dev/null || echo a; touch /data/inner/x 2>/dev/null || echo b"));
        }
        finally
        {
            Command.Run("umount", inner).Ok();
        }
    }

    [Theory, Runtimes]
    public void AFileIsBoundOverANewFile(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(container.Outside("file"), "bound");
        container.Spec.Mount("/etc/deep/new/file", container.Outside("file"), "bind", "bind");
        Assert.Equal("bound", container.RunScript("cat /etc/deep/new/file"));
    }

    [Theory, Runtimes]
    public void ARelativeSourceIsOfTheBundle(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(Path.Combine(container.Bundle, "beside"), "relative");
        container.Spec.Mount("/beside", "beside", "bind", "bind");
        Assert.Equal("relative", container.RunScript("cat /beside"));
    }

    [Theory, Runtimes]
    public void AMissingSourceIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Mount("/data", container.Outside("nowhere"), "bind", "bind");
        var result = container.Run();
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nowhere", result.Error);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ALinkInTheRootDoesNotLeadOut(string runtime)
    {
        using var container = new Container(runtime);
        container.MakeOutside("secret");
        File.CreateSymbolicLink(container.InRootfs("out"), container.Outside("secret"));
        container.Spec.Mount("/out/in", "tmpfs", "tmpfs");
        // Either the link is taken as one of the container, or it is refused; the host's directory stays as it was.
        container.Spec.Args("true");
        container.Run();
        Assert.Empty(Directory.GetFileSystemEntries(container.Outside("secret")));
    }

    [Theory, Runtimes]
    public void AReadOnlyRootCannotBeWritten(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("root.readonly", "true");
        Assert.Equal("refused", container.RunScript("touch /x 2>/dev/null || echo refused"));
        Assert.False(File.Exists(container.InRootfs("x")));
    }

    [Theory, Runtimes]
    public void AReadOnlyDevHasItsDevices(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Json["mounts"]!.AsArray()[1]!["options"]!.AsArray().Add("ro");
        Assert.Equal("refused there", container.RunScript("(touch /dev/x 2>/dev/null || printf 'refused '); test -c /dev/null && echo there"));
    }

    [Theory, Runtimes]
    public void WithoutPivotNoBareProcIsToBeHad(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Capabilities("bounding", "CAP_SETFCAP").Capabilities("permitted", "CAP_SETFCAP").Capabilities("effective", "CAP_SETFCAP")
            .Args("unshare", "-mrpf", "sh", "-c", "mount -t proc none /proc 2>/dev/null && echo bare || echo denied");
        Assert.Equal("denied", container.Run("--no-pivot").Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void MaskedPathsShowNothing(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(container.InRootfs("etc/secret"), "secret");
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(container.InRootfs("etc/dir")).FullName, "file"), "secret");
        container.Spec.Set("linux.maskedPaths", """["/etc/secret","/etc/dir","/etc/nowhere"]""");
        Assert.Equal("0 0", container.RunScript("echo $(cat /etc/secret | wc -c) $(ls /etc/dir | wc -l)"));
    }

    [Theory, Runtimes]
    public void ReadOnlyPathsCannotBeWritten(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("linux.readonlyPaths", """["/etc","/nowhere"]""");
        Assert.Equal("refused root:x:0:0:root:/root:/bin/sh", container.RunScript("(touch /etc/x 2>/dev/null || echo refused; head -n 1 /etc/passwd) | tr '\\n' ' '"));
    }

    [Theory, Runtimes]
    public void ProcIsTheContainersOwn(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("1", container.RunScript("readlink /proc/self | wc -l"));
        Assert.DoesNotContain("init", container.RunScript("cat /proc/1/comm"));
    }

    [Theory, Runtimes]
    public void TmpcopyupKeepsTheContent(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Mount("/etc", "tmpfs", "tmpfs", "tmpcopyup");
        Assert.Equal("root", container.RunScript("head -n 1 /etc/passwd | cut -d: -f1; touch /etc/new"));
        Assert.False(File.Exists(container.InRootfs("etc/new")));
    }

    [Theory, Runtimes(NotRunc = "1.1 maps in user namespaces only")]
    public void AnIdMappedMountShiftsOwners(string runtime)
    {
        using var container = new Container(runtime);
        File.WriteAllText(Path.Combine(container.MakeOutside("data"), "file"), "");
        Require.That(Command.Run("unshare", "-U", "true").ExitCode == 0, "user namespaces are off");
        var isTmpfs = Command.Run("stat", "-f", "-c", "%T", container.Outside("data")).Trimmed == "tmpfs";
        Require.That(!isTmpfs || Environment.OSVersion.Version >= new Version(6, 3), "a tmpfs has id-mapped mounts since Linux 6.3");
        container.Spec.Mount("/data", container.Outside("data"), "bind", "bind", container.Runtime.IsHull ? "idmap" : "idmap=uids=0-5000-10;gids=0-6000-10");
        if (container.Runtime.IsHull)
        {
            var mount = container.Spec.Json["mounts"]!.AsArray()[^1]!;
            mount["uidMappings"] = System.Text.Json.Nodes.JsonNode.Parse("""[{"containerID":0,"hostID":5000,"size":10}]""");
            mount["gidMappings"] = System.Text.Json.Nodes.JsonNode.Parse("""[{"containerID":0,"hostID":6000,"size":10}]""");
        }

        Assert.Equal("5000 6000", container.RunScript("stat -c '%u %g' /data/file"));
    }

    [Theory]
    [Runtimes]
    public void SlavePropagationLetsMountsIn(string runtime)
    {
        using var container = new Container(runtime);
        var shared = container.MakeOutside("shared");
        Command.Run("mount", "--bind", shared, shared).Ok();
        Command.Run("mount", "--make-shared", shared).Ok();
        try
        {
            container.Spec.Set("linux.rootfsPropagation", "\"rslave\"").Mount("/shared", shared, "bind", "rbind", "rslave");
            container.StartSleeping();
            Directory.CreateDirectory(shared + "/late");
            Command.Run("mount", "-t", "tmpfs", "tmpfs", shared + "/late").Ok();
            Assert.Equal("1", container.ExecScript("grep -c /shared/late /proc/self/mounts"));
        }
        finally
        {
            Command.Run("umount", shared + "/late");
            container.Delete("--force");
            Command.Run("umount", "-l", shared).Ok();
        }
    }

    [Theory, Runtimes]
    public void PrivatePropagationKeepsMountsOut(string runtime)
    {
        using var container = new Container(runtime);
        var shared = container.MakeOutside("shared");
        Command.Run("mount", "--bind", shared, shared).Ok();
        Command.Run("mount", "--make-shared", shared).Ok();
        try
        {
            container.Spec.Mount("/shared", shared, "bind", "rbind", "rprivate");
            container.StartSleeping();
            Directory.CreateDirectory(shared + "/late");
            Command.Run("mount", "-t", "tmpfs", "tmpfs", shared + "/late").Ok();
            Assert.Equal("0", container.ExecScript("grep -c /shared/late /proc/self/mounts || true"));
        }
        finally
        {
            Command.Run("umount", shared + "/late");
            container.Delete("--force");
            Command.Run("umount", "-l", shared).Ok();
        }
    }

    [Theory, Runtimes]
    public void NoMountOfTheHostIsSeen(string runtime)
    {
        using var container = new Container(runtime);
        var points = container.RunScript("awk '{print $2}' /proc/mounts").Split('\n');
        Assert.All(points, point => Assert.True(
            point is "/" || point.StartsWith("/proc", StringComparison.Ordinal) || point.StartsWith("/dev", StringComparison.Ordinal)
            || point.StartsWith("/sys", StringComparison.Ordinal), point));
    }

    [Theory, Runtimes]
    public void TheCgroupMountShowsTheContainersCgroup(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.namespaces", """{"type":"cgroup"}""")
            .Mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
            .Set("linux.resources.pids", """{"limit":123}""");
        var file = ControlGroups.IsV2 ? "/sys/fs/cgroup/pids.max" : "/sys/fs/cgroup/pids/pids.max";
        Assert.Equal("123\nrefused", container.RunScript($"cat {file}; echo 5 2>/dev/null > {file} || echo refused"));
    }

    [Theory, Runtimes]
    public void ARootThatIsNotThereIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Text("root.path", "nowhere");
        var result = container.Run();
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nowhere", result.Error);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void AnUnknownFileSystemIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Mount("/mnt", "none", "nosuchfs");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }
}
