using System.Globalization;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// What makes a short command fast is done before anybody asks or behind the answer: shims are started ahead, and what
/// <c>--rm</c> asked for is cleared later. None of it may be seen, whoever dies in between.
/// </summary>
public sealed class FastPathTests : IDisposable
{
    private readonly TemporaryDirectory scratch = new("fast");
    private readonly List<EngineDaemon> engines = [];

    public FastPathTests() => BusyboxRoot.Make(scratch["root"]);

    public void Dispose()
    {
        foreach (var engine in engines) engine.Dispose();
        scratch.Dispose();
    }

    [Fact]
    public async Task A_shim_started_ahead_ends_with_its_killed_engine_and_no_other()
    {
        var (one, other) = (Start(), Start());
        Run(one);
        Run(other);
        var (idle, spared) = (await IdleShimAsync(one), await IdleShimAsync(other));
        one.Kill();
        await EventuallyAsync(() => !IsShim(idle), "the idle shim of the killed engine to end");
        Assert.True(IsShim(spared), "the idle shim of the other engine ended too");
        Run(other);
        one.Start();
        Run(one);
        await IdleShimAsync(one);
        other.Stop();
        await EventuallyAsync(() => !IsShim(spared), "the idle shim of the stopped engine to end");
    }

    [Fact]
    public async Task A_killed_shim_that_was_started_ahead_is_not_missed()
    {
        var engine = Start();
        Run(engine);
        Command.Run("kill", "-KILL", (await IdleShimAsync(engine)).ToString(CultureInfo.InvariantCulture)).Ok();
        Run(engine);
        await ClearedAsync(engine);
    }

    [Fact]
    public async Task Names_addresses_and_ports_are_free_when_a_run_has_answered()
    {
        var engine = Start();
        for (var round = 0; round < 15; round++)
        {
            engine.Hull("run", "--rm", "--name", "same", "--ip", "172.31.9.9", "--network", Network(engine), "-p", "127.0.0.1:18080:80", "busybox", "true").Ok();
            Assert.Empty((await engine.GetAsync("/containers/json?all=1")).Json.AsArray());
            Assert.Equal(404, (await engine.GetAsync("/containers/same/json")).Status);
        }

        (await engine.SendAsync("DELETE", "/networks/fast")).Ok();
        (await engine.SendAsync("DELETE", "/images/busybox")).Ok();
        await ClearedAsync(engine);
    }

    [Fact]
    public async Task What_was_to_be_cleared_behind_the_answer_is_cleared_by_the_next_engine()
    {
        var engine = Start();
        for (var round = 0; round < 8; round++)
        {
            var running = Enumerable.Range(0, 3).Select(_ => Task.Run(() => engine.Hull("run", "--rm", "busybox", "sh", "-c", "exit 7"))).ToArray();
            // From before the first answer to after the last.
            await Task.WhenAny(running);
            await Task.Delay(round * 3);
            engine.Kill();
            await Task.WhenAll(running);
            engine.Start();
            await EventuallyAsync(async () => (await engine.GetAsync("/containers/json?all=1")).Json.AsArray().All(one => (string)one!["State"]! == "created"), "the containers to be removed");
            // As with Docker, one that was made and whose start nobody had asked for yet waits for it.
            foreach (var made in (await engine.GetAsync("/containers/json?all=1")).Json.AsArray()) (await engine.SendAsync("DELETE", $"/containers/{made!["Id"]}")).Ok();
        }

        await ClearedAsync(engine);
    }

    private EngineDaemon Start()
    {
        var engine = new EngineDaemon();
        engines.Add(engine);
        engine.Import(scratch["root"]);
        return engine;
    }

    private static void Run(EngineDaemon engine) => Assert.Equal(7, engine.Hull("run", "--rm", "busybox", "sh", "-c", "exit 7").ExitCode);

    private static string Network(EngineDaemon engine)
    {
        if (engine.GetAsync("/networks/fast").GetAwaiter().GetResult().Succeeded) return "fast";
        engine.PostAsync("/networks/create", new JsonObject
        {
            ["Name"] = "fast",
            ["IPAM"] = new JsonObject { ["Config"] = new JsonArray(new JsonObject { ["Subnet"] = "172.31.9.0/24" }) },
        }).GetAwaiter().GetResult().Ok();
        return "fast";
    }

    /// <summary>Nothing of a workload is left: no file, mount, process or device that nobody owns.</summary>
    private static async Task ClearedAsync(EngineDaemon engine)
    {
        await EventuallyAsync(() => Directory.GetDirectories(Path.Combine(engine.Path, "data", "workloads")) is []
            && Directory.GetDirectories(Path.Combine(engine.Path, "run", "i")) is [], "the files of workloads to be removed");
        await EventuallyAsync(async () => (await engine.GetAsync("/hull/v1/doctor?leaks=1")).Json["Findings"]!.AsArray().All(finding => (string)finding!["Level"]! == "ok"),
            "the engine to know everything that exists");
    }

    /// <summary>The shim that waits for its instance: a child of the engine whose only argument stands for a directory.</summary>
    private static async Task<int> IdleShimAsync(EngineDaemon engine)
    {
        var found = 0;
        await EventuallyAsync(() =>
        {
            var children = File.ReadAllText($"/proc/{engine.Pid}/task/{engine.Pid}/children") + string.Concat(Directory.EnumerateDirectories($"/proc/{engine.Pid}/task")
                .Where(task => Path.GetFileName(task) != engine.Pid.ToString(CultureInfo.InvariantCulture)).Select(ChildrenOf));
            found = children.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => int.Parse(text, CultureInfo.InvariantCulture)).FirstOrDefault(IsShim);
            return found != 0;
        }, "a shim to be started ahead");
        return found;
    }

    private static string ChildrenOf(string task)
    {
        try
        {
            return File.ReadAllText(task + "/children");
        }
        catch (IOException)
        {
            // The thread has ended.
            return "";
        }
    }

    private static bool IsShim(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0') is [var program, ['-', ..], ..] && Path.GetFileName(program) == "hull-shim";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static Task EventuallyAsync(Func<bool> condition, string what) => EngineHost.EventuallyAsync(() => Task.FromResult(condition()), what);

    private static Task EventuallyAsync(Func<Task<bool>> condition, string what) => EngineHost.EventuallyAsync(condition, what);
}
