using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>An engine that sees ranges of ids set aside in files of the test's own.</summary>
public sealed class UserNamespaceEngine : IDisposable
{
    private readonly TemporaryDirectory scratch = new("userns");

    public UserNamespaceEngine(params string[] arguments)
    {
        Require.That(File.Exists("/etc/subuid") && File.Exists("/etc/subgid"), "needs /etc/subuid and /etc/subgid, to mount over them");
        BusyboxRoot.Make(scratch["root"]);
        Command.Shell($"chown 1000:1000 '{scratch["root/data/seed"]}'").Ok();
        File.WriteAllText(scratch["subid"], "hull:300000:200000\ndockremap:600000:65536\n");
        var ids = scratch["subid"];
        Engine = new EngineDaemon(arguments,
            $"exec unshare --mount sh -c 'mount --bind {ids} /etc/subuid && mount --bind {ids} /etc/subgid && exec \"$0\" \"$@\"' \"$0\" \"$@\";");
        Engine.Import(scratch["root"]);
    }

    public EngineDaemon Engine { get; }

    public string this[string name] => scratch[name];

    public void Dispose()
    {
        Engine.Dispose();
        scratch.Dispose();
    }
}

/// <summary>User namespaces per container and of the whole engine, by <c>hull</c> and the docker CLI.</summary>
public sealed class UserNamespaceTests
{
    private const string Wait = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

    [Fact]
    public void Everything_done_with_a_container_works_in_a_range_of_ids_of_its_own()
    {
        using var host = new UserNamespaceEngine();
        var engine = host.Engine;
        engine.Hull("run", "-d", "--name", "one", "--userns", "auto:size=5000", "-v", "vol:/data", "-v", host["bound"] + ":/bound", "-p", "8080:80",
            "--health-cmd", "test -e /made", "--health-interval", "200ms", "--restart", "always", "busybox", "sh", "-c",
            "echo said >/dev/stdout; touch /made /data/made; chown 1000:1000 /made; httpd -p 80 -h /etc; " + Wait).Ok();
        Assert.Equal("0 300000 5000", Map(engine, "one"));
        Assert.Equal("said", Docker(engine, "logs", "one"));
        Eventually(() => Docker(engine, "inspect", "--format", "{{.State.Health.Status}} {{.HostConfig.UsernsMode}}", "one") == "healthy auto:size=5000");
        Assert.Contains("root:x:0:0", engine.InNetwork("busybox", "wget", "-qO-", "http://127.0.0.1:8080/passwd").Ok().Output);

        // Owners are those of the image, inside; on the host's side everything is in the range.
        Assert.Equal("0 1000 0 1000 0", Exec(engine, "one", "echo $(stat -c %u /etc/passwd /data/seed /data/made /made /etc/hosts)"));
        Assert.Equal("1000 1000", Docker(engine, "exec", "-u", "user", "one", "sh", "-c", "echo $(id -u) $(id -g) > /dev/stdout"));
        var pid = Docker(engine, "inspect", "--format", "{{.State.Pid}}", "one");
        Assert.Equal("300000 300000", Command.Shell($"stat -c '%u %g' /proc/{pid}").Ok().Trimmed);
        Assert.Equal("301000", Command.Shell($"stat -c %u /proc/{pid}/root/made").Ok().Trimmed);
        // A bind is the host's, and nobody's inside.
        Assert.Equal("65534 denied", Exec(engine, "one", "echo $(stat -c %u /bound) $(touch /bound/x 2>/dev/null || echo denied)"));

        CopyBothWays(host, engine);
        Docker(engine, "commit", "one", "committed");
        Assert.Equal("1000 1000", Docker(engine, "run", "--rm", "committed", "sh", "-c", "echo $(stat -c %u /made /tmp/kept)"));
        Assert.Contains("A /made", Docker(engine, "diff", "one"));
        Assert.Contains("1000/1000", Command.Shell($"docker -H {engine.Address} export one | tar -tvn --numeric-owner | grep ' made'").Ok().Output);

        // The range stays over restarts, of the container and of the engine; its program's end brings it back.
        Docker(engine, "restart", "one");
        Assert.Equal("0 300000 5000", Map(engine, "one"));
        engine.Kill();
        engine.Start();
        Assert.Equal("0", Docker(engine, "exec", "one", "stat", "-c", "%u", "/etc/passwd"));
        Docker(engine, "cp", host["file"], "one:/tmp/again");
        Assert.Equal("0", Exec(engine, "one", "stat -c %u /tmp/again"));
    }

