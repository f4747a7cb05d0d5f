using Hull.Engine;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Workloads;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>What happens between the start of a container's process and the end of the request that asked for it.</summary>
public sealed class SlowStartTests
{
    [Fact]
    public async Task Following_the_log_meanwhile_misses_nothing()
    {
        using var directory = new TemporaryDirectory("slow");
        var runtime = directory["runtime"];
        // A runtime whose start has long happened when it says so.
        File.WriteAllText(runtime,
            $"""
            #!/bin/sh
            '{Repository.Executable("hull-runtime")}' "$@" || exit
            case " $* " in *" start "*) for i in $(seq 2000); do [ -e '{directory["go"]}' ] && break; sleep 0.02; done ;; esac

            """);
        File.SetUnixFileMode(runtime, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await using var host = await EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] }, options => options with
        {
            DefaultRuntime = "slow",
            Runtimes = new Dictionary<string, RuntimeOption> { ["slow"] = new(runtime, []) },
        });
        var id = await host.CreateAsync("sh", "-c", "echo first; sleep 4; echo last");
        var starting = host.Engine.Workloads.StartAsync(id, default);
        await EngineHost.EventuallyAsync(async () => (await host.LogsAsync(id)).StartsWith("first\n", StringComparison.Ordinal), "the first line");
        Assert.False((await host.InspectAsync(id)).State.IsRunning);

        var following = host.LogsAsync(id, new LogQuery { Follow = true });
        await Task.Delay(200);
        File.WriteAllText(directory["go"], "");
        await starting;

        Assert.Equal("first\nlast\n", await following);
    }
}
