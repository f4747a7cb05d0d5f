using System.Net.Sockets;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// Random operations over the API of a real hulld while it, its shims and its runtimes are killed at random moments.
/// </summary>
public sealed class Soak : IDisposable
{
    private static readonly int s_rounds = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_ROUNDS"), out var rounds) ? rounds
        : Environment.GetEnvironmentVariable("HULL_SOAK") is "1" ? 1000 : 25;

    private readonly int seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_SEED"), out var chosen) ? chosen : Environment.TickCount;
    private readonly Random random;
    private readonly TemporaryDirectory scratch = new("soak");
    private readonly EngineDaemon engine;
    private readonly List<Ledger> ledgers = [];
    private readonly HashSet<string> networks = [];
    private readonly List<string> unclear = [];
    private int count;

    public Soak()
    {
        random = new Random(seed);
        BusyboxRoot.Make(scratch["root"]);
        Directory.CreateDirectory(Marks);
        engine = new EngineDaemon();
        engine.Import(scratch["root"]);
    }

    private string Marks => scratch["marks"];

    private string Seed => $"seed {seed}";

    public void Dispose()
    {
        engine.Dispose();
        scratch.Dispose();
    }

    [Fact]
    public async Task Nothing_is_lost_and_nothing_leaks_whoever_is_killed_when()
    {
        for (var round = 1; round <= s_rounds; round++)
        {
            var operations = Enumerable.Range(0, random.Next(1, 4)).Select(_ => Pick()).ToList();
            var fault = random.Next(10) < 6 ? Fault() : null;
            var delay = random.Next(60);
            var running = operations.Select(GuardedAsync).ToList();
            if (fault is not null)
            {
                await Task.Delay(delay);
                fault();
            }

            await Task.WhenAll(running);
            if (!engine.IsRunning) engine.Start();
            Assert.True(unclear.Count == 0, $"{Seed}, round {round}: {string.Join("\n", unclear)}");
            if (round % 25 == 0) await CheckAsync();
        }

        await CheckAsync();
        await RemoveAllAsync();
        await NoLeaksAsync();
        engine.Stop();
        await NothingIsLeftAsync();
    }

    private async Task CheckAsync()
    {
        foreach (var ledger in ledgers.ToArray())
        {
            // One that is paused or restarts by policy never ends by itself.
            await EventuallyAsync(async () => (await engine.GetAsync($"/containers/{ledger.Id}/json")) is var answer
                && (answer.Status == 404 || (string)answer.Json["State"]!["Status"]! is "exited" or "created" or "paused" or "restarting" or "dead" || Policy(answer) == "always"), $"{ledger.Name} to end");
            if ((await engine.GetAsync($"/containers/{ledger.Id}/json")).Status == 404) ledgers.Remove(ledger);
            else await ledger.CheckAsync(engine, Marks, Seed);
        }

        await NoLeaksAsync();
    }

    private static string Policy(ApiAnswer answer) => (string)answer.Json["HostConfig"]!["RestartPolicy"]!["Name"]!;

    private Task NoLeaksAsync() => EventuallyAsync(async () =>
        (await engine.GetAsync("/hull/v1/doctor?leaks=1")).Json["Findings"]!.AsArray().All(finding => (string)finding!["Level"]! == "ok"),
        "the engine to know everything that exists", async () => (await engine.GetAsync("/hull/v1/doctor?leaks=1")).Text);

    private async Task RemoveAllAsync()
    {
        foreach (var container in (await engine.GetAsync("/containers/json?all=1")).Json.AsArray())
            (await engine.SendAsync("DELETE", $"/containers/{container!["Id"]}?force=1&v=1")).Ok();
        foreach (var network in (await engine.GetAsync("/networks")).Json.AsArray().Where(one => ((string)one!["Name"]!).StartsWith("soak", StringComparison.Ordinal)))
            (await engine.SendAsync("DELETE", $"/networks/{network!["Id"]}")).Ok();
        (await engine.PostAsync("/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D")).Ok();
    }