    private static void CopyBothWays(UserNamespaceEngine host, EngineDaemon engine)
    {
        File.WriteAllText(host["file"], "text");
        Command.Run("chown", "1000:1000", host["file"]).Ok();
        Docker(engine, "cp", host["file"], "one:/tmp/given");
        Docker(engine, "cp", host["file"], "one:/data/given");
        Docker(engine, "cp", "-a", host["file"], "one:/tmp/kept");
        Assert.Equal("0 0 1000", Exec(engine, "one", "echo $(stat -c %u /tmp/given /data/given /tmp/kept)"));
        Assert.Contains("1000/1000", Command.Shell($"docker -H {engine.Address} cp one:/made - | tar -tvn --numeric-owner").Ok().Output);
        Command.Run("chown", "9999", host["file"]).Ok();
        Assert.Contains("user 9999", engine.Run(Engine.Client, "cp", "-a", host["file"], "one:/tmp/foreign").Error);
        Docker(engine, "stop", "-t", "1", "one");
        Docker(engine, "cp", host["file"], "one:/tmp/stopped");
        Assert.Contains(" 1000/1000", Command.Shell($"docker -H {engine.Address} cp one:/tmp - | tar -tvn --numeric-owner | grep kept").Ok().Output);
        Docker(engine, "start", "one");
        Assert.Equal("0 1000", Exec(engine, "one", "echo $(stat -c %u /tmp/stopped /made)"));
    }

    [Fact]
    public void Ranges_do_not_clash_and_volumes_show_the_same_owners_to_all()
    {
        using var host = new UserNamespaceEngine();
        var engine = host.Engine;
        foreach (var name in (string[])["one", "two", "three"])
            engine.Hull("run", "-d", "--name", name, "--userns", "auto", "--ipc", "shareable", "-v", "shared:/data", "busybox", "sh", "-c", Wait).Ok();
        Assert.Equal(["0 300000 65536", "0 365536 65536", "0 431072 65536"], ((string[])["one", "two", "three"]).Select(name => Map(engine, name)));
        Assert.Contains("set aside", engine.Hull("create", "--userns", "auto", "busybox", "true").Error);
        Docker(engine, "rm", "-f", "two");
        Assert.Equal("0 365536 100", engine.Hull("run", "--rm", "--userns", "auto:size=100", "busybox", "sh", "-c", "echo $(cat /proc/self/uid_map)").Ok().Trimmed);

        Exec(engine, "one", "touch /data/by-one && chown 1000 /data/by-one");
        Assert.Equal("1000", Exec(engine, "three", "stat -c %u /data/by-one"));
        Assert.Equal("1000", Docker(engine, "run", "--rm", "-v", "shared:/data", "busybox", "stat", "-c", "%u", "/data/by-one"));

        // Who shares a namespace shares the users.
        Assert.Equal("0 300000 65536 1 eth0", engine.Hull("run", "--rm", "--network", "container:one", "--pid", "container:one", "--ipc", "container:one", "busybox",
            "sh", "-c", "echo $(cat /proc/self/uid_map) $(ps | grep -c '[t]rap') $(ls /sys/class/net | grep eth)").Ok().Trimmed);
        Assert.Equal("0 300000 65536", engine.Hull("run", "--rm", "--userns", "container:one", "busybox", "sh", "-c", "echo $(cat /proc/self/uid_map)").Ok().Trimmed);
        Assert.Equal("1000 0", engine.Hull("run", "--rm", "--network", "container:one", "--mount", "type=image,source=busybox,target=/m/x", "busybox",
            "sh", "-c", "echo $(stat -c %u /m/x/data/seed /m)").Ok().Trimmed);
        Assert.Contains("different user namespaces", engine.Hull("create", "--network", "container:one", "--pid", "container:three", "busybox", "true").Error);
        Assert.Contains("leave --userns out", engine.Hull("create", "--network", "container:one", "--userns", "host", "busybox", "true").Error);
        Assert.Contains("no user 1000", engine.Hull("run", "--rm", "--userns", "auto:size=100", "-u", "user", "busybox", "true").Error);
        Assert.Contains("--userns host", engine.Hull("create", "--userns", "auto", "--privileged", "busybox", "true").Error);
        Assert.Contains("isolation vm", engine.Hull("create", "--userns", "auto", "--isolation", "vm", "busybox", "true").Error);
    }

