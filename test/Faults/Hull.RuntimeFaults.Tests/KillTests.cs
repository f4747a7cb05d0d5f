using System.Diagnostics;
using Hull.RuntimeContract.Tests;
using Hull.Testing;

namespace Hull.RuntimeFaults.Tests;

/// <summary>The runtime is killed at any moment; what it leaves, <c>delete --force</c> takes away whole.</summary>
public sealed class KillTests
{
    private static readonly int Rounds = Environment.GetEnvironmentVariable("HULL_SOAK") == "1" ? 2000 : 40;

    // Chosen once and printed in a failure, so that a round can be repeated.
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_SEED"), out var seed) ? seed : Environment.TickCount;

    private static Container Prepare()
    {
        var container = new Container("hull-runtime");
        container.Spec.Args("sleep", "1000").Set("linux.resources.memory", """{"limit":67108864}""")
            .Add("linux.namespaces", """{"type":"cgroup"}""").Mount("/data", container.MakeOutside("data"), "bind", "rbind", "rw");
        container.WriteSpec();
        return container;
    }

    /// <summary>Starts the runtime and kills it after some microseconds; answers whether it was still running.</summary>
    private static bool KillAfter(Container container, int microseconds, params string[] arguments)
    {
        var start = new ProcessStartInfo(container.Runtime.Path);
        foreach (var argument in (string[])["--root", container.StateRoot, .. arguments]) start.ArgumentList.Add(argument);
        start.RedirectStandardOutput = start.RedirectStandardError = start.RedirectStandardInput = true;
        using var process = Process.Start(start)!;
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed.TotalMicroseconds < microseconds) Thread.SpinWait(50);
        var wasRunning = !process.HasExited;
        process.Kill();
        process.WaitForExit();
        return wasRunning;
    }

    private static void Repeat(Action<Random, int> round)
    {
        Require.Root();
        var random = new Random(Seed);
        for (var i = 0; i < Rounds; i++)
        {
            try
            {
                round(random, i);
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"round {i} with HULL_SEED={Seed}", error);
            }
        }
    }

    private static void DeleteWhole(Container container)
    {
        var result = container.Delete("--force");
        Assert.True(result.ExitCode == 0, $"delete --force: {result.Error}");
        container.AssertNothingIsLeft();
    }

    [Fact]
    public void KilledWhileItCreates()
    {
        var hits = 0;
        Repeat((random, _) =>
        {
            using var container = Prepare();
            if (KillAfter(container, random.Next(0, 20_000), "create", "--bundle", container.Bundle, container.Id)) hits++;
            DeleteWhole(container);
        });
        Assert.True(hits > 0, "it was never killed in time");
    }

    [Fact]
    public void KilledWhileItRuns() => Repeat((random, _) =>
    {
        using var container = Prepare();
        KillAfter(container, random.Next(0, 40_000), "run", "--bundle", container.Bundle, container.Id);
        DeleteWhole(container);
    });

    [Fact]
    public void KilledWhileItStarts() => Repeat((random, _) =>
    {
        using var container = Prepare();
        container.Create().Ok();
        KillAfter(container, random.Next(0, 5_000), "start", container.Id);
        Assert.Contains(container.Status(), new[] { "created", "running" });
        DeleteWhole(container);
    });

    [Fact]
    public void KilledWhileItDeletes() => Repeat((random, _) =>
    {
        using var container = Prepare();
        container.StartSleeping();
        KillAfter(container, random.Next(0, 10_000), "delete", "--force", container.Id);
        DeleteWhole(container);
    });

    [Fact]
    public void KilledWhileItExecs() => Repeat((random, _) =>
    {
        using var container = Prepare();
        container.StartSleeping();
        KillAfter(container, random.Next(0, 10_000), "exec", container.Id, "sleep", "1000");
        Assert.Equal("running", container.Status());
        DeleteWhole(container);
    });

    [Fact]
    public void KilledWhileItPausesOrUpdates() => Repeat((random, round) =>
    {
        using var container = Prepare();
        container.StartSleeping();
        if (round % 2 == 0) KillAfter(container, random.Next(0, 5_000), "pause", container.Id);
        else KillAfter(container, random.Next(0, 5_000), "update", "--memory", "50000000", "--pids-limit", "40", container.Id);
        DeleteWhole(container);
    });

    [Fact]
    public void ManyCreationsAndDeletionsOfOneIdAtOnce() => Repeat((_, _) =>
    {
        using var container = Prepare();
        var results = Enumerable.Range(0, 4).AsParallel().WithDegreeOfParallelism(4)
            .Select(number => container.Call("create", "--bundle", container.Bundle, container.Id).ExitCode).ToArray();
        Assert.Equal(1, results.Count(code => code == 0));
        DeleteWhole(container);
    });
}