    /// <summary>The kernel's own view, without asking the engine.</summary>
    private async Task NothingIsLeftAsync()
    {
        await EventuallyAsync(() => Task.FromResult(!Deaths.Remaining(engine).Any()), "all processes to end", () => Task.FromResult(string.Join('\n', Deaths.Remaining(engine))));
        foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup").Where(path => Directory.Exists(path + engine.CgroupParent)))
            Assert.True(Directory.GetDirectories(hierarchy + engine.CgroupParent) is [], $"{Seed}: cgroups are left in {hierarchy}{engine.CgroupParent}");
        Assert.Empty(Directory.GetDirectories(Path.Combine(engine.Path, "data", "workloads")));
        Assert.Empty(Directory.GetDirectories(Path.Combine(engine.Path, "run", "i")));
        foreach (var name in new[] { "runtime", "vm" })
        {
            var directory = Path.Combine(engine.Path, "run", name);
            if (Directory.Exists(directory)) Assert.DoesNotContain(Directory.GetDirectories(directory), path => Path.GetFileName(path).Length == 64);
        }

        var links = engine.InNetwork("ip", "-o", "link").Ok().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(links.Length <= 2, $"{Seed}: devices are left: {string.Join('\n', links)}");
        Assert.DoesNotContain("dnat to", engine.InNetwork("nft", "list", "ruleset").Ok().Output, StringComparison.Ordinal);
        Assert.DoesNotContain(File.ReadLines("/proc/self/mountinfo"), line => line.Contains(engine.Path + "/run", StringComparison.Ordinal));
    }

    private Action? Fault()
    {
        var victims = ledgers.Where(ledger => !ledger.Spared).ToList();
        switch (random.Next(3))
        {
            case 0: return engine.Kill;
            case 1 when victims.Count > 0:
                var victim = victims[random.Next(victims.Count)];
                return () =>
                {
                    victim.Killed = victim.ShimKilled = true;
                    Deaths.KillShim(engine, victim.Id);
                };
            default:
                return () =>
                {
                    foreach (var command in Deaths.KillRuntimes(engine))
                        lock (ledgers) foreach (var ledger in ledgers.Where(ledger => command.Contains(ledger.Id, StringComparison.Ordinal))) ledger.Killed = true;
                };
        }
    }

    private async Task GuardedAsync(Func<Task<ApiAnswer?>> operation)
    {
        try
        {
            var answer = await operation();
            // Whatever happens, the answer is one somebody thought of.
            if (answer is { Status: 500 } && answer.Text.Contains("the engine failed", StringComparison.Ordinal)) lock (unclear) unclear.Add(answer.Text);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException)
        {
            // The engine was killed meanwhile.
        }
        catch (OperationCanceledException)
        {
            lock (unclear) unclear.Add("no answer within its time");
        }
    }

    private Func<Task<ApiAnswer?>> Pick()
    {
        Ledger? any = ledgers.Count == 0 ? null : ledgers[random.Next(ledgers.Count)];
        var victims = ledgers.Where(ledger => !ledger.Spared).ToList();
        var victim = victims.Count == 0 ? null : victims[random.Next(victims.Count)];
        var network = $"soak{random.Next(3)}";
        var number = random.Next(20);
        return number switch
        {
            < 4 when ledgers.Count < 14 => CreateAndStart(),
            4 when victim is not null => Deadly(victim, "POST", $"stop?t={random.Next(2)}"),
            5 when victim is not null => Deadly(victim, "POST", "kill"),
            6 when victim is not null => Deadly(victim, "POST", "restart?t=0"),
            7 when victim is not null => Deadly(victim, "DELETE", "?force=1&v=1"),
            8 when victim is not null => Deadly(victim, "POST", "start"),
            9 when any is not null => Call("POST", $"/containers/{any.Id}/pause", then: $"/containers/{any.Id}/unpause"),
            10 when any is not null => Exec(any),
            11 when any is not null => Call("POST", $"/containers/{any.Id}/rename?name={any.Name}-{random.Next(1000)}"),
            12 when any is not null => Call("POST", $"/containers/{any.Id}/update", new JsonObject { ["Memory"] = (64 + random.Next(64)) << 20, ["CpuShares"] = 100 + random.Next(1000), ["PidsLimit"] = 50 }),
            13 when any is not null => Call("POST", $"/containers/{any.Id}/update", new JsonObject { ["PortBindings"] = new JsonObject { [$"{1 + random.Next(100)}/tcp"] = new JsonArray(new JsonObject { ["HostPort"] = "" }) } }),
            14 => Network(network),
            15 when any is not null && networks.Count > 0 => Call("POST", $"/networks/{network}/{(random.Next(2) == 0 ? "connect" : "disconnect")}", new JsonObject { ["Container"] = any.Id }),
            16 => Call("POST", $"/volumes/{(random.Next(3) == 0 ? "prune" : "create")}", new JsonObject { ["Name"] = $"soak-{random.Next(5)}" }),
            17 => Prune(),
            18 when any is not null => Call("GET", $"/containers/{any.Id}/logs?stdout=1&tail=5"),
            19 when any is not null => Call("GET", $"/containers/{any.Id}/{(random.Next(2) == 0 ? "archive?path=/etc" : "stats?stream=0")}"),
            _ => Call("GET", "/containers/json?all=1&size=1"),
        };
    }