    [Theory]
    [InlineData("erofs")]
    [InlineData("overlay")]
    [InlineData("copy")]
    public void An_engine_maps_the_users_of_all_its_containers(string storage)
    {
        using var host = new UserNamespaceEngine("--userns-remap", "default", "--storage-driver", storage);
        var engine = host.Engine;
        Assert.Contains("name=userns", Docker(engine, "info", "--format", "{{.SecurityOptions}}"));
        Assert.Equal("0 600000 65536 0 1000", Docker(engine, "run", "--rm", "-v", "vol:/data", "busybox", "sh", "-c",
            "touch /x /data/x && echo $(cat /proc/self/uid_map) $(stat -c %u /x /data/seed)"));
        Assert.Equal("0 600000 65536", Docker(engine, "run", "--rm", "--ipc", "host", "--read-only", "--tmpfs", "/tmp", "--init", "busybox", "sh", "-c", "echo $(cat /proc/self/uid_map)"));
        Assert.Equal("0 0 4294967295", Docker(engine, "run", "--rm", "--userns", "host", "busybox", "sh", "-c", "echo $(cat /proc/self/uid_map)"));
        foreach (var option in (string[])["--privileged", "--network=host", "--pid=host"])
        {
            Assert.Contains("--userns host", engine.Run(Engine.Client, "run", "--rm", option, "busybox", "true").Error);
            Docker(engine, "run", "--rm", option, "--userns", "host", "busybox", "true");
        }
    }

    [Fact]
    public async Task What_cannot_be_mapped_is_refused_with_the_reason()
    {
        Require.Program("runc");
        using var host = new UserNamespaceEngine("--userns-remap", "hull");
        // That runtime looks for the bundle as root of the user namespace.
        Command.Run("chmod", "755", host.Engine.Path).Ok();
        var answer = await host.Engine.PostAsync("/containers/create", new JsonObject
        {
            ["Image"] = "busybox", ["Cmd"] = new JsonArray("true"), ["HostConfig"] = new JsonObject { ["Runtime"] = "runc", ["Binds"] = new JsonArray("vol:/data") },
        });
        Assert.Equal(501, answer.Status);
        Assert.Contains("use runtime hull", answer.Text);
        Assert.Equal("0 300000 200000", Docker(host.Engine, "run", "--rm", "--runtime", "runc", "busybox", "sh", "-c", "touch /x && echo $(cat /proc/self/uid_map)"));
    }

    private static string Docker(EngineDaemon engine, params string[] words) => engine.Run(Engine.Client, words).Ok().Trimmed;

    private static string Exec(EngineDaemon engine, string name, string script) => Docker(engine, "exec", name, "sh", "-c", script);

    private static string Map(EngineDaemon engine, string name) => Exec(engine, name, "echo $(cat /proc/self/uid_map)");

    private static void Eventually(Func<bool> condition)
    {
        for (var i = 0; i < 600 && !condition(); i++) Thread.Sleep(100);
        Assert.True(condition());
    }
}
