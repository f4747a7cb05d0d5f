using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Every attempt to step out of a scope is refused, and written down.</summary>
public sealed class AccessFixture : IDisposable
{
    private readonly TemporaryDirectory scratch = new("scope");

    public AccessFixture()
    {
        BusyboxRoot.Make(scratch["root"]);
        Engine = new EngineDaemon(["--config-file", scratch["config.json"], "--audit-log", AuditLog], prepare: directory => File.WriteAllText(scratch["config.json"], $$"""
            {"access":[
              {"name":"reader","token-sha256":"{{Sha("read")}}","read-only":true},
              {"name":"shop","token-sha256":"{{Sha("shop")}}","project":"shop"},
              {"name":"team","token-sha256":"{{Sha("team")}}","label":"team=a","read-only":true},
              {"name":"monitor","socket":"{{directory}}/ro","read-only":true}]}
            """));
        Engine.Import(scratch["root"]);
        foreach (var (name, label) in new[] { ("own", "shop"), ("foreign", "bank") })
        {
            Create(name, new JsonObject { ["com.docker.compose.project"] = label });
            Engine.PostAsync($"/containers/{name}/start").GetAwaiter().GetResult().Ok();
            Engine.PostAsync("/volumes/create", new JsonObject { ["Name"] = name, ["Labels"] = new JsonObject { ["com.docker.compose.project"] = label } }).GetAwaiter().GetResult().Ok();
            Engine.PostAsync("/networks/create", new JsonObject { ["Name"] = name, ["Labels"] = new JsonObject { ["com.docker.compose.project"] = label } }).GetAwaiter().GetResult().Ok();
        }
    }

    public EngineDaemon Engine { get; }

    public string AuditLog => scratch["audit"];

    public void Dispose()
    {
        Engine.Token = null;
        Engine.Dispose();
        scratch.Dispose();
    }

    private void Create(string name, JsonObject labels) => Engine.PostAsync($"/containers/create?name={name}",
        new JsonObject { ["Image"] = "busybox", ["Cmd"] = new JsonArray("sleep", "6000"), ["Labels"] = labels }).GetAwaiter().GetResult().Ok();

    private static string Sha(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}

public sealed class AccessTests(AccessFixture fixture) : IClassFixture<AccessFixture>
{
    private EngineDaemon As(string? token)
    {
        fixture.Engine.Token = token;
        return fixture.Engine;
    }

    [Fact]
    public async Task A_token_nobody_gave_out_lets_nobody_in()
    {
        Assert.Equal(401, (await As("guess").GetAsync("/containers/json")).Status);
        Assert.Equal(401, (await As("guess").GetAsync("/_ping")).Status);
    }

