using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// Images in virtual machines that are to be kept running, while the engine, their shims, the processes that stand for them, their
/// monitors and the live template's are killed at random.
/// </summary>
public sealed class VmDeaths : IDisposable
{
    private static readonly int s_rounds = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_ROUNDS"), out var rounds) ? rounds
        : Environment.GetEnvironmentVariable("HULL_SOAK") is "1" ? 300 : 2;
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);
    private static readonly string[] s_workloads = ["one", "two"];

    private readonly int seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_SEED"), out var chosen) ? chosen : Environment.TickCount;
    private readonly TemporaryDirectory scratch = new("vmdeaths");
    private readonly EngineDaemon engine;

    public VmDeaths()
    {
        Require.Program("qemu-system-x86_64");
        BusyboxRoot.Make(scratch["root"]);
        engine = new EngineDaemon(prepare: directory => GuestKernel.Provide(Path.Combine(directory, "data")));
        engine.Import(scratch["root"]);
    }

    public void Dispose()
    {
        engine.Dispose();
        scratch.Dispose();
    }

    [Fact]
    public void Workloads_are_kept_running_and_leave_nothing_whoever_is_killed_when()
    {
        var random = new Random(seed);
        foreach (var workload in s_workloads)
            engine.Hull("run", "-d", "--isolation", "vm", "--restart", "always", "--name", workload, "busybox", "sleep", "100000").Ok();
        for (var round = 1; round <= s_rounds; round++)
        {
            var killed = new List<string>();
            for (var victims = random.Next(1, 3); victims > 0; victims--)
            {
                Thread.Sleep(random.Next(300));
                killed.Add(Kill(random));
            }

            if (!engine.IsRunning) engine.Start();
            foreach (var workload in s_workloads)
                WaitUntil(() => engine.Hull("exec", workload, "echo", "here").Output == "here\n", $"{workload} to run after {string.Join(", ", killed)} in round {round}");
            WaitUntil(() => Shims().Count() == 2 && Monitors().Count == 2 && Machines() == 2, $"one shim, one process and one machine each after {string.Join(", ", killed)} in round {round}");
            // Run again and again, it comes to begin from a template of its image, whose processes are killed like the others.
            Assert.Equal("short\n", engine.Hull("run", "--rm", "--isolation", "vm", "busybox", "echo", "short").Ok().Output);
            WaitUntil(NothingLeaks, $"the engine to know all that is there after {string.Join(", ", killed)} in round {round}");
        }

        foreach (var workload in s_workloads) engine.Hull("rm", "-f", workload).Ok();
        WaitUntil(NothingLeaks, "the engine to know all that is there after the removal");
        engine.Stop();
        WaitUntil(() => !Deaths.Remaining(engine).Any(), "all processes to end");
        foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup").Select(path => path + engine.CgroupParent).Where(Directory.Exists))
            Assert.Empty(Directory.GetDirectories(hierarchy));
    }

    /// <summary>Kills the engine, or some program of one workload or of the template; answers what.</summary>
    private string Kill(Random random)
    {
        var candidates = Deaths.Remaining(engine).Where(process => process.Contains("hull-shim", StringComparison.Ordinal) || process.Contains("hull-vm", StringComparison.Ordinal)
            || process.Contains("qemu-system", StringComparison.Ordinal)).Concat(Monitors()).Order().ToList();
        if (random.Next(3) == 0 || candidates.Count == 0)
        {
            if (engine.IsRunning) engine.Kill();
            return "hulld";
        }

        var victim = candidates[random.Next(candidates.Count)];
        Command.Run("kill", "-9", victim[..victim.IndexOf(':', StringComparison.Ordinal)]);
        return string.Join(' ', victim.Split(' ').Take(4));
    }

    private IEnumerable<string> Shims() => Deaths.Remaining(engine).Where(process => process.Split(' ') is [_, var program, ..] && Path.GetFileName(program) == "hull-shim");

    /// <summary>The processes that stand for the workloads: children of the shims, which name no directory.</summary>
    private List<string> Monitors()
    {
        var all = new List<string>();
        foreach (var shim in Shims())
        {
            var pid = shim[..shim.IndexOf(':', StringComparison.Ordinal)];
            foreach (var child in Command.Shell($"cat /proc/{pid}/task/*/children 2>/dev/null").Output.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                var words = Command.Shell($"tr '\\0' ' ' < /proc/{child}/cmdline 2>/dev/null").Output;
                if (words.Contains("hull-vm", StringComparison.Ordinal)) all.Add($"{child}: {words}");
            }
        }

        return all;
    }

    private int Machines() => Deaths.Remaining(engine).Count(process => process.Contains(" -name hull-", StringComparison.Ordinal) && !process.Contains(" -name hull-live-", StringComparison.Ordinal));

    private bool NothingLeaks() =>
        engine.GetAsync("/hull/v1/doctor?leaks=1").GetAwaiter().GetResult().Json["Findings"]!.AsArray().All(finding => (string)finding!["Level"]! == "ok");

    private void WaitUntil(Func<bool> condition, string what)
    {
        var end = Environment.TickCount64 + (long)s_limit.TotalMilliseconds;
        while (!condition())
        {
            if (Environment.TickCount64 > end)
            {
                Assert.Fail($"seed {seed}: waited in vain for {what}\n{engine.Hull("ps", "-a").Output}\n{string.Join('\n', Deaths.Remaining(engine))}\n" +
                    (engine.IsRunning ? engine.GetAsync("/hull/v1/doctor?leaks=1").GetAwaiter().GetResult().Text : "") + string.Join('\n', engine.Log.TakeLast(20)));
            }

            Thread.Sleep(100);
        }
    }
}
