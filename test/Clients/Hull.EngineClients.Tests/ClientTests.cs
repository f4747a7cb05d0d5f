using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Unmodified clients do what people do with them every day.</summary>
public sealed class ClientTests(Engine engine)
{
    public static TheoryData<string> DockerClients => [.. Engine.Clients];

    [Theory, MemberData(nameof(DockerClients))]
    public void RunCarriesOutputInputAndExitCode(string docker)
    {
        var before = engine.Docker(docker, "ps", "-aq").Ok().Output;
        Assert.Equal("hi\n", engine.Docker(docker, "run", "--rm", "busybox", "echo", "hi").Ok().Output);
        Assert.Equal("typed", engine.Run(docker, "typed", "run", "-i", "--rm", "busybox", "cat").Ok().Output);
        Assert.Equal(3, engine.Docker(docker, "run", "--rm", "busybox", "sh", "-c", "exit 3").ExitCode);
        Assert.Equal(127, engine.Docker(docker, "run", "--rm", "busybox", "/nosuch").ExitCode);
        Assert.Equal(before, engine.Docker(docker, "ps", "-aq").Ok().Output);
    }

    [Theory, MemberData(nameof(DockerClients))]
    public void AContainerLivesItsLife(string docker)
    {
        var name = "life" + docker.Length;
        engine.Docker(docker, "run", "-d", "--name", name, "busybox", "sh", "-c", "echo out; echo err >&2; sleep 1000").Ok();
        Assert.Contains(name, engine.Docker(docker, "ps", "--format", "{{.Names}}").Ok().Output);
        Assert.Equal("in\n", engine.Docker(docker, "exec", name, "echo", "in").Ok().Output);
        Assert.Equal("x", engine.Run(docker, "x", "exec", "-i", name, "cat").Ok().Output);
        Assert.Equal(5, engine.Docker(docker, "exec", name, "sh", "-c", "exit 5").ExitCode);
        var logs = engine.Docker(docker, "logs", name).Ok();
        Assert.Equal(("out\n", "err\n"), (logs.Output, logs.Error));
        Assert.Equal("true", engine.Docker(docker, "inspect", "-f", "{{.State.Running}}", name).Ok().Trimmed);
        engine.Docker(docker, "stop", "-t", "0", name).Ok();
        Assert.Equal("exited", engine.Docker(docker, "inspect", "-f", "{{.State.Status}}", name).Ok().Trimmed);
        engine.Docker(docker, "rm", name).Ok();
        Assert.NotEqual(0, engine.Docker(docker, "inspect", name).ExitCode);
    }

    [Theory, MemberData(nameof(DockerClients))]
    public void VolumesKeepWhatIsWritten(string docker)
    {
        var volume = "keep" + docker.Length;
        engine.Docker(docker, "volume", "create", volume).Ok();
        engine.Docker(docker, "run", "--rm", "-v", volume + ":/d", "busybox", "touch", "/d/kept").Ok();
        Assert.Equal("kept\n", engine.Docker(docker, "run", "--rm", "-v", volume + ":/d", "busybox", "ls", "/d").Ok().Output);
        engine.Docker(docker, "volume", "rm", volume).Ok();
    }

    [Fact]
    public void TheOwnClientDoesTheSameInOneRoundTrip()
    {
        var hull = Repository.Executable("hull");
        Assert.Equal("hi\n", engine.Run(hull, null, "run", "--rm", "busybox", "echo", "hi").Ok().Output);
        Assert.Equal("typed", engine.Run(hull, "typed", "run", "-i", "--rm", "busybox", "cat").Ok().Output);
        Assert.Equal(9, engine.Run(hull, null, "run", "--rm", "busybox", "sh", "-c", "exit 9").ExitCode);
        Assert.Equal(127, engine.Run(hull, null, "run", "--rm", "busybox", "/nosuch").ExitCode);
        Assert.NotEqual(0, engine.Run(hull, null, "rm", "nothing").ExitCode);
    }

    [Fact]
    public void SkopeoTakesImagesAndBringsThem()
    {
        var skopeo = Require.Program("skopeo");
        var place = engine.Path("skopeo");
        engine.Run(skopeo, null, "copy", "--quiet", "--insecure-policy", "--src-daemon-host", engine.Address, "docker-daemon:busybox:latest", "oci:" + place + ":one").Ok();
        engine.Run(skopeo, null, "copy", "--quiet", "--insecure-policy", "--dest-daemon-host", engine.Address, "oci:" + place + ":one", "docker-daemon:brought:one").Ok();
        Assert.Equal("hi\n", engine.Docker(Engine.Client, "run", "--rm", "brought:one", "echo", "hi").Ok().Output);
        engine.Docker(Engine.Client, "rmi", "brought:one").Ok();
    }

    [Fact]
    public void ThePythonSdkWorks()
    {
        Require.That(File.Exists("/usr/lib/python3/dist-packages/docker/__init__.py"), "needs python3-docker");
        var script = $"""
            import docker
            c = docker.DockerClient(base_url='{engine.Address}')
            assert c.containers.run('busybox', ['echo', 'py'], remove=True) == b'py\n'
            x = c.containers.run('busybox', ['sleep', '1000'], detach=True, name='py')
            assert x.exec_run('echo hi').output == b'hi\n'
            assert [i.name for i in c.containers.list()] == ['py']
            assert 'PID' in x.top()['Titles']
            x.stop(timeout=0); x.reload(); assert x.status == 'exited', x.status
            x.remove()
            n = c.networks.create('pynet'); n.remove()
            print('done')
            """;
        Assert.Equal("done\n", Command.Run("/usr/bin/python3", ["-c", script], null, TimeSpan.FromSeconds(60)).Ok().Output);
    }
}
