using System.Diagnostics;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary><c>hull doctor</c> finds what was planted, says how to be rid of it, and is content again afterwards.</summary>
public sealed class DoctorTests : IDisposable
{
    private readonly TemporaryDirectory scratch = new("doctor");
    private readonly EngineDaemon engine;
    private readonly string id = new('a', 64);

    public DoctorTests()
    {
        BusyboxRoot.Make(scratch["root"]);
        engine = new EngineDaemon();
        engine.Import(scratch["root"]);
        engine.PostAsync("/containers/create?name=one", new JsonObject { ["Image"] = "busybox", ["Cmd"] = new JsonArray("sleep", "600") }).GetAwaiter().GetResult().Ok();
        engine.PostAsync("/containers/one/start").GetAwaiter().GetResult().Ok();
    }

    public void Dispose()
    {
        engine.Dispose();
        scratch.Dispose();
    }

    [Fact]
    public void A_planted_cgroup_is_found()
    {
        var hierarchy = new[] { "/sys/fs/cgroup", "/sys/fs/cgroup/pids" }.First(path => Directory.Exists(path + engine.CgroupParent));
        Planted("cgroup", hierarchy + engine.CgroupParent + "/" + id, path => Directory.CreateDirectory(path), Directory.Delete);
    }

    [Fact]
    public void Planted_runtime_files_are_found() =>
        Planted("runtime", Path.Combine(engine.Path, "run/i", id[..32]), path => Directory.CreateDirectory(path), Directory.Delete);

    [Fact]
    public void A_planted_state_directory_is_found() =>
        Planted("state", Path.Combine(engine.Path, "data/workloads", id), path => Directory.CreateDirectory(path), Directory.Delete);

    [Fact]
    public void A_planted_device_is_found()
    {
        var ours = engine.InNetwork("sh", "-c", "ls /sys/class/net").Output;
        var veth = engine.InNetwork("ip", "-o", "link", "show", "type", "veth").Ok().Output.Split(' ')[1].TrimEnd(':').Split('@')[0];
        var name = veth[..^2] + (veth.EndsWith("00", StringComparison.Ordinal) ? "11" : "00");
        Assert.DoesNotContain(name, ours, StringComparison.Ordinal);
        Planted("veth", name, _ => engine.InNetwork("ip", "link", "add", name, "type", "veth", "peer", "name", "planted").Ok(), _ => engine.InNetwork("ip", "link", "delete", name).Ok());
    }

    [Fact]
    public void A_planted_shim_is_found()
    {
        var fifo = Path.Combine(engine.Path, "run/i", id[..32]);
        Command.Run("mkfifo", fifo).Ok();
        // A program that looks like a shim on its command line, and waits.
        using var planted = Process.Start(new ProcessStartInfo("bash") { ArgumentList = { "-c", "exec -a hull-shim cat \"$0\"", fifo } })!;
        try
        {
            Assert.True(SpinWait.SpinUntil(() => File.ReadAllText($"/proc/{planted.Id}/cmdline").StartsWith("hull-shim", StringComparison.Ordinal), TimeSpan.FromSeconds(10)));
            var text = Leaks(1);
            Assert.Contains($"process {planted.Id}", text, StringComparison.Ordinal);
            Assert.Contains($"kill -9 {planted.Id}", text, StringComparison.Ordinal);
        }
        finally
        {
            planted.Kill();
            planted.WaitForExit();
            File.Delete(fifo);
        }

        Leaks(0);
    }

    [Fact]
    public void A_machine_is_described_with_or_without_an_engine()
    {
        var known = engine.Hull("doctor", "--format", "json");
        Assert.Contains("\"Area\":\"kernel\"", known.Output, StringComparison.Ordinal);
        Assert.Contains("\"Area\":\"leaks\",\"Level\":\"ok\"", known.Output, StringComparison.Ordinal);
        var alone = engine.Hull("-H", "unix://" + scratch["none"], "doctor", "--format", "json");
        Assert.Equal(1, alone.ExitCode);
        Assert.Contains("\"Area\":\"engine\",\"Level\":\"error\"", alone.Output, StringComparison.Ordinal);
        Assert.Contains("\"Area\":\"cgroups\"", alone.Output, StringComparison.Ordinal);
    }

    private void Planted(string kind, string subject, Action<string> plant, Action<string> remove)
    {
        Leaks(0);
        plant(subject);
        try
        {
            Assert.Contains($"{kind} {subject}", Leaks(1), StringComparison.Ordinal);
        }
        finally
        {
            remove(subject);
        }

        Leaks(0);
    }

    private string Leaks(int code)
    {
        var result = engine.Hull("doctor", "--leaks");
        Assert.True(result.ExitCode == code, result.Output + result.Error);
        return result.Output;
    }
}
