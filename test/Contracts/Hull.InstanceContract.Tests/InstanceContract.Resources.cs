using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Events;
using Hull.Engine.Workloads;
using Hull.Linux.Cgroups;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Groups and reservations.</summary>
public abstract partial class InstanceContract
{
    private const long Cpu = 1_000_000_000;

    [Fact]
    public async Task A_group_is_above_its_members_and_changes_while_they_run()
    {
        Host.Engine.Groups.Create("shop", new ResourceLimits { NanoCpus = Cpu / 2, CpuShares = 512, PidsLimit = 500 });
        var id = await Host.RunAsync(Host.Config("sleep", "600") with { Group = "shop" });
        Assert.Equal(["shop"], Host.Engine.Groups.List().Select(status => status.Group.Name));
        Assert.Equal([(await Host.InspectAsync(id)).Name], Host.Engine.Groups.Get("shop").Members);
        var pid = (await Host.InspectAsync(id)).State.ProcessId;
        Assert.Contains($"{Host.Options.CgroupParent}/group-shop/{id}", File.ReadAllText($"/proc/{pid}/cgroup"), StringComparison.Ordinal);
        Assert.Equal(50_000, Quota("shop"));
        await Host.Engine.Groups.UpdateAsync("shop", new ResourceLimits { NanoCpus = Cpu / 4 }, default);
        Assert.Equal((25_000, 512L), (Quota("shop"), Host.Engine.Groups.Get("shop").Group.Resources.CpuShares));
        var inUse = Assert.Throws<HullException>(() => Host.Engine.Groups.Remove("shop"));
        Assert.Equal(ErrorKind.Conflict, inUse.Kind);
        await Host.ReplaceEngineAsync();
        Assert.True((await Host.InspectAsync(id)).State.IsRunning);
        await Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        Host.Engine.Groups.Remove("shop");
        Assert.False(GroupCgroup("shop").Exists);
    }

    [Fact]
    public async Task An_unknown_group_and_a_group_beside_a_cgroup_of_ones_own_are_refused()
    {
        var unknown = await Assert.ThrowsAsync<HullException>(() => Host.CreateAsync(Host.Config("true") with { Group = "nobody" }));
        Assert.Equal(ErrorKind.NotFound, unknown.Kind);
        Assert.Contains("hull group create", unknown.Message, StringComparison.Ordinal);
        Host.Engine.Groups.Create("some", new ResourceLimits());
        await Assert.ThrowsAsync<HullException>(() => Host.CreateAsync(Host.Config("true") with { Group = "some", CgroupParent = "/elsewhere" }));
        Host.Engine.Groups.Remove("some");
    }

    [Fact]
    public async Task What_is_reserved_is_not_promised_twice_and_free_again_at_the_end()
    {
        var all = Environment.ProcessorCount * Cpu;
        var holder = await Host.RunAsync(Host.Config("sleep", "600") with { Resources = new ResourceLimits { CpuReservation = all } });
        var name = (await Host.InspectAsync(holder)).Name;
        var waiting = await Host.CreateAsync(Host.Config("sleep", "600") with { Resources = new ResourceLimits { CpuReservation = Cpu / 2 } });
        var refused = await Assert.ThrowsAsync<HullException>(() => Workloads.StartAsync(waiting, default));
        Assert.Equal(ErrorKind.ResourceExhausted, refused.Kind);
        Assert.Contains($"{name} has {Environment.ProcessorCount}", refused.Message, StringComparison.Ordinal);
        // Who reserves nothing is none of its business, and the next engine knows what the one before has promised.
        await Host.RunAsync("sleep", "600");
        await Host.ReplaceEngineAsync();
        await Assert.ThrowsAsync<HullException>(() => Workloads.StartAsync(waiting, default));
        await Workloads.UpdateAsync(holder, new UpdateRequest { Resources = new ResourceLimits { CpuReservation = all - Cpu / 2 } }, default);
        await Workloads.StartAsync(waiting, default);
        await Assert.ThrowsAsync<HullException>(() => Workloads.UpdateAsync(waiting, new UpdateRequest { Resources = new ResourceLimits { CpuReservation = Cpu } }, default));
        await Workloads.KillAsync(holder, null, default);
        await Host.UntilAsync(holder, WorkloadStatus.Exited);
        await Workloads.UpdateAsync(waiting, new UpdateRequest { Resources = new ResourceLimits { CpuReservation = Cpu } }, default);
    }

