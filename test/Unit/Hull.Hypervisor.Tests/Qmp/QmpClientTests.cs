using System.Net.Sockets;
using Hull.Core;
using Hull.Hypervisor.Qmp;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Tests.Qmp;

public class QmpClientTests
{
    private static async Task<QmpClient> ConnectAsync(ScriptedMonitor monitor)
    {
        var greeting = monitor.GreetAsync();
        var client = await QmpClient.ConnectAsync(monitor.Client);
        await greeting;
        return client;
    }

    [Fact]
    public async Task Negotiates_and_reads_the_version()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        Assert.Equal(new QmpVersion(7, 2, 22, "Debian 1:7.2"), client.Version);
        Assert.True(client.Version.AtLeast(7, 2));
        Assert.False(client.Version.AtLeast(9));
    }

    /// <summary>As of a monitor that is killed while it is being asked: what it had not read yet resets the connection.</summary>
    [Fact]
    public async Task One_that_goes_before_it_greets_is_unavailable()
    {
        var (near, far) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
        Assert.Equal(1, SocketCalls.Send(near.Value, "x"u8));
        far.Dispose();
        var stream = new NetworkStream(new Socket(new SafeSocketHandle(near.Release(), ownsHandle: true)), ownsSocket: true);
        var failure = await Assert.ThrowsAsync<HullException>(() => QmpClient.ConnectAsync(stream));
        Assert.Equal(ErrorKind.Unavailable, failure.Kind);
    }

    [Fact]
    public async Task Matches_answers_by_id_whatever_their_order()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        var balloon = client.ExecuteAsync(QmpCommands.QueryBalloon());
        Assert.Equal("""{"execute":"query-balloon","id":2}""", await monitor.HearAsync());
        var status = client.ExecuteAsync(QmpCommands.QueryStatus());
        Assert.Equal("""{"execute":"query-status","id":3}""", await monitor.HearAsync());
        await monitor.SayAsync("""{"return": {"status": "paused", "singlestep": false, "running": false}, "id": 3}""");
        await monitor.SayAsync("""{"return": {"actual": 268435456}, "id": 2}""");
        Assert.Equal(new RunState("paused", false), await status);
        Assert.Equal(268435456, await balloon);
    }

    [Fact]
    public async Task Events_between_a_request_and_its_answer_reach_subscriptions_only()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        using var events = client.Subscribe();
        var stop = client.ExecuteAsync(QmpCommands.Stop());
        await monitor.HearAsync();
        await monitor.SayAsync("""{"event": "STOP", "timestamp": {"seconds": 1700000000, "microseconds": 5}}""");
        await monitor.SayAsync("""{"return": {}, "id": 2}""");
        await stop;
        var stopped = await events.WaitAsync("STOP");
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1700000000).AddMicroseconds(5), stopped.Time);
    }

    [Theory]
    [InlineData("GenericError", ErrorKind.Internal)]
    [InlineData("DeviceNotFound", ErrorKind.NotFound)]
    [InlineData("CommandNotFound", ErrorKind.Unsupported)]
    public async Task Refusals_name_the_command(string errorClass, ErrorKind kind)
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        var delete = client.ExecuteAsync(QmpCommands.DeviceDelete("disk9"));
        Assert.Equal("""{"execute":"device_del","arguments":{"id":"disk9"},"id":2}""", await monitor.HearAsync());
        await monitor.SayAsync($$$"""{"id": 2, "error": {"class": "{{{errorClass}}}", "desc": "Device 'disk9' not found"}}""");
        var failure = await Assert.ThrowsAsync<HullException>(() => delete);
        Assert.Equal(kind, failure.Kind);
        Assert.Equal("qemu refused device_del: Device 'disk9' not found", failure.Message);
    }

    [Fact]
    public async Task A_monitor_that_goes_away_fails_everything_that_waits()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        using var events = client.Subscribe();
        var pending = client.ExecuteAsync(QmpCommands.QueryStatus());
        await monitor.HearAsync();
        monitor.HangUp();
        Assert.Equal(ErrorKind.Unavailable, (await Assert.ThrowsAsync<HullException>(() => pending)).Kind);
        Assert.Equal(ErrorKind.Unavailable, (await Assert.ThrowsAsync<HullException>(() => events.WaitAsync("STOP"))).Kind);
        await client.Closed;
        var late = await Assert.ThrowsAsync<HullException>(() => client.ExecuteAsync(QmpCommands.QueryStatus()));
        Assert.Equal(ErrorKind.Unavailable, late.Kind);
    }

    [Fact]
    public async Task No_answer_is_a_timeout()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        var failure = await Assert.ThrowsAsync<HullException>(
            () => client.ExecuteAsync(QmpCommands.QueryStatus(), TimeSpan.FromMilliseconds(20)));
        Assert.Equal(ErrorKind.Timeout, failure.Kind);
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2")]
    [InlineData("""{"QMP": {}}""")]
    public async Task What_is_not_a_monitor_is_refused(string greeting)
    {
        await using var monitor = new ScriptedMonitor();
        await monitor.SayAsync(greeting);
        var failure = await Assert.ThrowsAsync<HullException>(() => QmpClient.ConnectAsync(monitor.Client));
        Assert.Equal(ErrorKind.DataCorrupted, failure.Kind);
    }

    [Fact]
    public async Task Messages_longer_than_the_first_buffer_arrive_whole()
    {
        await using var monitor = new ScriptedMonitor();
        await using var client = await ConnectAsync(monitor);
        var schema = client.ExecuteAsync(QmpCommands.QuerySchema());
        await monitor.HearAsync();
        var entries = string.Join(',', Enumerable.Range(0, 5000).Select(i => $$"""{"name": "{{i}}"}"""));
        _ = monitor.SayAsync($$"""{"return": [{{entries}}], "id": 2}""");
        Assert.Equal(5000, (await schema).GetArrayLength());
    }
}
