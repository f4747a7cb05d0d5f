using System.Diagnostics;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Audit;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Workloads;
using Hull.InstanceContract.Tests;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// Random operations while engines and shims die at random moments. In the end nothing is left that nobody owns, every
/// exit code is known, and no log has a gap.
/// </summary>
public sealed class EngineFaultTests
{
    private static readonly int s_rounds = Environment.GetEnvironmentVariable("HULL_SOAK") is "1" ? 1000 : 40;

    [Fact]
    public async Task Nothing_leaks_whatever_dies_when()
    {
        await using var host = await EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] });
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var ids = new List<string>();
        for (var round = 0; round < s_rounds; round++)
        {
            try
            {
                await OneAsync(host, random, ids);
            }
            catch (HullException error) when (error.Kind is ErrorKind.Conflict or ErrorKind.NotFound or ErrorKind.NotModified or ErrorKind.Unavailable)
            {
                // What was asked for met a death: a clear answer is all that is owed.
            }
        }

        foreach (var id in ids.ToArray())
        {
            await EngineHost.EventuallyAsync(async () =>
            {
                try
                {
                    await host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
                    return true;
                }
                catch (HullException error)
                {
                    return error.Kind == ErrorKind.NotFound;
                }
            }, $"{id[..12]} to be removed (seed {seed})");
        }

        await NothingLeftAsync(host, $"seed {seed}: ");
    }

    [Fact]
    public async Task A_killed_shim_takes_its_instance_with_it_and_that_is_recorded()
    {
        await using var host = await EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] });
        var id = await host.RunAsync("sleep", "600");
        var pid = (await host.InspectAsync(id)).State.ProcessId;
        KillShim(host, id);
        await host.UntilAsync(id, WorkloadStatus.Exited);
        var state = (await host.InspectAsync(id)).State;
        Assert.Equal(137, state.ExitCode);
        Assert.Contains("supervisor", state.Error);
        await EngineHost.EventuallyAsync(() => Task.FromResult(!Directory.Exists($"/proc/{pid}")), "the init to be gone");
        await NothingLeftAsync(host);
    }

    [Fact]
    public async Task A_shim_killed_while_the_engine_is_away_is_dealt_with_when_it_is_back()
    {
        await using var host = await EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] });
        var id = await host.RunAsync(host.Config("sleep", "600") with { Restart = new RestartPolicy("always") });
        await host.Engine.DisposeAsync();
        KillShim(host, id);
        await host.ReplaceEngineAsync();
        await EngineHost.EventuallyAsync(async () => (await host.InspectAsync(id)).State is { IsRunning: true, RestartCount: > 0 }, "the policy to bring it back");
        await NothingLeftAsync(host);
    }

    /// <summary>What died is collected by process 1, in its own time; until then its cgroup is in use.</summary>
    private static async Task NothingLeftAsync(EngineHost host, string run = "")
    {
        var leaks = await LeakAudit.RunAsync(host.Engine, null, null, default);
        for (var tries = 0; tries < 200 && leaks.Count > 0; tries++)
        {
            await Task.Delay(50);
            leaks = await LeakAudit.RunAsync(host.Engine, null, null, default);
        }

        Assert.True(leaks.Count == 0, $"{run}left: {string.Join(", ", leaks)}");
    }

    private static async Task OneAsync(EngineHost host, Random random, List<string> ids)
    {
        var workloads = host.Engine.Workloads;
        var any = ids.Count == 0 ? null : ids[random.Next(ids.Count)];
        switch (random.Next(10))
        {
            case 0 or 1 or 2 when ids.Count < 12:
                ids.Add(await host.CreateAsync("sh", "-c", "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 3"));
                await workloads.StartAsync(ids[^1], default);
                break;
            case 3 when any is not null:
                await workloads.StartAsync(any, default);
                break;
            case 4 when any is not null:
                await workloads.StopAsync(any, new StopRequest("KILL"), default);
                break;
            case 5 when any is not null:
                await host.ExecAsync(any, "true");
                break;
            case 6 when any is not null:
                await workloads.RemoveAsync(any, new RemoveRequest(Force: true), default);
                ids.Remove(any);
                break;
            case 7 when any is not null:
                KillShim(host, any);
                break;
            case 8:
                await host.ReplaceEngineAsync();
                break;
            default:
                await Task.Delay(random.Next(30));
                break;
        }
    }

    /// <summary>kill -9 for the shim whose command line names the workload's runtime directory.</summary>
    private static void KillShim(EngineHost host, string id)
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var pid)) continue;
            try
            {
                if (!File.ReadAllText(directory + "/cmdline").Contains(Path.Combine(host.Options.ExecRoot, "i", id[..32]))) continue;
                using var process = Process.GetProcessById(pid);
                process.Kill();
            }
            catch (Exception error) when (error is IOException or ArgumentException or InvalidOperationException or UnauthorizedAccessException)
            {
                // It ended on its own.
            }
        }
    }
}