    [Fact]
    public async Task What_could_never_be_kept_is_refused_before_it_is_made()
    {
        var limits = new ResourceLimits { CpuReservation = (Environment.ProcessorCount + 1) * Cpu };
        var refused = await Assert.ThrowsAsync<HullException>(() => Host.CreateAsync(Host.Config("true") with { Resources = limits }));
        Assert.Equal(ErrorKind.ResourceExhausted, refused.Kind);
        Assert.Empty(await Workloads.ListAsync(new WorkloadFilter { All = true }, false, default));
    }

    [Fact]
    public async Task Memory_is_taken_from_a_low_priority_and_given_back()
    {
        if (Host.Options.DefaultIsolation == "container") Require.OnDisk(Host.Options.DataRoot);
        // Page cache, which can be taken from it, in the memory of its own or of its machine.
        var low = await Host.RunAsync(Host.Config("sh", "-c", "dd if=/dev/zero of=/tmp/file bs=1M count=64 2>/dev/null; echo written; sleep 600") with
        {
            Resources = new ResourceLimits { Priority = 10, MemoryReservation = 16L << 20 },
        });
        var high = await Host.RunAsync(Host.Config("sleep", "600") with { Resources = new ResourceLimits { Priority = 90 } });
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(low)).Contains("written"), "the file");
        var before = (await Workloads.StatsAsync(low, false, default)).Current.Memory.Usage;
        Host.Memory.IsShort = true;
        await EngineHost.EventuallyAsync(async () => await TakenAsync(low) > 24L << 20, "memory to be taken");
        Assert.Null(await TakenAsync(high));
        // What a virtual machine gives first is what its guest does not use, so that nothing is seen of it inside.
        if (Host.Options.DefaultIsolation == "container") Assert.True((await Workloads.StatsAsync(low, false, default)).Current.Memory.Usage + (16 << 20) < before);
        Assert.Equal((0, "alive\n", ""), await Host.ExecAsync(low, "echo", "alive"));
        Host.Memory.IsShort = false;
        await EngineHost.EventuallyAsync(async () => await TakenAsync(low) is null, "memory to be given back");
        Assert.True((await Host.InspectAsync(low)).State.IsRunning);
    }

    private async Task<long?> TakenAsync(string id) =>
        (await Workloads.AllocationsAsync(default)).Single(one => one.Id == id).Taken?.Bytes;

    private ICgroup GroupCgroup(string name) => CgroupManager.Name(name, $"{Host.Options.CgroupParent}/group-{name}");

    /// <summary>Microseconds of processor time in 100 ms.</summary>
    private int Quota(string group)
    {
        var cgroup = GroupCgroup(group);
        var (directory, file) = cgroup.Version == CgroupVersion.V2 ? (cgroup.Paths[""], "cpu.max") : (cgroup.Paths["cpu"], "cpu.cfs_quota_us");
        return int.Parse(File.ReadAllText(Path.Combine(directory, file)).Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task A_child_that_is_killed_for_memory_is_announced_while_the_rest_runs_on()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var events = Host.Engine.Events.SubscribeAsync(new EventFilter(), limit.Token);
        var config = Host.Config("sh", "-c", "sh -c 'x=a; while :; do x=$x$x; done'; sleep 600") with
        {
            Resources = new ResourceLimits { Memory = 16L << 20, MemorySwap = 16L << 20 },
        };
        var id = await Host.RunAsync(config);
        await using var reader = events.GetAsyncEnumerator();
        Assert.Contains("start", await UntilAsync("oom"));
        Assert.True((await Host.InspectAsync(id)).State.IsRunning);
        await Host.Engine.Workloads.StopAsync(id, new StopRequest("KILL"), default);
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
