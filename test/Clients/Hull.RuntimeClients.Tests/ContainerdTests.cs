using Hull.Testing;

namespace Hull.RuntimeClients.Tests;

/// <summary>A containerd of the test's own; ctr names the runtime's binary for io.containerd.runc.v2.</summary>
public sealed class ContainerdFixture : ClientFixture
{
    public ContainerdFixture() : base("hull-ctrd")
    {
        Require.Program("containerd");
        Require.Program("ctr");
        File.WriteAllText(Temporary["config.toml"], $"""
            version = 2
            root = "{Temporary["root"]}"
            state = "{Temporary["state"]}"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
              address = "{Temporary["s.sock"]}"
            [ttrpc]
              address = "{Temporary["s.sock.ttrpc"]}"
            """);
        StartDaemon("containerd", ["--config", Temporary["config.toml"]], () => Ctr("version"));
    }

    internal string RootfsPath => Temporary["rootfs"];

    internal CommandResult Ctr(params string[] arguments) => Command.Run("ctr", ["--address", Temporary["s.sock"], "--namespace", "hull-test", .. arguments], null);

    internal CommandResult Run(string id, string[] options, params string[] command) =>
        Ctr(["run", .. options, "--rootfs", "--runc-binary", Runtime, RootfsPath, id, .. command]);
}

public sealed class ContainerdTests(ContainerdFixture fixture) : IClassFixture<ContainerdFixture>
{
    private readonly string _id = "t" + Guid.NewGuid().ToString("N")[..8];

    [Fact]
    public void RunsAndRemoves() => Assert.Equal("hello", fixture.Run(_id, ["--rm"], "/bin/echo", "hello").Ok().Trimmed);

    [Fact]
    public void HandsOnTheExitCode() => Assert.Equal(42, fixture.Run(_id, ["--rm"], "/bin/sh", "-c", "exit 42").ExitCode);

    [Fact]
    public void ExecsKillsAndRemoves()
    {
        fixture.Run(_id, ["--detach"], "/bin/sleep", "1000").Ok();
        Assert.Equal("inside", fixture.Ctr("task", "exec", "--exec-id", "e1", _id, "/bin/echo", "inside").Ok().Trimmed);
        Assert.Equal(3, fixture.Ctr("task", "exec", "--exec-id", "e2", _id, "/bin/sh", "-c", "exit 3").ExitCode);
        Assert.Contains("RUNNING", fixture.Ctr("task", "ls").Ok().Output);
        fixture.Ctr("task", "kill", "--signal", "KILL", _id).Ok();
        for (var i = 0; i < 500 && !fixture.Ctr("task", "ls").Output.Contains("STOPPED"); i++) Thread.Sleep(20);
        Assert.Contains("137", fixture.Ctr("task", "rm", _id).Ok().Error);
        fixture.Ctr("container", "rm", _id).Ok();
    }

    [Fact]
    public void PausesAndMeasures()
    {
        fixture.Run(_id, ["--detach"], "/bin/sleep", "1000").Ok();
        fixture.Ctr("task", "pause", _id).Ok();
        Assert.Contains("PAUSED", fixture.Ctr("task", "ls").Ok().Output);
        fixture.Ctr("task", "resume", _id).Ok();
        Assert.Contains("memory", fixture.Ctr("task", "metrics", _id).Ok().Output);
        Assert.Contains(_id, fixture.Ctr("container", "ls", "-q").Ok().Output);
        fixture.Ctr("task", "rm", "--force", _id);
        fixture.Ctr("container", "rm", _id).Ok();
    }

    [Fact]
    public void AMissingCommandFailsWithItsName()
    {
        var result = fixture.Run(_id, ["--rm"], "/bin/nosuchcommand");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nosuchcommand", result.Error);
    }
}
