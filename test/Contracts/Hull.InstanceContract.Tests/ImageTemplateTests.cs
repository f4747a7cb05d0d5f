using System.Globalization;
using System.Text.Json;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Templates;
using Hull.Images;
using Hull.Linux.Cgroups;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Virtual machines that begin with their container created, from a template of their image.</summary>
public sealed class ImageTemplateTests : IAsyncLifetime
{
    private const string Identity = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; cat /proc/sys/kernel/random/boot_id; echo $HOSTNAME-; date +%s";

    private EngineHost _host = null!;
    private VmDriver _driver = null!;
    private readonly EngineHost.Pressure _memory = new();

    public async ValueTask InitializeAsync()
    {
        (_host, _driver) = await VmDrivers.StartAsync(options => options with { TenantLabels = ["tenant"] }, _memory);
        VmDrivers.RequireTwins(_driver, "only twins begin from a template of their image");
    }

    public ValueTask DisposeAsync() => _host?.DisposeAsync() ?? ValueTask.CompletedTask;

    [Fact]
    public async Task Each_is_somebody_of_its_own_and_runs_a_program_of_its_own()
    {
        await ReadyAsync();
        var seen = new HashSet<string>();
        for (var index = 0; index < 4; index++)
        {
            var began = DateTimeOffset.UtcNow;
            var config = _host.Config("sh", "-c", Identity + $"; echo $ROUND; exit {index}");
            config = config with { Process = config.Process with { Environment = [$"ROUND=round {index}"] } };
            var (code, output, error) = await _host.CompleteAsync(config);
            Assert.Equal((index, ""), (code, error));
            var lines = output.TrimEnd('\n').Split('\n');
            Assert.Equal(7, lines.Length);
            Assert.Equal(($"round {index}", lines[0] + "-"), (lines[6], lines[4]));
            Assert.InRange(DateTimeOffset.FromUnixTimeSeconds(long.Parse(lines[5], CultureInfo.InvariantCulture)), began.AddSeconds(-1), DateTimeOffset.UtcNow.AddSeconds(1));
            foreach (var line in lines[..4]) Assert.True(seen.Add(line), $"{line} is of two machines");
        }
    }

    [Fact]
    public async Task What_a_running_one_can_do_is_what_others_can()
    {
        await ReadyAsync();
        var id = await _host.RunAsync("sh", "-c", "echo begun; echo mine > /file; trap 'echo asked; exit 3' TERM; while :; do sleep 0.05; done");
        Assert.Equal(ImageContainer.Id, Template(id).Live!.Container);
        await EngineHost.EventuallyAsync(async () => await _host.LogsAsync(id) == "begun\n", "its output");
        Assert.Equal((0, "mine\n", ""), await _host.ExecAsync(id, "cat", "/file"));
        Assert.Equal((4, "given", ""), await _host.ExecAsync(id, new ExecConfig { Command = ["sh", "-c", "cat; exit 4"] }, "given"));
        var stats = (await _host.Engine.Workloads.StatsAsync(id, false, default)).Current;
        Assert.InRange(stats.Pids.Current, 1ul, 10ul);
        var fork = Assert.Single((await _host.Engine.Workloads.ForkAsync(id, new ForkRequest(1, []), default)).Ids);
        Assert.Equal((0, "mine\n", ""), await _host.ExecAsync(fork, "cat", "/file"));
        Assert.NotEqual(await _host.ExecAsync(id, "hostname"), await _host.ExecAsync(fork, "hostname"));
        await _host.Engine.Workloads.StopAsync(id, new StopRequest(), default);
        Assert.Equal(3, (await _host.InspectAsync(id)).State.ExitCode);
        Assert.EndsWith("asked\n", await _host.LogsAsync(id));
        // It goes on with the disk that it has written, and so not from the template.
        await _host.Engine.Workloads.StartAsync(id, default);
        Assert.Null(Template(id).Live?.Container);
        Assert.Equal((0, "mine\n", ""), await _host.ExecAsync(id, "cat", "/file"));
        var other = await _host.RunAsync("sleep", "600");
        Assert.Equal(ImageContainer.Id, Template(other).Live!.Container);
        Assert.NotEqual(0, (await _host.ExecAsync(other, "cat", "/file")).Code);
        foreach (var one in (string[])[id, fork, other]) await _host.Engine.Workloads.RemoveAsync(one, new RemoveRequest(Force: true), default);
    }

