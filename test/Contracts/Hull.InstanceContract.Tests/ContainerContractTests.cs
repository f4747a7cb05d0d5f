using Hull.Engine;
using Hull.Engine.Drivers.Container;

namespace Hull.InstanceContract.Tests;

/// <summary>The contract over containers by an installed OCI program.</summary>
public sealed class RuncContractTests : InstanceContract
{
    protected override Task<EngineHost> StartEngineAsync()
    {
        Hull.Testing.Require.Program("runc");
        return EngineHost.StartAsync(
            options => new EngineParts { Drivers = [new ContainerDriver(options)] }, options => options with { DefaultRuntime = "runc" });
    }
}

/// <summary>The contract over containers by Hull's own runtime.</summary>
public sealed class HullContractTests : InstanceContract
{
    protected override Task<EngineHost> StartEngineAsync() =>
        EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] });

    [Fact]
    public async Task An_init_comes_first_when_asked_for_and_hands_codes_on()
    {
        Hull.Testing.Repository.Executable("hull-init");
        var config = Host.Config("sh", "-c", "cat /proc/1/comm; (sleep 0.01 &); exit 6") with { Init = true };
        Assert.Equal((6, "hull-init\n", ""), await Host.CompleteAsync(config));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("bzip2")]
    [InlineData("xz")]
    [InlineData("zstd")]
    public async Task Archives_may_be_packed(string program)
    {
        Hull.Testing.Require.Program(program);
        using var directory = new Hull.Testing.TemporaryDirectory("packed");
        Hull.Testing.Command.Shell($"cd {directory.Path} && echo hello > file && tar -c file | {program} > archive").Ok();
        var id = await Host.CreateAsync("cat", "/home/file");
        await using var archive = File.OpenRead(directory["archive"]);
        await Host.Engine.Workloads.WriteArchiveAsync(id, new Hull.Engine.Workloads.ArchivePutRequest("/home"), archive, default);
        Assert.Equal(6, (await Host.Engine.Workloads.StatPathAsync(id, "/home/file", default)).Size);
    }

    [Fact]
    public async Task A_child_that_is_killed_for_memory_is_announced_while_the_rest_runs_on()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var events = Host.Engine.Events.SubscribeAsync(new Hull.Engine.Events.EventFilter(), limit.Token);
        var config = Host.Config("sh", "-c", "sh -c 'x=a; while :; do x=$x$x; done'; sleep 600") with
        {
            Resources = new Hull.Engine.Drivers.ResourceLimits { Memory = 16L << 20, MemorySwap = 16L << 20 },
        };
        var id = await Host.RunAsync(config);
        await using var reader = events.GetAsyncEnumerator();
        Assert.Contains("start", await UntilAsync("oom"));
        Assert.True((await Host.InspectAsync(id)).State.IsRunning);
        await Host.Engine.Workloads.StopAsync(id, new Hull.Engine.Workloads.StopRequest("KILL"), default);
        Assert.True((await Host.InspectAsync(id)).State.OutOfMemory);
        // Told once: the end of the container does not repeat it.
        Assert.DoesNotContain("oom", await UntilAsync("die"));

        async Task<List<string>> UntilAsync(string action)
        {
            var actions = new List<string>();
            while (await reader.MoveNextAsync() && (reader.Current.Id != id || reader.Current.Action != action)) actions.Add(reader.Current.Action);
            return actions;
        }
    }
}
