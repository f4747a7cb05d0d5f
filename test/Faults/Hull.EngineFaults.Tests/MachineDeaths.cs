using System.Text.Json;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// Full machines that are to be kept running, while the engine and their monitors are killed at random. Their disks are
/// empty: what is proved needs no operating system, and a round takes seconds.
/// </summary>
public sealed class MachineDeaths : IDisposable
{
    private static readonly int s_rounds = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_ROUNDS"), out var rounds) ? rounds
        : Environment.GetEnvironmentVariable("HULL_SOAK") is "1" ? 300 : 4;
    private static readonly string[] s_machines = ["one", "two"];
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(4);

    private readonly int seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_SOAK_SEED"), out var chosen) ? chosen : Environment.TickCount;
    private readonly EngineDaemon engine = new();

    public void Dispose()
    {
        if (!engine.IsRunning) engine.Start();
        foreach (var machine in s_machines) engine.Hull("vm", "rm", "-f", machine);
        engine.Dispose();
    }

    [Fact]
    public async Task Machines_are_kept_running_and_leave_nothing_whoever_is_killed_when()
    {
        Require.Program("qemu-system-x86_64");
        var random = new Random(seed);
        engine.Hull("network", "create", "net").Ok();
        foreach (var machine in s_machines)
            engine.Hull("vm", "create", "--disk-size", "16m", "--memory", "32m", "--network", "net", "-p", "80", "--autostart", "--start", machine).Ok();
        for (var round = 1; round <= s_rounds; round++)
        {
            var change = random.Next(3) == 0 ? Task.Run(() => engine.Hull("vm", "snapshot", "create", s_machines[random.Next(2)], "round" + round)) : Task.CompletedTask;
            Thread.Sleep(random.Next(60));
            if (random.Next(3) > 0) KillMonitor(s_machines[random.Next(2)]);
            if (random.Next(3) > 0) engine.Kill();
            if (random.Next(3) == 0) KillMonitor(s_machines[random.Next(2)]);
            await change;
            if (!engine.IsRunning) engine.Start();
            WaitUntil(() => Machines().All(machine => machine.GetProperty("status").GetString() == "running"), $"round {round} of seed {seed}: {engine.Hull("vm", "ls").Output}{string.Join('\n', engine.Log.TakeLast(5))}");
            NothingIsLeft($"round {round} of seed {seed}");
        }

        foreach (var machine in s_machines) engine.Hull("vm", "stop", "-t", "0", machine).Ok();
        foreach (var machine in Machines()) CheckDisks(machine);
        Assert.Empty(Monitors());
        // Devices go behind the answer: the kernel takes its time over them.
        WaitUntil(() => Taps().Count == 0, $"seed {seed}: taps {string.Join(' ', Taps())}");
    }

    /// <summary>One monitor, one tap, one directory of sockets and one jail with its cgroup for each machine, and no more.</summary>
    private void NothingIsLeft(string when)
    {
        WaitUntil(() => Monitors().Count == 2 && Taps().Count == 2, $"{when}: monitors {string.Join(' ', Monitors())}, taps {string.Join(' ', Taps())}");
        var directories = Directory.GetDirectories(Path.Combine(engine.Path, "run", "machines")).Select(Path.GetFileName).Order().ToList();
        Assert.True(directories is [var one, var jail, var other, var last] && jail == one + ".monitor" && last == other + ".monitor", $"{when}: {string.Join(' ', directories)}");
        foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup").Select(path => path + engine.CgroupParent).Where(Directory.Exists))
            Assert.InRange(Directory.GetDirectories(hierarchy, "monitor-*").Length, 0, 2);
    }

    private void KillMonitor(string machine)
    {
        if (!engine.IsRunning) return;
        var found = Machines().FirstOrDefault(one => one.GetProperty("name").GetString() == machine);
        if (found.ValueKind == JsonValueKind.Object && found.TryGetProperty("processId", out var process)) Command.Run("kill", "-9", process.ToString());
    }

    private void CheckDisks(JsonElement machine)
    {
        var directory = Path.Combine(engine.Path, "data", "machines", machine.GetProperty("id").GetString()!);
        var images = Directory.EnumerateFiles(directory, "*.qcow2").ToList();
        foreach (var disk in images) Command.Run("qemu-img", "check", "-q", disk).Ok();
        // Every image is one that the machine stands on now or goes back to; those below others are named by their whole paths.
        var document = File.ReadAllText(Path.Combine(directory, "machine.json"));
        Assert.All(images, image => Assert.Contains(Path.GetFileName(image) + '"', document, StringComparison.Ordinal));
        var current = machine.GetProperty("disks")[0].GetProperty("file").GetString()!;
        Assert.True(File.Exists(Path.Combine(directory, current)), current);
    }

    private List<JsonElement> Machines() =>
        [.. engine.Hull("vm", "ls", "--format", "json").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];

    private List<string> Monitors() => [.. Deaths.Remaining(engine).Where(process => process.Contains("qemu-system", StringComparison.Ordinal))];

    private List<string> Taps() => [.. engine.InNetwork("ip", "-br", "link").Output.Split('\n').Where(line => line.StartsWith('t'))];

    private static void WaitUntil(Func<bool> condition, string otherwise)
    {
        var end = Environment.TickCount64 + (long)s_limit.TotalMilliseconds;
        while (!condition())
        {
            if (Environment.TickCount64 > end) Assert.Fail(otherwise);
            Thread.Sleep(100);
        }
    }
}