    [Fact]
    public async Task A_terminal_and_an_input_are_its_own()
    {
        var config = _host.Config("sh", "-c", "stty size; read x; echo got $x");
        config = config with { Process = config.Process with { Terminal = true, OpenInput = true, Columns = 91, Rows = 37 } };
        await ReadyAsync(config);
        for (var round = 0; round < 2; round++)
        {
            var id = await _host.CreateAsync(config with { Process = config.Process with { Columns = 100 + round } });
            await using var attachment = await _host.Engine.Workloads.AttachAsync(id, new AttachRequest(StreamSelection.All), default);
            await _host.Engine.Workloads.StartAsync(id, default);
            Assert.Equal(ImageContainer.Id, Template(id).Live!.Container);
            await attachment.WriteInputAsync("what was typed\n"u8.ToArray(), default);
            var (output, _) = await EngineHost.ReadAllAsync(attachment);
            Assert.StartsWith($"37 {100 + round}\r\n", output.Replace("what was typed\r\n", ""));
            Assert.EndsWith("got what was typed\r\n", output);
            await _host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        }
    }

    [Theory]
    [InlineData("no-such-program", ErrorKind.CommandNotFound, "executable file not found in $PATH")]
    [InlineData("/no/such/program", ErrorKind.CommandNotFound, "/no/such/program")]
    [InlineData("/etc", ErrorKind.CommandNotExecutable, "/etc")]
    public async Task A_program_that_cannot_run_is_said_as_ever(string program, ErrorKind kind, string text)
    {
        await ReadyAsync();
        var id = await _host.CreateAsync(program);
        var failure = await Assert.ThrowsAsync<HullException>(() => _host.Engine.Workloads.StartAsync(id, default));
        Assert.Equal(kind, failure.Kind);
        Assert.Contains(text, failure.FullMessage);
        Assert.Equal(0, (await _host.CompleteAsync("true")).Code);
    }

    [Fact]
    public async Task One_that_differs_in_what_is_created_begins_otherwise_and_tenants_share_none()
    {
        await ReadyAsync();
        var config = _host.Config("sleep", "600");
        foreach (var other in (WorkloadConfig[])
        [
            config with { Process = config.Process with { User = "1000:1000" } },
            config with { Process = config.Process with { WorkingDirectory = "/tmp" } },
            config with { Process = config.Process with { OpenInput = true } },
            config with { Labels = new Dictionary<string, string> { ["tenant"] = "other" } },
            config with { Resources = config.Resources with { PidsLimit = 77 } },
        ])
        {
            var id = await _host.RunAsync(other);
            Assert.Null(Template(id).Live?.Container);
            await _host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        }
    }

    [Fact]
    public async Task It_goes_for_memory_and_with_what_it_was_made_of_and_nobody_misses_it()
    {
        await ReadyAsync();
        Assert.Equal(2, LiveProcesses().Count);
        await _host.Engine.Workloads.PruneAsync(PruneFilter.None, default);
        await EngineHost.EventuallyAsync(() => Task.FromResult(_driver.Describe()["image-templates"] == "0" && LiveProcesses().Count == 1), "the image's template to end");
        await ReadyAsync();
        _memory.IsShort = true;
        await EngineHost.EventuallyAsync(() => Task.FromResult(LiveProcesses().Count == 1), "the image's template to end");
        // None is made while memory is short, and machines are made all the same.
        for (var round = 0; round < 2; round++) Assert.Equal(0, (await _host.CompleteAsync("true")).Code);
        Assert.Single(LiveProcesses());
        _memory.IsShort = false;
        await ReadyAsync();
        var id = await _host.RunAsync("sleep", "600");
        // Both at once, without a word: what it was made of is its parent's child as it is itself.
        ProcessCalls.Kill(LiveProcesses().Min(), 9);
        await EngineHost.EventuallyAsync(() => Task.FromResult(LiveProcesses().Count == 0), "both templates to end");
        Assert.Equal((0, "here\n", ""), await _host.CompleteAsync("echo", "here"));
        Assert.Equal((0, "there\n", ""), await _host.ExecAsync(id, "echo", "there"));
        await _host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
    }

    /// <summary>Has a template made of what is run that way.</summary>
    private async Task ReadyAsync(WorkloadConfig? form = null)
    {
        form = (form ?? _host.Config()) with { };
        form = form with { Process = form.Process with { Command = ["true"], Entrypoint = [] } };
        for (var round = 0; round < 2; round++) Assert.Equal(0, (await _host.CompleteAsync(form)).Code);
        await EngineHost.EventuallyAsync(() => Task.FromResult(_driver.Describe()["image-templates"] == "1"), "a template of the image");
    }

    private TemplateSource Template(string id) => JsonSerializer.Deserialize(
        File.ReadAllBytes(Path.Combine(_host.Options.ExecRoot, "i", id[..32], VmBundle.FileName)), VmBundleJson.Default.VmBundle)!.Template!;

    /// <summary>Monitors of live templates: of a shape's, and of images'.</summary>
    private List<int> LiveProcesses() =>
    [
        .. CgroupManager.Name("live", _host.Options.CgroupParent).Processes()
            .Where(pid => File.Exists($"/proc/{pid}/cgroup") && File.ReadAllText($"/proc/{pid}/cgroup").Contains(_host.Options.CgroupParent + "/live-", StringComparison.Ordinal)),
    ];
}
