namespace Hull.RuntimeContract.Tests;

/// <summary>config-linux.md, "Devices" and "Default Devices".</summary>
public sealed class DeviceTests
{
    /// <summary>A node that no default rule allows, with the capability its open asks for besides.</summary>
    private static SpecDocument WithKernelLog(Container container)
    {
        foreach (var set in (string[])["bounding", "effective", "permitted"]) container.Spec.Capabilities(set, "CAP_SYSLOG");
        return container.Spec.Add("linux.devices", """{"path":"/dev/kmsg2","type":"c","major":1,"minor":11,"fileMode":438}""");
    }

    [Theory, Runtimes]
    public void TheDefaultDevicesAreThere(string runtime)
    {
        using var container = new Container(runtime);
        var output = container.RunScript("cd /dev; for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' $d; done");
        Assert.Equal("""
            null character special file 1:3 666
            zero character special file 1:5 666
            full character special file 1:7 666
            random character special file 1:8 666
            urandom character special file 1:9 666
            tty character special file 5:0 666
            """.ReplaceLineEndings("\n"), output);
    }

    [Theory, Runtimes]
    public void TheDefaultLinksAreThere(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2",
            container.RunScript("echo $(for l in fd stdin stdout stderr; do readlink /dev/$l; done)"));
        Assert.EndsWith("pts/ptmx", container.RunScript("readlink /dev/ptmx"));
    }

    [Theory, Runtimes]
    public void TheDefaultDevicesWork(string runtime)
    {
        using var container = new Container(runtime);
        Assert.Equal("4 full", container.RunScript(
            "n=$(dd if=/dev/zero bs=4 count=1 2>/dev/null | wc -c); echo x > /dev/null; (echo x > /dev/full) 2>/dev/null || echo $n full"));
    }

    [Theory, Runtimes]
    public void FurtherDevicesHaveOwnerAndMode(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec
            .Add("linux.devices", """{"path":"/dev/mem2","type":"c","major":1,"minor":5,"fileMode":416,"uid":7,"gid":8}""")
            .Add("linux.devices", """{"path":"/dev/deep/pipe","type":"p","major":0,"minor":0,"fileMode":438,"uid":0,"gid":0}""")
            .Add("linux.devices", """{"path":"/dev/disk9","type":"b","major":7,"minor":9,"fileMode":384}""");
        Assert.Equal("character special file 1:5 640 7 8\nfifo 0:0 666 0 0\nblock special file 7:9 600 0 0",
            container.RunScript("for d in mem2 deep/pipe disk9; do stat -c '%F %t:%T %a %u %g' /dev/$d; done"));
    }

    [Theory, Runtimes]
    public void ADeviceThatNoRuleAllowsIsDenied(string runtime)
    {
        using var container = new Container(runtime);
        // 10:229 is fuse; whether the host has it or not, the cgroup answers first.
        container.Spec.Add("linux.devices", """{"path":"/dev/odd","type":"c","major":10,"minor":229,"fileMode":438}""");
        Assert.Contains("not permitted", container.RunScript("cat /dev/odd 2>&1 || true"));
    }

    [Theory, Runtimes]
    public void ADeviceThatARuleAllowsIsThere(string runtime)
    {
        using var container = new Container(runtime);
        WithKernelLog(container)
            .Add("linux.resources.devices", """{"allow":true,"type":"c","major":1,"minor":11,"access":"rw"}""");
        Assert.Equal("opened", container.RunScript("(exec 3< /dev/kmsg2) && echo opened"));
    }

    [Theory, Runtimes]
    public void AccessIsReadOrWrite(string runtime)
    {
        using var container = new Container(runtime);
        WithKernelLog(container)
            .Add("linux.resources.devices", """{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}""");
        Assert.Equal("read refused", container.RunScript("(exec 3< /dev/kmsg2) && printf 'read '; (exec 3> /dev/kmsg2) 2>/dev/null || echo refused"));
    }

    [Theory, Runtimes]
    public void AllowAllAllowsAll(string runtime)
    {
        using var container = new Container(runtime);
        WithKernelLog(container)
            .Set("linux.resources.devices", """[{"allow":true,"access":"rwm"}]""");
        Assert.Equal("opened", container.RunScript("(exec 3< /dev/kmsg2) && echo opened"));
    }

    [Theory, Runtimes(NotCrun = "1.8 writes rules as they are; the kernel then keeps the first")]
    public void ALaterRuleOverridesAnEarlierOne(string runtime)
    {
        using var container = new Container(runtime);
        WithKernelLog(container)
            .Add("linux.resources.devices", """{"allow":true,"type":"c","major":1,"minor":11,"access":"rw"}""")
            .Add("linux.resources.devices", """{"allow":false,"type":"c","major":1,"minor":11,"access":"w"}""");
        Assert.Equal("read refused", container.RunScript("(exec 3< /dev/kmsg2) && printf 'read '; (exec 3> /dev/kmsg2) 2>/dev/null || echo refused"));
    }

    [Theory, Runtimes(NotCrun = "1.8 makes a character device of it")]
    public void ADeviceOfAnUnknownTypeIsAnError(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Add("linux.devices", """{"path":"/dev/odd","type":"x","major":1,"minor":5}""");
        Assert.NotEqual(0, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }
}
