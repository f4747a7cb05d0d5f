using System.Globalization;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Workloads;
using Hull.Images;
using Hull.Linux.Cgroups;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Virtual machines that are kept ready before anybody wants them.</summary>
public sealed class WarmMachineTests : IAsyncLifetime
{
    private const int Size = 2;
    private const string Identity = "hostname; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; cat /proc/sys/kernel/random/boot_id; date +%s";

    private EngineHost _host = null!;
    private VmDriver _driver = null!;
    private readonly EngineHost.Pressure _memory = new();

    public async ValueTask InitializeAsync()
    {
        (_host, _driver) = await VmDrivers.StartAsync(options => options with { WarmMachines = Size, ImageTemplates = 0 }, _memory);
        VmDrivers.RequireTwins(_driver, "only twins are kept ready");
    }

    public ValueTask DisposeAsync() => _host?.DisposeAsync() ?? ValueTask.CompletedTask;

    [Fact]
    public async Task Machines_that_were_ready_are_nobody_else_s()
    {
        var seen = new HashSet<string>();
        await TellApartAsync(seen);
        await FullAsync();
        // One that died meanwhile is not waited for, and is not missed.
        Signal(Residents()[0]);
        for (var index = 0; index < Size + 2; index++) await TellApartAsync(seen);
        Assert.InRange(Taken, 1, Size + 2);
    }

    [Fact]
    public async Task What_is_ready_is_given_back_for_memory_by_prune_and_at_the_end()
    {
        await _host.CompleteAsync("true");
        await FullAsync();
        Assert.Equal(Size, Residents().Count);
        Assert.Equal(Size + 1, LiveProcesses());
        await _host.Engine.Workloads.PruneAsync(PruneFilter.None, default);
        await EventuallyAsync(() => Residents().Count == 0 && LiveProcesses() == 1, "the members to end");
        await _host.CompleteAsync("true");
        await FullAsync();
        _memory.IsShort = true;
        await EventuallyAsync(() => Residents().Count == 0 && LiveProcesses() == 1, "the members to end");
        // None is made while memory is short, and machines are made all the same.
        Assert.Equal(0, (await _host.CompleteAsync("true")).Code);
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.Empty(Residents());
        _memory.IsShort = false;
        await _host.CompleteAsync("true");
        await FullAsync();
        await _driver.DisposeAsync();
        await EventuallyAsync(() => Residents().Count == 0, "the members to end with the engine");
    }

    private int Taken => int.Parse(_driver.Describe()["warm-machines"].Split(' ')[2], CultureInfo.InvariantCulture);

    private async Task TellApartAsync(HashSet<string> seen)
    {
        var began = DateTimeOffset.UtcNow;
        var (code, output, error) = await _host.CompleteAsync("sh", "-c", Identity);
        Assert.Equal((0, ""), (code, error));
        var lines = output.TrimEnd('\n').Split('\n');
        Assert.Equal(4, lines.Length);
        Assert.InRange(DateTimeOffset.FromUnixTimeSeconds(long.Parse(lines[3], CultureInfo.InvariantCulture)), began.AddSeconds(-1), DateTimeOffset.UtcNow.AddSeconds(1));
        foreach (var line in lines[..3]) Assert.True(seen.Add(line), $"{line} is of two machines");
    }

    private Task FullAsync() => EventuallyAsync(() => _driver.Describe()["warm-machines"].StartsWith($"{Size} ready", StringComparison.Ordinal), "machines to be ready");

    private static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        for (var wait = 0; wait < 600; wait++)
        {
            if (condition()) return;
            await Task.Delay(100);
        }

        Assert.Fail($"waited in vain for {what}");
    }

    /// <summary>Monitors that stand ready, of this engine.</summary>
    private List<int> Residents() =>
    [
        .. Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, CultureInfo.InvariantCulture, out _))
            .Select(name => int.Parse(name!, CultureInfo.InvariantCulture))
            .Where(pid => CommandLine(pid) is { } line && line.Contains("\0resident\0", StringComparison.Ordinal) && line.Contains(_host.Options.ExecRoot, StringComparison.Ordinal)
                && !HasMachine(pid)),
    ];

    /// <summary>One that was taken is in its machine's cgroup.</summary>
    private bool HasMachine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cgroup").Contains(_host.Options.CgroupParent + "/", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static string? CommandLine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline");
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static void Signal(int pid) => Linux.Syscalls.ProcessCalls.Kill(pid, 9);

    /// <summary>The template's own process, and the twins that have no cgroup of theirs yet.</summary>
    private int LiveProcesses()
    {
        var parent = CgroupManager.Name("live", _host.Options.CgroupParent);
        return parent.Processes().Count(pid => CommandLine(pid)?.Contains("live-machine", StringComparison.Ordinal) == true);
    }
}
