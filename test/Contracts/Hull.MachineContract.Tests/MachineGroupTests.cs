using System.Text.Json;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Full machines in groups, and their priorities. Nothing boots in them.</summary>
public sealed class MachineGroupTests : IDisposable
{
    private readonly EngineDaemon _engine;

    public MachineGroupTests()
    {
        Require.Program("qemu-system-x86_64");
        _engine = new EngineDaemon();
    }

    public void Dispose()
    {
        if (!_engine.IsRunning) _engine.Start();
        foreach (var machine in _engine.Hull("vm", "ls", "-q").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)) _engine.Hull("vm", "rm", "-f", machine);
        _engine.Hull("group", "rm", "shop");
        _engine.Dispose();
    }

    [Fact]
    public async Task A_machine_shares_the_allowance_of_its_group_and_is_a_member_of_it()
    {
        Assert.Contains("no such group", _engine.Hull("vm", "create", "--disk-size", "16m", "--group", "shop", "box").Error, StringComparison.Ordinal);
        _engine.Hull("group", "create", "--memory", "1g", "--memory-reservation", "64m", "--priority", "20", "shop").Ok();
        Assert.Contains("group shop has a reservation of 64 MiB", _engine.Hull("vm", "create", "--disk-size", "16m", "--memory", "128m", "--memory-reservation", "100m", "--group", "shop", "box").Error, StringComparison.Ordinal);
        _engine.Hull("vm", "create", "--disk-size", "16m", "--memory", "64m", "--memory-reservation", "48m", "--group", "shop", "--start", "box").Ok();
        _engine.Hull("vm", "create", "--disk-size", "16m", "--memory", "64m", "--priority", "70", "--start", "other").Ok();

        var box = Inspect("box");
        Assert.EndsWith($"{_engine.CgroupParent}/group-shop/monitor-{box.GetProperty("id").GetString()![..16]}", CgroupOf(box), StringComparison.Ordinal);
        Assert.Equal("shop", box.GetProperty("group").GetString());
        Assert.EndsWith($"{_engine.CgroupParent}/monitor-{Inspect("other").GetProperty("id").GetString()![..16]}", CgroupOf(Inspect("other")), StringComparison.Ordinal);
        Assert.Contains("box", _engine.Hull("group", "ls").Output, StringComparison.Ordinal);
        Assert.Equal(["shop", "20"], Row("box")[^4..^2]);
        Assert.Equal(["-", "70"], Row("other")[^4..^2]);

        // It is found again where it is, and is no leak there.
        _engine.Kill();
        _engine.Start();
        Assert.Contains("has members: remove box first", _engine.Hull("group", "rm", "shop").Error, StringComparison.Ordinal);
        Assert.DoesNotContain("cgroup", (await _engine.GetAsync("/hull/v1/doctor?leaks=1")).Text, StringComparison.Ordinal);
        Assert.Contains("runs: stop it before", _engine.Hull("vm", "edit", "--group", "", "box").Error, StringComparison.Ordinal);
        _engine.Hull("vm", "edit", "--priority", "30", "box").Ok();
        Assert.Equal(["shop", "30"], Row("box")[^4..^2]);
        Assert.Contains("priority 101", _engine.Hull("vm", "edit", "--priority", "101", "box").Error, StringComparison.Ordinal);

        _engine.Hull("vm", "stop", "-t", "0", "box").Ok();
        _engine.Hull("vm", "edit", "--group", "", "box").Ok();
        _engine.Hull("group", "rm", "shop").Ok();
        _engine.Hull("vm", "start", "box").Ok();
        Assert.EndsWith($"{_engine.CgroupParent}/monitor-{box.GetProperty("id").GetString()![..16]}", CgroupOf(Inspect("box")), StringComparison.Ordinal);
    }

    private JsonElement Inspect(string machine) => JsonDocument.Parse(_engine.Hull("vm", "ls", "--format", "json").Ok().Output
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).First(line => line.Contains($"\"{machine}\"", StringComparison.Ordinal))).RootElement;

    private static string CgroupOf(JsonElement machine) =>
        File.ReadLines($"/proc/{machine.GetProperty("processId").GetInt32()}/cgroup").First(line => line.Contains(":pids:", StringComparison.Ordinal) || line.StartsWith("0::/hull", StringComparison.Ordinal));

    /// <summary>What <c>hull top</c> says of a machine that does nothing, from its end: group, priority, network, disk.</summary>
    private string[] Row(string machine) => [.. _engine.Hull("top").Ok().Output.Split('\n').First(line => line.Contains($" {machine} ", StringComparison.Ordinal))
        .Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
}
