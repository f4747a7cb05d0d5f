using Hull.Testing;

namespace Hull.RuntimeClients.Tests;

/// <summary>A dockerd of the test's own. Only one runs on a machine at a time: they share the firewall and containerd's names.</summary>
public sealed class DockerFixture : ClientFixture
{
    private readonly FileStream _lock;

    public DockerFixture() : base("hull-docker")
    {
        Require.Program("dockerd");
        Require.Program("docker");
        _lock = DockerLock.Take();
        File.WriteAllText(Temporary["daemon.json"], "{}");
        StartDaemon("dockerd",
            ["--config-file", Temporary["daemon.json"], "--data-root", Temporary["data"], "--exec-root", Temporary["exec"],
                "--pidfile", Temporary["pid"], "--host", "unix://" + Temporary["s.sock"], "--bridge", "none", "--iptables=false", "--ip6tables=false",
                "--storage-driver", "vfs", "--add-runtime", "hull=" + Runtime, "--default-runtime", "hull"],
            () => Docker("version"));
        Command.Shell($"tar -C {Temporary["rootfs"]} -cf {Temporary["rootfs.tar"]} .").Ok();
        Docker("import", Temporary["rootfs.tar"], "hull:1").Ok();
    }

    internal string Socket => Temporary["s.sock"];

    internal CommandResult Docker(params string[] arguments) => Command.Run("docker", ["--host", "unix://" + Temporary["s.sock"], .. arguments], null);

    public override void Dispose()
    {
        var containers = Docker("ps", "-aq").Trimmed;
        if (containers.Length > 0) Docker(["rm", "-f", .. containers.Split('\n')]);
        base.Dispose();
        _lock.Dispose();
    }
}

public sealed class DockerTests(DockerFixture fixture) : IClassFixture<DockerFixture>
{
    private readonly string _name = "test-" + Guid.NewGuid().ToString("N")[..8];

    private CommandResult Docker(params string[] arguments) => fixture.Docker(arguments);

    private void Start(params string[] options) => Docker(["run", "-d", "--name", _name, "--network", "none", .. options, "hull:1", "sleep", "1000"]).Ok();

    private void Remove() => Docker("rm", "-f", _name).Ok();

    [Fact]
    public void RunsAndRemoves() => Assert.Equal("hello", Docker("run", "--rm", "--network", "none", "hull:1", "echo", "hello").Ok().Trimmed);

    [Fact]
    public void HandsOnTheExitCode() => Assert.Equal(42, Docker("run", "--rm", "--network", "none", "hull:1", "sh", "-c", "exit 42").ExitCode);

    [Fact]
    public void AMissingCommandIs127()
    {
        var result = Docker("run", "--rm", "--network", "none", "hull:1", "nosuchcommand");
        Assert.Equal(127, result.ExitCode);
        Assert.Contains("nosuchcommand", result.Error);
    }

    [Fact]
    public void ExecsStopsAndRemoves()
    {
        Start();
        Assert.Equal("inside", Docker("exec", _name, "echo", "inside").Ok().Trimmed);
        Assert.Equal(3, Docker("exec", _name, "sh", "-c", "exit 3").ExitCode);
        Docker("stop", "-t", "0", _name).Ok();
        Assert.Equal("exited 137", Docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", _name).Ok().Trimmed);
        Docker("rm", _name).Ok();
    }

    [Fact]
    public void LimitsAndUpdatesMemory()
    {
        Start("--memory", "64m", "--pids-limit", "50");
        Assert.Contains("64MiB", Docker("stats", "--no-stream", "--format", "{{.MemUsage}}", _name).Ok().Output);
        Docker("update", "--memory", "96m", "--memory-swap", "-1", _name).Ok();
        Assert.Contains("96MiB", Docker("stats", "--no-stream", "--format", "{{.MemUsage}}", _name).Ok().Output);
        Remove();
    }

    [Fact]
    public void AMemoryHogIsKilledAndSaidSo()
    {
        Docker("run", "--name", _name, "--network", "none", "--memory", "16m", "--memory-swap", "16m", "hull:1", "tail", "/dev/zero");
        Assert.Equal("137 true", Docker("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", _name).Ok().Trimmed);
        Remove();
    }

    [Fact]
    public void PausesAndGoesOn()
    {
        Start();
        Docker("pause", _name).Ok();
        Assert.Equal("paused", Docker("inspect", "--format", "{{.State.Status}}", _name).Ok().Trimmed);
        Docker("unpause", _name).Ok();
        Assert.Equal("still", Docker("exec", _name, "echo", "still").Ok().Trimmed);
        Remove();
    }

    [Fact]
    public void TopListsProcesses()
    {
        Start();
        Assert.Contains("sleep 1000", Docker("top", _name).Ok().Output);
        Remove();
    }

    [Fact]
    public void BindsVolumesAndTmpfs() => Assert.Equal("shared tmpfs", Docker("run", "--rm", "--network", "none",
        "--volume", $"{fixture.MakeShared()}:/shared:ro", "--tmpfs", "/scratch", "hull:1",
        "sh", "-c", "echo $(cat /shared/file) $(awk '$2==\"/scratch\"{print $3}' /proc/mounts)").Ok().Trimmed);

    [Fact]
    public void HasATerminal() => Assert.Contains("/dev/pts/0",
        Command.Run(Require.Program("script"), "-qec", $"docker --host unix://{fixture.Socket} run --rm -t --network none hull:1 tty", "/dev/null").Output);

    [Fact]
    public void PrivilegedMayMount()
    {
        // 24 is CAP_SYS_RESOURCE, which some machines take from root; nobody can hand on what they lack.
        var bounding = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("CapBnd:", StringComparison.Ordinal))[7..].Trim();
        Require.That((Convert.ToUInt64(bounding, 16) >> 24 & 1) == 1, "root lacks CAP_SYS_RESOURCE here");
        Assert.Equal("0", Docker("run", "--rm", "--network", "none", "--privileged", "hull:1",
            "sh", "-c", "mkdir -p /mnt && mount -t tmpfs tmpfs /mnt; echo $?").Ok().Trimmed);
    }
}
