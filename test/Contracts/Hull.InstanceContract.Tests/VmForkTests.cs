using System.Globalization;
using System.Text.Json;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Monitor;
using Hull.Images;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Running virtual machines that are duplicated by making their monitors' processes twice.</summary>
public sealed class VmForkTests : IAsyncLifetime
{
    private const string Counting = "n=0; while :; do n=$((n+1)); echo $n > /m; mv /m /n; sleep 0.05; done";
    private const string Identity = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; cat /proc/sys/kernel/random/uuid";

    private EngineHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        (_host, var driver) = await VmDrivers.StartAsync();
        VmDrivers.RequireTwins(driver, "only twins are made twice");
    }

    public ValueTask DisposeAsync() => _host?.DisposeAsync() ?? ValueTask.CompletedTask;

    [Fact]
    public async Task Several_at_once_go_on_where_their_source_was_each_as_somebody_else()
    {
        const int count = 4;
        var source = await _host.RunAsync("sh", "-c", Counting);
        await CountsAsync(source, 5);
        await _host.ExecAsync(source, "sh", "-c", "echo before > /file");
        var before = await ReadAsync(source);
        var forks = await ForkAsync(source, count);
        await _host.ExecAsync(source, "sh", "-c", "echo after > /file");
        var (seen, users) = (new HashSet<string>(), new HashSet<string>());
        foreach (var one in (string[])[source, .. forks])
        {
            var (code, output, error) = await _host.ExecAsync(one, "sh", "-c", Identity);
            Assert.Equal((0, ""), (code, error));
            foreach (var line in output.TrimEnd('\n').Split('\n')) Assert.True(seen.Add(line), $"{line} is of two machines");
            var monitor = MonitorOf(one);
            Assert.True(users.Add(Assert.Single(monitor, line => line.StartsWith("Uid:", StringComparison.Ordinal))));
            Assert.Contains("CapEff:\t0000000000000000", monitor);
            Assert.Contains("Seccomp:\t2", monitor);
            Assert.InRange(await ReadAsync(one), before, int.MaxValue);
            await CountsAsync(one, await ReadAsync(one) + 2);
        }

        foreach (var fork in forks)
        {
            Assert.True(BundleOf(fork).Template!.Live!.OfInstance);
            Assert.Equal((0, "before\n", ""), await _host.ExecAsync(fork, "cat", "/file"));
        }

        await RemoveAllAsync([source, .. forks]);
    }

    [Fact]
    public async Task A_fork_of_a_fork_goes_on_when_those_before_it_are_gone()
    {
        var source = await _host.RunAsync("sh", "-c", Counting);
        await CountsAsync(source, 5);
        var first = Assert.Single(await ForkAsync(source, 1));
        await _host.Engine.Workloads.RemoveAsync(source, new RemoveRequest(Force: true), default);
        await CountsAsync(first, await ReadAsync(first) + 2);
        var before = await ReadAsync(first);
        var second = Assert.Single(await ForkAsync(first, 1));
        await _host.Engine.Workloads.RemoveAsync(first, new RemoveRequest(Force: true), default);
        Assert.InRange(await ReadAsync(second), before, int.MaxValue);
        await CountsAsync(second, await ReadAsync(second) + 2);
        await RemoveAllAsync([second]);
    }

    [Fact]
    public async Task What_runs_in_the_source_beside_it_is_not_disturbed_and_the_source_can_be_duplicated_again()
    {
        var source = await _host.RunAsync("sh", "-c", Counting);
        var exec = _host.ExecAsync(source, "sh", "-c", "i=0; touch /begun; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.02; done");
        await EngineHost.EventuallyAsync(async () => (await _host.ExecAsync(source, "ls", "/begun")).Code == 0, "it to begin");
        var forks = new List<string>(await ForkAsync(source, 1));
        forks.AddRange(await ForkAsync(source, 1));
        Assert.Equal((0, string.Concat(Enumerable.Range(1, 200).Select(i => $"{i}\n")), ""), await exec);
        foreach (var one in (string[])[source, .. forks])
        {
            Assert.Equal((0, "here\n", ""), await _host.ExecAsync(one, "echo", "here"));
            // Each writes to a disk of its own, and to no other.
            Assert.Equal([BundleOf(one).WritableDisk!], DisksOf(one));
        }

        await RemoveAllAsync([source, .. forks]);
    }

    [Fact]
    public async Task A_fork_survives_whatever_ends_its_source_and_the_engine()
    {
        var source = await _host.RunAsync("sh", "-c", Counting);
        await CountsAsync(source, 5);
        var forks = await ForkAsync(source, 2);
        foreach (var pid in Monitors(source)) ProcessCalls.Kill(pid, 9);
        await EngineHost.EventuallyAsync(async () => !(await _host.Engine.Workloads.InspectAsync(source, false, default)).State.IsRunning, "the source to end");
        await CountsAsync(forks[0], await ReadAsync(forks[0]) + 2);
        // With the engine goes the live template, whose keeper is the forks' parent.
        await _host.ReplaceEngineAsync();
        foreach (var fork in forks) await CountsAsync(fork, await ReadAsync(fork) + 2);
        await RemoveAllAsync([source, .. forks]);
    }

    [Fact]
    public async Task What_stands_still_for_a_fork_ends_with_who_asked_for_it_and_with_the_source()
    {
        var source = await _host.RunAsync("sh", "-c", Counting);
        await CountsAsync(source, 5);
        var control = new VmControl(Path.Combine(_host.Options.ExecRoot, "vm", source));
        using (await HoldAsync("first"))
        {
            Assert.Equal(2, Monitors(source).Count);
            // It is nobody's and does nothing, and the source goes on.
            await CountsAsync(source, await ReadAsync(source) + 2);
        }

        await EngineHost.EventuallyAsync(() => Task.FromResult(Monitors(source).Count == 1), "the held twin to end");
        using var held = await HoldAsync("second");
        await RemoveAllAsync([source]);

        async Task<MachineHold> HoldAsync(string name)
        {
            var hold = await control.HoldAsync(Directory.CreateDirectory(_host[name]).FullName);
            hold.Memory.Dispose();
            return hold;
        }
    }

    [Fact]
    public async Task Memory_that_programs_give_back_is_the_host_s_again()
    {
        const long filled = 40L << 20;
        var source = await _host.RunAsync("sleep", "600");
        var before = AnonymousOf(source);
        Assert.Equal(0, (await _host.ExecAsync(source, "dd", "if=/dev/urandom", "of=/dev/shm/x", "bs=1M", "count=40")).Code);
        Assert.InRange(AnonymousOf(source), before + filled, long.MaxValue);
        string[] both = [source, (await ForkAsync(source, 1))[0]];
        foreach (var id in both)
        {
            Assert.Equal(0, (await _host.ExecAsync(id, "rm", "/dev/shm/x")).Code);
            await EngineHost.EventuallyAsync(() => Task.FromResult(AnonymousOf(id) < before + (filled / 2)), "the memory to be given back");
        }

        // What it is given anew is as it should be.
        foreach (var id in both)
            Assert.Equal((0, "", ""), await _host.ExecAsync(id, "sh", "-c", "dd if=/dev/zero of=/dev/shm/y bs=1M count=40 2> /dev/null; tr -d '\\0' < /dev/shm/y"));
        await RemoveAllAsync(both);
    }

    /// <summary>Bytes of memory that are no file's, of a machine's monitor.</summary>
    private static long AnonymousOf(string id) => long.Parse(File.ReadLines($"/proc/{Monitors(id)[0]}/smaps_rollup")
        .Single(line => line.StartsWith("Anonymous:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;

    /// <summary>No monitor is left but the live template's.</summary>
    private async Task RemoveAllAsync(IReadOnlyList<string> ids)
    {
        foreach (var id in ids) await _host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        await EngineHost.EventuallyAsync(() => Task.FromResult(ids.All(id => Monitors(id).Count == 0)), "the monitors to end");
        Assert.Empty(Directory.GetDirectories(Path.Combine(_host.Options.DataRoot), "fork-*", SearchOption.AllDirectories));
    }

    private async Task<IReadOnlyList<string>> ForkAsync(string id, int count)
    {
        var made = await _host.Engine.Workloads.ForkAsync(id, new ForkRequest(count, []), default);
        Assert.InRange(made.Pause, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(30));
        // What stood still for it is gone already.
        await EngineHost.EventuallyAsync(() => Task.FromResult(Monitors(id).Count == 1), "the held twin to end");
        return made.Ids;
    }

    private async Task<int> ReadAsync(string id) => int.Parse((await _host.ExecAsync(id, "cat", "/n")).Output, CultureInfo.InvariantCulture);

    private Task CountsAsync(string id, int until) =>
        EngineHost.EventuallyAsync(async () => int.TryParse((await _host.ExecAsync(id, "cat", "/n")).Output, out var n) && n > until, "it to count");

    private string[] MonitorOf(string id) => File.ReadAllLines($"/proc/{Assert.Single(Monitors(id))}/status");

    /// <summary>The disks that a machine's monitor has open, but for those of its image.</summary>
    private static IEnumerable<string> DisksOf(string id) => Directory.GetFiles($"/proc/{Assert.Single(Monitors(id))}/fd")
        .Select(descriptor => new FileInfo(descriptor).LinkTarget!).Where(target => target.Contains("writable", StringComparison.Ordinal)).Distinct();

    /// <summary>Processes of QEMU that have a machine's name.</summary>
    private static List<int> Monitors(string id)
    {
        var found = new List<int>();
        foreach (var path in Directory.GetDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            try
            {
                if (File.ReadAllText(path + "/cmdline").Contains($"hull-{RandomId.Short(id)}", StringComparison.Ordinal)) found.Add(int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture));
            }
            catch (IOException)
            {
                // It has just ended.
            }
        }

        return found;
    }

    private VmBundle BundleOf(string id) => JsonSerializer.Deserialize(
        File.ReadAllBytes(Path.Combine(_host.Options.ExecRoot, "i", id[..32], VmBundle.FileName)), VmBundleJson.Default.VmBundle)!;
}
