using System.Text;
using Hull.Api.Http;
using Hull.Api.Tests.Support;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Logs;
using Hull.Protocol;

namespace Hull.Api.Tests;

/// <summary>Versions, headers, filters, errors and mappings over the real server.</summary>
public sealed class RequestTests
{
    [Theory]
    [InlineData("/v1.24/_ping", 200)]
    [InlineData("/v1.22/_ping", 200)]
    [InlineData("/v1.51/_ping", 200)]
    [InlineData("/_ping", 200)]
    [InlineData("/v1.52/_ping", 400)]
    [InlineData("/v1.12/_ping", 400)]
    [InlineData("/v1.51/nothing", 404)]
    public async Task VersionsAreHeldToWhatIsSpoken(string path, int status)
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        var answer = await http.GetAsync(path);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal("1.51", answer.Headers.GetValues("Api-Version").Single());
        Assert.Equal("linux", answer.Headers.GetValues("Ostype").Single());
        Assert.Matches(@"^Docker/.+ \(linux\)$", answer.Headers.GetValues("Server").First() + " " + string.Join(' ', answer.Headers.GetValues("Server").Skip(1)));
    }

    [Fact]
    public async Task TransfersKeepTheBoundsThatAreConfiguredNow()
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        foreach (var bounds in new[] { new TransferBounds(1, 2, 3), new TransferBounds(7, 8, 9) })
        {
            api.Transfers = bounds;
            await http.PostAsync("/images/create?fromImage=busybox&tag=latest", null);
            await http.PostAsync("/images/busybox/push?tag=latest", null);
            Assert.Equal(bounds, new TransferBounds(api.Images.LastPull!.Parallelism, api.Images.LastPushParallelism, api.Images.LastPull.Attempts));
        }
    }

    [Fact]
    public async Task ANewerClientIsToldInTheWordsItLooksFor()
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        var text = await (await http.GetAsync("/v1.99/info")).Content.ReadAsStringAsync();
        Assert.Equal("{\"message\":\"client version 1.99 is too new. Maximum supported API version is 1.51\"}", text);
    }

    [Theory]
    [InlineData("{\"label\":[\"a=b\"]}")]
    [InlineData("{\"label\":{\"a=b\":true}}")]
    public async Task FiltersComeInBothForms(string filters)
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        Assert.Equal(200, (int)(await http.GetAsync("/containers/json?filters=" + Uri.EscapeDataString(filters))).StatusCode);
        Assert.Equal(["a=b"], api.Engine.LastFilter!.Labels);
    }

    [Theory]
    [InlineData("{\"nonsense\":[\"x\"]}")]
    [InlineData("[1,2")]
    [InlineData("{\"label\":7}")]
    public async Task BadFiltersAreRefused(string filters)
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        Assert.Equal(400, (int)(await http.GetAsync("/containers/json?filters=" + Uri.EscapeDataString(filters))).StatusCode);
    }

    [Fact]
    public async Task AReadOnlyCallerChangesNothing()
    {
        await using var api = new ApiFixture(new AccessScope("auditor", ReadOnly: true));
        using var http = api.Http();
        Assert.Equal(200, (int)(await http.GetAsync("/containers/json")).StatusCode);
        var refused = await http.PostAsync("/containers/create", new StringContent("{\"Image\":\"busybox\"}", Encoding.UTF8, "application/json"));
        Assert.Equal(403, (int)refused.StatusCode);
        Assert.Empty(api.Engine.All);
    }

    [Fact]
    public async Task TheSwitchBetweenContainerAndVirtualMachineIsTheCallers()
    {
        await using var api = new ApiFixture();
        Assert.Equal(201, await CreateAsync(api, "{\"Image\":\"busybox\",\"HostConfig\":{\"Isolation\":\"vm\",\"Annotations\":{\"vm.memory\":\"512\"}}}"));
        Assert.Equal("vm", api.Engine.LastConfig!.Isolation);
        Assert.Equal("512", api.Engine.LastConfig.IsolationOptions["vm.memory"]);
        Assert.Equal(201, await CreateAsync(api, "{\"Image\":\"busybox\",\"HostConfig\":{\"Runtime\":\"vm\"}}"));
        Assert.Equal("vm", api.Engine.LastConfig.Isolation);
        Assert.Null(api.Engine.LastConfig.Runtime);
        Assert.Equal(400, await CreateAsync(api, "{\"Image\":\"busybox\",\"HostConfig\":{\"Isolation\":\"moon\"}}"));
    }

    [Fact]
    public async Task PortsMountsAndLimitsArriveInTheEnginesWords()
    {
        await using var api = new ApiFixture();
        Assert.Equal(201, await CreateAsync(api, """
            {"Image":"busybox","Cmd":"sh","Env":null,"ExposedPorts":{"80/tcp":{}},"HostConfig":{
              "Memory":67108864,"NanoCpus":500000000,"PidsLimit":null,"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},
              "PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}],"53/udp":[{"HostIp":"127.0.0.2","HostPort":"5300-5310"}]},
              "Binds":["/srv:/data:ro,rshared","cache:/cache:nocopy"],"Tmpfs":{"/run":"size=1m"}}}
            """));
        var config = api.Engine.LastConfig!;
        Assert.Equal(["sh"], config.Process.Command!);
        Assert.Equal(67108864, config.Resources.Memory);
        Assert.Null(config.Resources.PidsLimit);
        Assert.Equal(("on-failure", 3), (config.Restart.Name, config.Restart.MaximumRetries));
        Assert.Contains(config.Networking.Ports, p => p is { ContainerPort: 80, HostAddress: null, HostPort: 8080 });
        Assert.Contains(config.Networking.Ports, p => p is { ContainerPort: 53, Protocol: "udp", HostAddress: "127.0.0.2", HostPort: 5300, HostPortEnd: 5310 });
        Assert.Contains(config.Mounts, m => m is { Type: "bind", Source: "/srv", ReadOnly: true, Propagation: "rshared", CreateSource: true });
        Assert.Contains(config.Mounts, m => m is { Type: "volume", Source: "cache", NoCopy: true });
        Assert.Contains(config.Mounts, m => m is { Type: "tmpfs", Target: "/run" });
    }

    [Theory]
    [InlineData("{\"Image\":\"busybox\",\"HostConfig\":{\"Binds\":[\"relative/x:/data\"]", 400)]
    [InlineData("{\"Image\":\"busybox\",\"HostConfig\":{\"Binds\":[\"/a:/d\",\"/b:/d\"]}}", 400)]
    [InlineData("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":1000}}", 400)]
    [InlineData("{\"Image\":\"busybox\",\"HostConfig\":{\"PortBindings\":{\"99999/tcp\":[{}]}}}", 400)]
    [InlineData("{\"Image\":\"busybox\",\"HostConfig\":{\"DeviceRequests\":[{\"Count\":-1}]}}", 501)]
    [InlineData("{\"Image\":\"nowhere\"}", 404)]
    [InlineData("{\"Image\":17}", 400)]
    [InlineData("[]", 400)]
    [InlineData("", 400)]
    public async Task BadRequestsAreAnsweredAndLeaveNothing(string body, int status)
    {
        await using var api = new ApiFixture();
        Assert.Equal(status, await CreateAsync(api, body));
        Assert.Empty(api.Engine.All);
    }

    [Fact]
    public async Task InspectShowsWhatWasAskedForAndMissesNoMember()
    {
        await using var api = new ApiFixture();
        await CreateAsync(api, "{\"Image\":\"busybox\",\"HostConfig\":{\"Dns\":[\"10.0.0.1\"],\"GroupAdd\":[\"7\"]}}");
        using var client = api.Client();
        var inspect = client.Get($"/containers/{api.Engine.All.Keys.Single()}/json", DockerJson.Wire.ContainerInspect);
        Assert.Equal(["10.0.0.1"], inspect.HostConfig.Dns!);
        Assert.Equal(["7"], inspect.HostConfig.GroupAdd!);
        Assert.Equal("bridge", inspect.HostConfig.NetworkMode);
        Assert.Equal("hull", inspect.HostConfig.Runtime);
        Assert.Equal("created", inspect.State.Status);
        Assert.Equal("0001-01-01T00:00:00Z", inspect.State.StartedAt);
    }

    [Fact]
    public async Task LogsAreFramedWithTimesBeforeTheLines()
    {
        await using var api = new ApiFixture();
        await CreateAsync(api, "{\"Image\":\"busybox\"}");
        api.Engine.Log.Add(new LogEntry(DateTimeOffset.UnixEpoch.AddTicks(1234567), OutputStream.Error, "bad\n"u8.ToArray()));
        using var http = api.Http();
        var bytes = await http.GetByteArrayAsync($"/v1.41/containers/{api.Engine.All.Keys.Single()}/logs?stdout=1&stderr=1&timestamps=1&tail=5&since=10m");
        Assert.Equal("\u0002\0\0\0\0\0\0\u0023" + "1970-01-01T00:00:00.123456700Z bad\n", Encoding.Latin1.GetString(bytes));
        Assert.Equal(5, api.Engine.LastLogQuery!.Tail);
        Assert.Equal(400, (int)(await http.GetAsync($"/containers/{api.Engine.All.Keys.Single()}/logs")).StatusCode);
    }

    [Fact]
    public async Task AFailedPullIsAMessageInTheStream()
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        var answer = await http.PostAsync("/images/create?fromImage=broken&tag=1", null);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Contains("\"status\":\"Downloading\"", text);
        Assert.Contains("\"errorDetail\":{\"message\":\"layer abc is not what its digest says\"}", text);
    }

    [Fact]
    public async Task WaitAnswersItsHeaderBeforeTheContainerIsStarted()
    {
        await using var api = new ApiFixture();
        await CreateAsync(api, "{\"Image\":\"busybox\"}");
        var id = api.Engine.All.Keys.Single();
        using var http = api.Http();
        var answer = await http.SendAsync(new HttpRequestMessage(HttpMethod.Post, $"/v1.51/containers/{id}/wait?condition=next-exit"), HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Equal(204, (int)(await http.PostAsync($"/containers/{id}/start", null)).StatusCode);
        Assert.Equal("{\"StatusCode\":0}", (await answer.Content.ReadAsStringAsync()).Trim());
    }

    [Fact]
    public async Task StoppingWhatDoesNotRunChangesNothing()
    {
        await using var api = new ApiFixture();
        await CreateAsync(api, "{\"Image\":\"busybox\"}");
        using var http = api.Http();
        Assert.Equal(304, (int)(await http.PostAsync($"/containers/{api.Engine.All.Keys.Single()}/stop", null)).StatusCode);
    }

    [Theory]
    [InlineData("/services", 503)]
    [InlineData("/plugins", 501)]
    [InlineData("/images/search?term=x", 501)]
    public async Task WhatIsAbsentSaysWhy(string path, int status)
    {
        await using var api = new ApiFixture();
        using var http = api.Http();
        var answer = await http.GetAsync(path);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Contains("\"message\":\"", await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("1h30m", 5400)]
    [InlineData("1.5s", 1.5)]
    [InlineData("100ms", 0.1)]
    public void DurationsAreThoseOfGo(string text, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), GoDuration.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("5 s")]
    [InlineData("s")]
    public void WhatIsNoDurationIsRefused(string text) => Assert.Throws<HullException>(() => GoDuration.Parse(text));

    private static async Task<int> CreateAsync(ApiFixture api, string body)
    {
        using var http = api.Http();
        return (int)(await http.PostAsync("/containers/create", new StringContent(body, Encoding.UTF8, "application/json"))).StatusCode;
    }
}
