using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>One image as a container and as a virtual machine, by clients that know nothing of the difference.</summary>
public sealed class IsolationTests
{
    private readonly Engine engine;

    public IsolationTests(Engine engine)
    {
        this.engine = engine;
        Require.Program("qemu-system-x86_64");
        GuestKernel.Provide(engine.DataRoot);
    }

    [Fact]
    public void AVirtualMachineIsUsedLikeAContainer()
    {
        var docker = Engine.Clients.First();
        string[] release = ["--network", "none", "busybox", "cat", "/proc/sys/kernel/osrelease"];
        var container = engine.Docker(docker, ["run", "--rm", .. release]).Ok().Trimmed;
        var machine = Machine(null, release).Ok().Trimmed;
        Assert.NotEqual("", machine);
        Assert.NotEqual(container, machine);
        Assert.Equal("typed", Machine("typed", "-i", "--network", "none", "busybox", "cat").Ok().Output);
        Assert.Equal(7, Machine(null, "--network", "none", "busybox", "sh", "-c", "exit 7").ExitCode);
        Assert.Equal(127, Machine(null, "--network", "none", "busybox", "/nosuch").ExitCode);
    }

    [Fact]
    public void AVirtualMachineAndAContainerMeetOnANetwork()
    {
        var docker = Engine.Clients.First();
        engine.Docker(docker, "network", "create", "both").Ok();
        engine.Docker(docker, "run", "-d", "--isolation", "vm", "--name", "machine", "--network", "both", "busybox",
            "sh", "-c", "echo out; trap 'exit 4' TERM; echo served > /tmp/page; busybox httpd -p 80 -h /tmp; while true; do sleep 0.1; done").Ok();
        engine.Docker(docker, "run", "-d", "--name", "neighbour", "--network", "both", "busybox",
            "sh", "-c", "echo served too > /tmp/page; busybox httpd -f -p 80 -h /tmp").Ok();
        Assert.Equal("served\n", Fetch("neighbour", "machine"));
        Assert.Equal("served too\n", Fetch("machine", "neighbour"));
        Assert.Equal("out\n", engine.Docker(docker, "logs", "machine").Ok().Output);
        Assert.Contains("machine", engine.Docker(docker, "stats", "--no-stream", "machine").Ok().Output);
        engine.Docker(docker, "stop", "machine").Ok();
        Assert.Equal("4", engine.Docker(docker, "inspect", "-f", "{{.State.ExitCode}}", "machine").Ok().Trimmed);
        engine.Docker(docker, "rm", "-f", "machine", "neighbour").Ok();
        engine.Docker(docker, "network", "rm", "both").Ok();
    }

    [Fact]
    public void AMachineHasAllTheLayersOfItsImage()
    {
        const int layers = 30;
        var docker = Engine.Clients.First();
        var image = "busybox";
        try
        {
            for (var layer = 1; layer <= layers; layer++)
            {
                engine.Docker(docker, "run", "--network", "none", "--name", "layer", image, "sh", "-c", $"echo {layer} > /top; echo {layer} > /of{layer}; rm -f /of{layer - 2}").Ok();
                engine.Docker(docker, "commit", "layer", image = $"layers:{layer}").Ok();
                engine.Docker(docker, "rm", "layer").Ok();
            }

            // As a clone or a twin, and from a template of the image.
            for (var round = 0; round < 4; round++)
                Assert.Equal($"{layers}\n{layers - 1}\n{layers}\n", Machine(null, "--network", "none", image, "sh", "-c", "cat /top $(ls -d /of* | sort)").Ok().Output);
        }
        finally
        {
            engine.Docker(docker, "rm", "-f", "layer");
            for (var layer = layers; layer > 0; layer--) engine.Docker(docker, "rmi", $"layers:{layer}");
        }
    }

    [Fact]
    public void WhatAMachineHasToWaitForIsSaid()
    {
        // Nobody else has machines of this size, which is rounded up.
        string[] run = ["run", "--rm", "--isolation", "vm", "-m", "150m", "--network", "none", "busybox", "echo", "ran"];
        var first = engine.Run(Repository.Executable("hull"), null, run).Ok();
        Assert.Equal("ran\n", first.Output);
        Assert.Contains("booting a template for machines of 192 MiB and 1 CPU", first.Error, StringComparison.Ordinal);
        var second = engine.Run(Repository.Executable("hull"), null, run).Ok();
        Assert.Equal(("ran\n", ""), (second.Output, second.Error));
    }

    [Theory]
    [InlineData("400m", 448, "start", "started")]
    [InlineData("300m", 320, "start", "-a", "started")]
    [InlineData("350m", 384, "restart", "started")]
    public void WhatTheStartOfAnExistingMachineHasToWaitForIsSaid(string memory, int rounded, params string[] start)
    {
        var hull = Repository.Executable("hull");
        engine.Run(hull, null, "create", "--isolation", "vm", "-m", memory, "--network", "none", "--name", "started", "busybox", "echo", "ran").Ok();
        try
        {
            var first = engine.Run(hull, null, start).Ok();
            Assert.Equal(start is [_, "-a", _] ? "ran\n" : "started\n", first.Output);
            Assert.Contains($"booting a template for machines of {rounded} MiB and 1 CPU", first.Error, StringComparison.Ordinal);
            Assert.Equal("", engine.Run(hull, null, start).Ok().Error);
        }
        finally
        {
            engine.Run(hull, null, "rm", "-f", "started").Ok();
        }
    }

    [Fact]
    public void APrivilegedProgramMayUseTheDevicesOfItsMachine()
    {
        // The second disk of virtio-blk, whose numbers a guest's kernel gives: what the machine writes to.
        const string script = "set -- $(busybox grep vdb /proc/partitions); busybox mknod /disk b $1 $2 && busybox head -c 1000 /disk | busybox wc -c";
        Assert.Equal("1000\n", Machine(null, "--privileged", "--network", "none", "busybox", "sh", "-c", script).Ok().Output);
        var other = Machine(null, "--network", "none", "busybox", "sh", "-c", script);
        Assert.Equal("0\n", other.Output);
        Assert.Contains("not permitted", other.Error, StringComparison.Ordinal);
    }

    private CommandResult Machine(string? input, params string[] arguments) =>
        engine.Run(Engine.Clients.First(), input, ["run", "--rm", "--isolation", "vm", .. arguments]);

    /// <summary>Asks from inside one workload for another's page by name, until its server has come up.</summary>
    private string Fetch(string from, string name) => engine.Docker(Engine.Clients.First(), "exec", from,
        "sh", "-c", $"for i in $(seq 100); do busybox wget -qO- http://{name}/page && exit; sleep 0.1; done; exit 1").Ok().Output;
}
