using System.Net.Sockets;
using System.Text;
using Hull.Api.Docker;
using Hull.Api.Tests.Support;

namespace Hull.Api.Tests;

/// <summary>Connections that become streams: what Docker's clients do with attach and exec.</summary>
public sealed class HijackTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OutputGoesOnAfterTheClientHalfCloses(bool upgrade)
    {
        await using var api = new ApiFixture();
        var id = await StartInteractiveAsync(api);
        var headers = upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : "";
        using var socket = api.Raw($"POST /v1.41/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\n\r\n");
        socket.Send("typed"u8);
        socket.Shutdown(SocketShutdown.Send);
        var answer = ApiFixture.ReadAll(socket);
        Assert.StartsWith(upgrade ? "HTTP/1.1 101 " : "HTTP/1.1 200 OK\r\n", answer);
        Assert.Contains("Content-Type: application/vnd.docker.raw-stream\r\n", answer);
        Assert.Contains(Latin(StreamFraming.Frame(1, "hello\n"u8)), answer);
        Assert.Contains(Latin(StreamFraming.Frame(2, "typed"u8)), answer);
        Assert.Contains(Latin(StreamFraming.Frame(1, "after 4\n"u8)), answer);
        Assert.EndsWith(Latin(StreamFraming.Frame(1, "bye\n"u8)), answer);
    }

    [Fact]
    public async Task NewClientsAreToldThatTheStreamIsMultiplexed()
    {
        await using var api = new ApiFixture();
        var id = await StartInteractiveAsync(api);
        using var socket = api.Raw($"POST /v1.42/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
        socket.Shutdown(SocketShutdown.Send);
        Assert.Contains("Content-Type: application/vnd.docker.multiplexed-stream\r\n", ApiFixture.ReadAll(socket));
    }

    [Fact]
    public async Task AStoppingServerDoesNotWaitForStreams()
    {
        await using var api = new ApiFixture();
        var id = await StartInteractiveAsync(api);
        using var socket = api.Raw($"POST /v1.42/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
        Assert.Equal(4, socket.Receive(new byte[4], SocketFlags.None));
        var patience = TimeSpan.FromSeconds(60);
        var started = TimeProvider.System.GetTimestamp();
        await api.StopAsync(patience);
        Assert.True(TimeProvider.System.GetElapsedTime(started) < patience / 2, "the attached client was waited for");
    }

    [Fact]
    public async Task TerminalsAreNotFramed()
    {
        await using var api = new ApiFixture();
        var id = await StartInteractiveAsync(api, "\"Tty\":true,");
        using var socket = api.Raw($"POST /v1.51/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
        socket.Shutdown(SocketShutdown.Send);
        var answer = ApiFixture.ReadAll(socket);
        Assert.Contains("Content-Type: application/vnd.docker.raw-stream\r\n", answer);
        Assert.Contains("\r\n\r\nhello\nafter 0\n", answer);
    }

    [Fact]
    public async Task AMissingContainerIsAnAnswerAndNotAStream()
    {
        await using var api = new ApiFixture();
        using var socket = api.Raw("POST /v1.51/containers/nope/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: tcp\r\n\r\n");
        var answer = ApiFixture.ReadAll(socket);
        Assert.StartsWith("HTTP/1.1 404 ", answer);
        Assert.Contains("{\"message\":\"No such container: nope\"}", answer);
    }

    [Fact]
    public async Task RunIsOneRoundTripThatEndsWithTheExitCode()
    {
        await using var api = new ApiFixture();
        using var client = api.Client();
        using var stream = client.Hijack("/hull/v1/run?attach=stdin,stdout,stderr", "{\"Image\":\"busybox\",\"OpenStdin\":true}"u8.ToArray(), raw: true);
        stream.Write("x"u8);
        stream.FinishWriting();
        var bytes = ReadToEnd(stream);
        Assert.Equal(64, stream.Header("Hull-Workload")!.Length);
        Assert.Equal(new byte[] { 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 7 }, bytes[^12..]);
    }

    [Fact]
    public async Task RunLeavesNothingWhenTheCommandCannotBeExecuted()
    {
        await using var api = new ApiFixture();
        using var client = api.Client();
        var failure = Assert.Throws<Core.HullException>(() => client.Hijack("/hull/v1/run",
            "{\"Image\":\"busybox\",\"Cmd\":[\"missing\"],\"HostConfig\":{\"AutoRemove\":true}}"u8.ToArray(), raw: true));
        Assert.Contains("executable file not found in $PATH", failure.Message);
        Assert.Empty(api.Engine.All);
    }

    [Fact]
    public async Task ManyIdleAttachesDoNotStopTheEngineFromAnswering()
    {
        await using var api = new ApiFixture();
        var id = await StartInteractiveAsync(api);
        var sockets = Enumerable.Range(0, 200).Select(_ =>
            api.Raw($"POST /v1.51/containers/{id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")).ToList();
        using var http = api.Http();
        Assert.Equal("OK", await http.GetStringAsync("_ping"));
        foreach (var socket in sockets) socket.Dispose();
        Assert.Equal("OK", await http.GetStringAsync("_ping"));
    }

    private static async Task<string> StartInteractiveAsync(ApiFixture api, string more = "")
    {
        using var http = api.Http();
        var content = new StringContent("{" + more + "\"Image\":\"busybox\",\"OpenStdin\":true}", Encoding.UTF8, "application/json");
        Assert.Equal(201, (int)(await http.PostAsync("containers/create", content)).StatusCode);
        var id = api.Engine.All.Keys.Single();
        Assert.Equal(204, (int)(await http.PostAsync($"containers/{id}/start", null)).StatusCode);
        return id;
    }

    private static byte[] ReadToEnd(Client.HijackedStream stream)
    {
        using var all = new MemoryStream();
        var buffer = new byte[4096];
        int count;
        while ((count = stream.Read(buffer)) > 0) all.Write(buffer, 0, count);
        return all.ToArray();
    }

    private static string Latin(byte[] bytes) => Encoding.Latin1.GetString(bytes);
}
