using Hull.Engine;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Events;
using Hull.Engine.Workloads;
using Hull.InstanceContract.Tests;

namespace Hull.EngineFaults.Tests;

/// <summary>The machine's clock is set while workloads run: what is meant to last a while lasts that while.</summary>
public sealed class ClockTests
{
    private static readonly TimeSpan s_day = TimeSpan.FromDays(1);

    [Theory, InlineData(1), InlineData(-1)]
    public async Task Health_restarts_waits_and_logs_do_not_mind(int direction)
    {
        var clock = new SetClock();
        await using var host = await EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)], Clock = clock });
        var id = await host.RunAsync(host.Config("sh", "-c", "echo before; sleep 600") with
        {
            Health = new HealthConfig { Test = ["CMD", "false"], Interval = TimeSpan.FromMilliseconds(100), StartInterval = TimeSpan.FromMilliseconds(100), StartPeriod = TimeSpan.FromSeconds(4), Retries = 2 },
        });
        var started = Environment.TickCount64;
        var failing = await host.RunAsync(host.Config("false") with { Restart = new RestartPolicy("always") });
        await EngineHost.EventuallyAsync(async () => (await host.InspectAsync(id)).State.Health?.Log.Count > 0, "the first check");
        clock.Offset = direction * s_day;

        // The start period neither ends nor begins anew.
        await EngineHost.EventuallyAsync(async () => (await host.InspectAsync(id)).State.Health?.Status == "unhealthy", "the end of the start period");
        Assert.InRange(Environment.TickCount64 - started, 3900, 50_000);
        // A policy goes on.
        var count = (await host.InspectAsync(failing)).State.RestartCount;
        await EngineHost.EventuallyAsync(async () => (await host.InspectAsync(failing)).State.RestartCount > count, "another restart");
        // Logs are read, and a reader that follows until a time of the new clock ends.
        Assert.Equal("before\n", await host.LogsAsync(id));
        var until = clock.GetUtcNow() + TimeSpan.FromMilliseconds(300);
        await host.LogsAsync(id, new LogQuery { Follow = true, Until = until }).WaitAsync(TimeSpan.FromSeconds(30));
        // An exec that has just ended is still known.
        Assert.Equal((0, "in\n", ""), await host.ExecAsync(id, "echo", "in"));
        await foreach (var _ in host.Engine.Events.SubscribeAsync(new EventFilter { Until = clock.GetUtcNow() + TimeSpan.FromMilliseconds(300) }, default).WithCancellation(Limit()))
        {
            // Ends by itself.
        }

        using var wait = host.Engine.Workloads.Wait(id, WaitCondition.NotRunning);
        await host.Engine.Workloads.StopAsync(id, new StopRequest("KILL"), default);
        Assert.Equal(137, (await wait.Completion.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode);
    }

    private static CancellationToken Limit() => new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token;

    /// <summary>The machine's clock, which the test sets; what has passed is counted by another, as in the kernel.</summary>
    private sealed class SetClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
    }
}