    [Theory]
    [InlineData("POST", "/containers/own/stop")]
    [InlineData("POST", "/containers/own/exec")]
    [InlineData("POST", "/containers/own/attach")]
    [InlineData("PUT", "/containers/own/archive?path=/")]
    [InlineData("DELETE", "/containers/own")]
    [InlineData("POST", "/containers/create")]
    [InlineData("POST", "/images/create?fromImage=x")]
    [InlineData("DELETE", "/images/busybox")]
    [InlineData("POST", "/volumes/prune")]
    [InlineData("POST", "/networks/create")]
    [InlineData("POST", "/hull/v1/run")]
    public async Task A_reader_changes_nothing(string method, string path)
    {
        Assert.Equal(200, (await As("read").GetAsync("/containers/own/json")).Status);
        var answer = await As("read").SendAsync(method, path);
        Assert.Equal(403, answer.Status);
        Assert.Contains("may only read", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_label_shows_only_what_carries_it()
    {
        foreach (var list in new[] { "/containers/json?all=1", "/networks", "/volumes", "/containers/json?all=1&filters=%7B%22name%22%3A%5B%22foreign%22%5D%7D" })
        {
            var text = (await As("shop").GetAsync(list)).Ok().Text;
            Assert.DoesNotContain("foreign", text, StringComparison.Ordinal);
        }

        Assert.Contains("/own", (await As("shop").GetAsync("/containers/json")).Text, StringComparison.Ordinal);
        Assert.Equal("[]", (await As("team").GetAsync("/containers/json?all=1")).Text);
    }

    [Theory]
    [InlineData("GET", "/containers/foreign/json", 404)]
    [InlineData("GET", "/containers/foreign/logs?stdout=1", 404)]
    [InlineData("POST", "/containers/foreign/kill", 404)]
    [InlineData("DELETE", "/containers/foreign?force=1", 404)]
    [InlineData("POST", "/containers/foreign/exec", 404)]
    [InlineData("GET", "/containers/foreign/archive?path=/etc", 404)]
    [InlineData("GET", "/networks/foreign", 404)]
    [InlineData("GET", "/networks/bridge", 404)]
    [InlineData("DELETE", "/networks/foreign", 404)]
    [InlineData("GET", "/volumes/foreign", 404)]
    [InlineData("DELETE", "/volumes/foreign", 404)]
    [InlineData("GET", "/hull/v1/volumes/foreign/snapshots", 404)]
    [InlineData("POST", "/hull/v1/volumes/foreign/clone", 404)]
    [InlineData("GET", "/hull/v1/volumes/foreign/backup", 404)]
    [InlineData("PUT", "/hull/v1/volumes/foreign/backup", 404)]
    [InlineData("PUT", "/hull/v1/volumes/outside/backup?opt=device=/&opt=type=none&opt=o=bind", 403)]
    [InlineData("DELETE", "/hull/v1/volumes/foreign/snapshots/one", 404)]
    [InlineData("POST", "/hull/v1/workloads/foreign/fork", 404)]
    [InlineData("GET", "/hull/v1/workloads/foreign/snapshots", 404)]
    [InlineData("POST", "/hull/v1/workloads/foreign/snapshots/one/restore", 404)]
    [InlineData("POST", "/hull/v1/exec?container=foreign", 404)]
    [InlineData("POST", "/hull/v1/exec", 404)]
    [InlineData("GET", "/hull/v1/machine-usage", 403)]
    [InlineData("GET", "/system/df", 403)]
    [InlineData("GET", "/metrics", 403)]
    [InlineData("POST", "/commit?container=own", 403)]
    [InlineData("DELETE", "/images/busybox", 403)]
    [InlineData("POST", "/images/load", 403)]
    [InlineData("GET", "/hull/v1/doctor", 403)]
    [InlineData("GET", "/hull/v1/machines", 403)]
    [InlineData("GET", "/hull/v1/groups", 403)]
    [InlineData("GET", "/hull/v1/allocations", 403)]
    [InlineData("DELETE", "/hull/v1/groups/any", 403)]
    [InlineData("POST", "/auth", 403)]
    public async Task A_label_is_not_stepped_out_of_by_path(string method, string path, int status)
    {
        var answer = await As("shop").SendAsync(method, path);
        Assert.True(answer.Status == status, $"{answer.Status}: {answer.Text}");
        Assert.True((bool)(await As(null).GetAsync("/containers/foreign/json")).Json["State"]!["Running"]!);
    }

    [Theory]
    [InlineData("""{"Privileged":true}""")]
    [InlineData("""{"privileged":true}""")]
    [InlineData("""{"Binds":["/:/host"]}""")]
    [InlineData("""{"Binds":["foreign:/v"]}""")]
    [InlineData("""{"Mounts":[{"Type":"bind","Source":"/etc","Target":"/x"}]}""")]
    [InlineData("""{"Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/"}}}}]}""")]
    [InlineData("""{"VolumesFrom":["foreign"]}""")]
    [InlineData("""{"PidMode":"host"}""")]
    [InlineData("""{"PidMode":"container:foreign"}""")]
    [InlineData("""{"NetworkMode":"host"}""")]
    [InlineData("""{"NetworkMode":"container:foreign"}""")]
    [InlineData("""{"NetworkMode":"foreign"}""")]
    [InlineData("""{"IpcMode":"host"}""")]
    [InlineData("""{"UTSMode":"host"}""")]
    [InlineData("""{"CapAdd":["SYS_ADMIN"]}""")]
    [InlineData("""{"Devices":[{"PathOnHost":"/dev/vda","PathInContainer":"/dev/vda"}]}""")]
    [InlineData("""{"SecurityOpt":["seccomp=unconfined"]}""")]
    [InlineData("""{"CgroupParent":"/"}""")]
    [InlineData("""{"Links":["foreign"]}""")]
    [InlineData("""{"LogConfig":{"Type":"syslog"}}""")]
    [InlineData("""{"MaskedPaths":["/x"]}""")]
    [InlineData("""{"Sysctls":{"kernel.core_pattern":"x"}}""")]
    [InlineData("""{"Annotations":{"vm.x":"y"}}""")]
    [InlineData("""{"Group":"any"}""")]
    [InlineData("""{"CpuReservation":100000000}""")]
    [InlineData("""{"MemoryReservation":1048576}""")]
    [InlineData("""{"Priority":100}""")]
    public async Task A_label_is_not_stepped_out_of_by_what_is_made(string hostConfig)
    {
        var before = (await As(null).GetAsync("/containers/json?all=1")).Json.AsArray().Count;
        var answer = await As("shop").PostAsync("/containers/create", new JsonObject { ["Image"] = "busybox", ["Cmd"] = new JsonArray("true"), ["HostConfig"] = JsonNode.Parse(hostConfig) });
        Assert.True(answer.Status is 403 or 404, $"{answer.Status}: {answer.Text}");
        Assert.Equal(before, (await As(null).GetAsync("/containers/json?all=1")).Json.AsArray().Count);
    }

    [Fact]
    public async Task Other_bodies_do_not_lead_out_either()
    {
        var shop = As("shop");
        Assert.Equal(403, (await shop.PostAsync("/volumes/create", new JsonObject { ["Name"] = "x", ["DriverOpts"] = new JsonObject { ["device"] = "/" } })).Status);
        Assert.Equal(404, (await shop.PostAsync("/volumes/create", new JsonObject { ["Name"] = "foreign" })).Status);
        Assert.Equal(403, (await shop.PostAsync("/networks/create", new JsonObject { ["Name"] = "x", ["Driver"] = "macvlan" })).Status);
        Assert.Equal(403, (await shop.PostAsync("/networks/create", new JsonObject { ["Name"] = "x", ["Options"] = new JsonObject { ["com.docker.network.bridge.name"] = "docker0" } })).Status);
        Assert.Equal(404, (await shop.PostAsync("/networks/own/connect", new JsonObject { ["Container"] = "foreign" })).Status);
        Assert.Equal(403, (await shop.PostAsync("/containers/own/exec", new JsonObject { ["Cmd"] = new JsonArray("true"), ["Privileged"] = true })).Status);
        Assert.Equal(403, (await shop.PostAsync("/containers/own/update", new JsonObject { ["Binds"] = new JsonArray("/:/x") })).Status);
        Assert.Equal(403, (await shop.PostAsync("/containers/own/update", new JsonObject { ["CpuReservation"] = 100000000 })).Status);
        foreach (var label in new[] { "hull.group", "hull.cpu-reservation", "hull.priority" })
            Assert.Equal(403, (await shop.PostAsync("/containers/create", new JsonObject { ["Image"] = "busybox", ["Labels"] = new JsonObject { [label] = "1" } })).Status);
        Assert.Equal(403, (await shop.PostAsync("/containers/own/update", new JsonObject { ["Labels"] = new JsonObject { ["com.docker.compose.project"] = "bank" } })).Status);
    }

    [Fact]
    public async Task Within_its_label_everything_usual_is_done_and_what_is_made_carries_it()
    {
        var shop = As("shop");
        var made = (await shop.PostAsync("/containers/create?name=mine", new JsonObject
        {
            ["Image"] = "busybox", ["Cmd"] = new JsonArray("sleep", "600"), ["Labels"] = new JsonObject { ["com.docker.compose.project"] = "bank" },
            ["HostConfig"] = new JsonObject { ["Binds"] = new JsonArray("own:/v"), ["NetworkMode"] = "own", ["Memory"] = 67108864, ["Privileged"] = false, ["CapAdd"] = null, ["PidMode"] = "" },
        })).Json;
        (await shop.PostAsync($"/containers/{made["Id"]}/start")).Ok();
        Assert.Equal("shop", (string)(await shop.GetAsync("/containers/mine/json")).Json["Config"]!["Labels"]!["com.docker.compose.project"]!);
        var exec = (await shop.PostAsync("/containers/mine/exec", new JsonObject { ["Cmd"] = new JsonArray("true"), ["AttachStdout"] = true })).Json;
        (await shop.PostAsync($"/exec/{exec["Id"]}/start", new JsonObject())).Ok();
        (await shop.PostAsync("/containers/mine/update", new JsonObject { ["CpuShares"] = 100 })).Ok();
        (await shop.SendAsync("DELETE", "/containers/mine?force=1")).Ok();
        Assert.DoesNotContain("foreign", (await shop.PostAsync("/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D")).Ok().Text, StringComparison.Ordinal);
        Assert.Equal(200, (await As(null).GetAsync("/volumes/foreign")).Status);
    }

    [Fact]
    public async Task Content_of_volumes_and_saved_workloads_are_within_the_label()
    {
        var shop = As("shop");
        (await shop.PostAsync("/volumes/create", new JsonObject { ["Name"] = "kept" })).Ok();
        (await shop.PostAsync("/hull/v1/volumes/kept/snapshots", new JsonObject { ["Name"] = "one" })).Ok();
        Assert.Equal("one", (string)(await shop.GetAsync("/hull/v1/volumes/kept/snapshots")).Json[0]!["Name"]!);
        Assert.Equal(404, (await shop.PostAsync("/hull/v1/volumes/kept/clone", new JsonObject { ["Name"] = "foreign" })).Status);
        Assert.Equal(403, (await shop.PostAsync("/hull/v1/volumes/kept/clone", new JsonObject { ["Name"] = "copy", ["DriverOpts"] = new JsonObject { ["device"] = "/" } })).Status);
        var copy = (await shop.PostAsync("/hull/v1/volumes/kept/clone", new JsonObject { ["Name"] = "copy", ["Snapshot"] = "one", ["Labels"] = new JsonObject { ["com.docker.compose.project"] = "bank" } })).Json;
        Assert.Equal("shop", (string)copy["Labels"]!["com.docker.compose.project"]!);
        (await shop.GetAsync("/hull/v1/volumes/copy/backup")).Ok();
        var restored = (await shop.SendAsync("PUT", "/hull/v1/volumes/back/backup?label=com.docker.compose.project=bank", new ByteArrayContent(new byte[1024]))).Ok().Json;
        Assert.Equal("shop", (string)restored["Labels"]!["com.docker.compose.project"]!);
        (await shop.SendAsync("DELETE", "/hull/v1/volumes/kept/snapshots/one")).Ok();
        foreach (var name in new[] { "copy", "back", "kept" }) (await shop.SendAsync("DELETE", "/volumes/" + name)).Ok();
        Assert.Equal("[]", (await shop.GetAsync("/hull/v1/workloads/own/snapshots")).Ok().Text);
        // Refused for what a container is, not for whose it is.
        Assert.Equal(501, (await shop.PostAsync("/hull/v1/workloads/own/fork", new JsonObject { ["count"] = 1 })).Status);
        Assert.Equal(200, (await As(null).GetAsync("/volumes/foreign")).Status);
    }

    [Fact]
    public async Task A_socket_of_its_own_has_its_scope()
    {
        var result = fixture.Engine.Hull("-H", "unix://" + fixture.Engine.Path + "/ro", "ps", "-q");
        Assert.NotEmpty(result.Ok().Output);
        var refused = fixture.Engine.Hull("-H", "unix://" + fixture.Engine.Path + "/ro", "kill", "own");
        Assert.Contains("'monitor' may only read", refused.Error, StringComparison.Ordinal);
        Assert.True((bool)(await As(null).GetAsync("/containers/own/json")).Json["State"]!["Running"]!);
    }

    [Fact]
    public async Task Who_was_refused_and_who_changed_what_is_written_down()
    {
        await As("shop").SendAsync("DELETE", "/containers/foreign");
        await As("shop").PostAsync("/containers/own/update", new JsonObject { ["CpuShares"] = 200 });
        var lines = await File.ReadAllLinesAsync(fixture.AuditLog);
        Assert.Contains(lines, line => line.Contains("\"who\":\"shop\"", StringComparison.Ordinal) && line.Contains("/containers/foreign", StringComparison.Ordinal) && line.Contains("refused", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains("\"who\":\"shop\"", StringComparison.Ordinal) && line.Contains("/containers/own/update", StringComparison.Ordinal) && line.Contains("allowed", StringComparison.Ordinal));
    }
}