    private Func<Task<ApiAnswer?>> CreateAndStart()
    {
        var (name, lines, code, spared) = ($"w{++count}", random.Next(20, 120), random.Next(1, 120), random.Next(3) > 0);
        var policy = !spared && random.Next(4) == 0 ? "always" : "no";
        return async () =>
        {
            var made = await engine.PostAsync($"/containers/create?name={name}", Ledger.Request(Marks, name, lines, code, policy));
            if (!made.Succeeded) return made;
            var ledger = new Ledger((string)made.Json["Id"]!, name, lines, code, spared);
            lock (ledgers) ledgers.Add(ledger);
            var started = await engine.PostAsync($"/containers/{ledger.Id}/start");
            // A start that failed ran nothing that anything is owed for.
            if (!started.Succeeded) ledger.Killed = true;
            return started;
        };
    }

    private Func<Task<ApiAnswer?>> Deadly(Ledger ledger, string method, string what)
    {
        ledger.Killed = true;
        return Call(method, $"/containers/{ledger.Id}{(what[0] == '?' ? "" : "/")}{what}");
    }

    private Func<Task<ApiAnswer?>> Call(string method, string path, JsonNode? body = null, string? then = null) => async () =>
    {
        var answer = method == "POST" ? await engine.PostAsync(path, body) : await engine.SendAsync(method, path);
        return then is null || !answer.Succeeded ? answer : await engine.PostAsync(then);
    };

    private Func<Task<ApiAnswer?>> Exec(Ledger ledger) => async () =>
    {
        var made = await engine.PostAsync($"/containers/{ledger.Id}/exec", new JsonObject { ["Cmd"] = new JsonArray("sh", "-c", "exit 7"), ["AttachStdout"] = true });
        if (!made.Succeeded) return made;
        var id = (string)made.Json["Id"]!;
        var ran = await engine.PostAsync($"/exec/{id}/start", new JsonObject { ["Detach"] = false });
        if (!ran.Succeeded) return ran;
        var state = await engine.GetAsync($"/exec/{id}/json");
        // One whose workload ended meanwhile ends with it, or finds nothing to enter.
        if (state.Succeeded && !(bool)state.Json["Running"]! && (int?)state.Json["ExitCode"] is { } code and not 7 && !ledger.Killed && await IsRunningAsync(ledger.Id))
            lock (unclear) unclear.Add($"exec ended with {code}: {state.Text} {ran.Text}");
        return state;
    };

    private async Task<bool> IsRunningAsync(string id) => (await engine.GetAsync($"/containers/{id}/json")) is { Succeeded: true } answer && (bool)answer.Json["State"]!["Running"]!;

    private Func<Task<ApiAnswer?>> Network(string name)
    {
        if (networks.Remove(name)) return Call("DELETE", $"/networks/{name}");
        networks.Add(name);
        return Call("POST", "/networks/create", new JsonObject { ["Name"] = name });
    }

    private Func<Task<ApiAnswer?>> Prune()
    {
        // Ledgers of what is pruned go at the next check: it answers 404 then.
        if (random.Next(4) > 0) return Call("GET", "/system/df");
        return Call("POST", "/containers/prune");
    }

    private async Task EventuallyAsync(Func<Task<bool>> condition, string what, Func<Task<string>>? explain = null)
    {
        for (var i = 0; i < 300; i++)
        {
            if (await condition()) return;
            await Task.Delay(100);
        }

        lock (engine.Log) Assert.Fail($"{Seed}: waited in vain for {what} {(explain is null ? "" : explain().GetAwaiter().GetResult())}\n{string.Join('\n', engine.Log.TakeLast(40))}");
    }
}
