using Hull.Testing;

namespace Hull.RuntimeClients.Tests;

/// <summary>Podman with stores of its own.</summary>
public sealed class PodmanFixture : ClientFixture
{
    public PodmanFixture() : base("hull-podman")
    {
        Require.Program("podman");
        // Podman's usual limits are more than a caller without CAP_SYS_RESOURCE may set.
        File.WriteAllText(Temporary["containers.conf"],
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n");
        Command.Shell($"tar -C {Temporary["rootfs"]} -cf {Temporary["rootfs.tar"]} .").Ok();
        Podman("import", Temporary["rootfs.tar"], "localhost/hull:1").Ok();
    }

    internal CommandResult Podman(params string[] arguments) => Command.Run("podman",
        ["--root", Temporary["root"], "--runroot", Temporary["run"], "--tmpdir", Temporary["tmp"], "--storage-driver", "vfs",
            "--cgroup-manager", "cgroupfs", "--runtime", Runtime, .. arguments],
        null, environment: new Dictionary<string, string?> { ["CONTAINERS_CONF"] = Temporary["containers.conf"] });

    public override void Dispose()
    {
        Podman("rm", "--all", "--force", "--time", "0");
        base.Dispose();
    }
}

public sealed class PodmanTests(PodmanFixture fixture) : IClassFixture<PodmanFixture>
{
    private readonly string _name = "p" + Guid.NewGuid().ToString("N")[..8];

    private CommandResult Podman(params string[] arguments) => fixture.Podman(arguments);

    private void Start(params string[] options) => Podman(["run", "-d", "--name", _name, "--network", "none", .. options, "localhost/hull:1", "sleep", "1000"]).Ok();

    private void Remove() => Podman("rm", "--force", "--time", "0", _name).Ok();

    [Fact]
    public void RunsAndRemoves() => Assert.Equal("hello", Podman("run", "--rm", "--network", "none", "localhost/hull:1", "echo", "hello").Ok().Trimmed);

    [Fact]
    public void HandsOnTheExitCode() => Assert.Equal(42, Podman("run", "--rm", "--network", "none", "localhost/hull:1", "sh", "-c", "exit 42").ExitCode);

    [Fact]
    public void AMissingCommandIs127() => Assert.Equal(127, Podman("run", "--rm", "--network", "none", "localhost/hull:1", "nosuchcommand").ExitCode);

    [Fact]
    public void ExecsStopsAndRemoves()
    {
        Start();
        Assert.Equal("inside", Podman("exec", _name, "echo", "inside").Ok().Trimmed);
        Assert.Equal(3, Podman("exec", _name, "sh", "-c", "exit 3").ExitCode);
        Podman("stop", "--time", "0", _name).Ok();
        Assert.Equal("exited", Podman("inspect", "--format", "{{.State.Status}}", _name).Ok().Trimmed);
        Podman("rm", _name).Ok();
    }

    [Fact]
    public void LimitsMemoryAndTasks()
    {
        Start("--memory", "64m", "--pids-limit", "50");
        Assert.Equal("67108864", Podman("inspect", "--format", "{{.HostConfig.Memory}}", _name).Ok().Trimmed);
        Assert.Contains("50", Podman("stats", "--no-stream", "--format", "{{.PIDs}} 50", _name).Ok().Output);
        Remove();
    }

    [Fact]
    public void PausesAndGoesOn()
    {
        Start();
        Podman("pause", _name).Ok();
        Assert.Equal("paused", Podman("inspect", "--format", "{{.State.Status}}", _name).Ok().Trimmed);
        Podman("unpause", _name).Ok();
        Assert.Equal("still", Podman("exec", _name, "echo", "still").Ok().Trimmed);
        Remove();
    }

    [Fact]
    public void KeepsLogsAndRestarts()
    {
        Podman("run", "-d", "--name", _name, "--network", "none", "--log-driver", "k8s-file", "localhost/hull:1", "sh", "-c", "echo once; sleep 1000").Ok();
        Podman("restart", "--time", "0", _name).Ok();
        for (var i = 0; i < 200 && Podman("logs", _name).Output.Split("once").Length < 3; i++) Thread.Sleep(20);
        Assert.Equal(3, Podman("logs", _name).Ok().Output.Split("once").Length);
        Remove();
    }

    [Fact]
    public void BindsVolumesAndTmpfs() => Assert.Equal("shared tmpfs", Podman("run", "--rm", "--network", "none",
        "--volume", $"{fixture.MakeShared()}:/shared:ro", "--tmpfs", "/scratch", "localhost/hull:1",
        "sh", "-c", "echo $(cat /shared/file) $(awk '$2==\"/scratch\"{print $3}' /proc/mounts)").Ok().Trimmed);

    [Fact]
    public void RunsAsAnotherUserWithALimitedRoot() => Assert.Equal("1000 refused", Podman("run", "--rm", "--network", "none", "--user", "1000", "--read-only",
        "localhost/hull:1", "sh", "-c", "echo $(id -u) $(touch /x 2>/dev/null || echo refused)").Ok().Trimmed);
}
