using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>
/// What an engine answers when something other than the addressed object is missing. "Not found" would have clients pull an
/// image that is there.
/// </summary>
public sealed class AnswerTests(AnswerTests.ProxiedEngine proxied) : IClassFixture<AnswerTests.ProxiedEngine>
{
    private readonly EngineDaemon engine = proxied.Daemon;

    /// <summary>An engine that reaches registries by a proxy, for all tests of this class.</summary>
    public sealed class ProxiedEngine : IDisposable
    {
        private readonly TemporaryDirectory scratch = new("answers");

        public ProxiedEngine()
        {
            File.WriteAllText(scratch["daemon.json"], """{"proxies":{"https-proxy":"http://127.0.0.1:3128","no-proxy":"elsewhere.example"}}""");
            Daemon = new EngineDaemon(["--config-file", scratch["daemon.json"]]);
            BusyboxRoot.Make(scratch["root"]);
            Daemon.Import(scratch["root"]);
        }

        public EngineDaemon Daemon { get; }

        public void Dispose()
        {
            Daemon.Dispose();
            scratch.Dispose();
        }
    }

    [Fact]
    public async Task What_is_missing_on_the_engines_side_is_no_missing_object()
    {
        await RefusedAsync(400, "/nonexist", """{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/nonexist","Target":"/x"}]}}""");
        await RefusedAsync(400, "/proc/nonexist", """{"HostConfig":{"Binds":["/proc/nonexist:/x"]}}""");
        await RefusedAsync(400, "/dev/nonexist", """{"HostConfig":{"Devices":[{"PathOnHost":"/dev/nonexist","PathInContainer":"/dev/x","CgroupPermissions":"rwm"}]}}""");
        await RefusedAsync(400, "/dev/nonexist", """{"HostConfig":{"BlkioDeviceReadBps":[{"Path":"/dev/nonexist","Rate":1000}]}}""");
        await RefusedAsync(400, "nope", """{"HostConfig":{"Mounts":[{"Type":"volume","Source":"v1","Target":"/x","VolumeOptions":{"Subpath":"nope"}}]}}""");
        await RefusedAsync(400, "executable file not found", """{"Cmd":["nosuch"]}""");
        await RefusedAsync(400, "no such file or directory", """{"Cmd":["/no/such"]}""");
        await RefusedAsync(500, "net.ipv4.nonexist", """{"HostConfig":{"Sysctls":{"net.ipv4.nonexist":"1"}}}""");
        await RefusedAsync(404, "No such image: missing", """{"Image":"missing"}""");
        Assert.Equal(404, (await engine.PostAsync("/containers/missing/start")).Status);
        Assert.Equal(404, (await engine.GetAsync("/containers/missing/json")).Status);
    }

    [Fact]
    public async Task A_missing_file_of_a_container_is_what_a_copy_addressed()
    {
        (await engine.PostAsync("/containers/create?name=here", JsonNode.Parse("""{"Image":"busybox","Cmd":["true"]}"""))).Ok();
        var answer = await engine.GetAsync("/containers/here/archive?path=/nope");
        Assert.Equal(404, answer.Status);
        Assert.Contains("/nope", answer.Text);
    }

    [Fact]
    public void Clients_exit_as_a_shell_does_for_a_missing_program()
    {
        foreach (var client in new[] { Repository.Executable("hull"), Require.Program("docker") })
        {
            Assert.Equal(127, engine.Run(client, "run", "--rm", "busybox", "nosuch").ExitCode);
            var refused = engine.Run(client, "run", "--rm", "--mount", "type=bind,source=/nonexist,target=/x", "busybox", "true");
            Assert.Contains("bind source path does not exist: /nonexist", refused.Error);
            Assert.DoesNotContain("registry", refused.Error, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("pull", refused.Error, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task Registries_are_reached_by_the_configured_proxy()
    {
        Require.Program("busybox");
        // It takes one connection, and says what it was asked first.
        var proxy = Task.Run(() => engine.InNetwork("sh", "-c", "busybox timeout 50 busybox nc -l -p 3128 < /dev/null | head -n 1"));
        while (!proxy.IsCompleted)
        {
            Assert.False((await engine.PostAsync("/images/create?fromImage=registry.example/some&tag=1", seconds: 50)).Text.Contains("\"status\":\"Status:", StringComparison.Ordinal));
            await Task.Delay(100);
        }

        Assert.StartsWith("CONNECT registry.example:443 ", (await proxy).Output);
    }

    [Fact]
    public void A_container_that_does_not_run_moves_to_a_group()
    {
        engine.Hull("group", "create", "one").Ok();
        engine.Hull("group", "create", "two").Ok();
        engine.Hull("run", "-d", "--group", "one", "--name", "mover", "busybox", "sleep", "1000").Ok();
        var runs = engine.Hull("update", "--group", "two", "mover");
        Assert.NotEqual(0, runs.ExitCode);
        Assert.Contains("stop it", runs.Error);
        engine.Hull("stop", "-t", "0", "mover").Ok();
        Assert.Contains("hull group create", engine.Hull("update", "--group", "nobody", "mover").Error);
        engine.Hull("update", "--group", "two", "mover").Ok();
        engine.Hull("start", "mover").Ok();
        Assert.Contains($"{engine.CgroupParent}/group-two/", File.ReadAllText($"/proc/{engine.Hull("inspect", "-f", "{{.State.Pid}}", "mover").Ok().Trimmed}/cgroup"));
        engine.Hull("group", "rm", "one").Ok();
        engine.Hull("stop", "-t", "0", "mover").Ok();
        engine.Hull("update", "--group", "", "mover").Ok();
        engine.Hull("group", "rm", "two").Ok();
        engine.Hull("start", "mover").Ok();
    }

    private async Task RefusedAsync(int status, string words, string request)
    {
        var body = JsonNode.Parse(request)!.AsObject();
        body["Image"] ??= "busybox";
        body["Cmd"] ??= new JsonArray("true");
        var answer = await engine.PostAsync("/containers/create", body);
        if (answer.Succeeded) answer = await engine.PostAsync($"/containers/{answer.Json["Id"]}/start");
        Assert.Equal((status, request), (answer.Status, request));
        Assert.Contains(words, answer.Text);
    }
}
