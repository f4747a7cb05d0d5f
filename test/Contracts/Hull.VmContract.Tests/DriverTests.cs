using System.Text;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Vm;
using Hull.Oci.Runtime;
using Hull.Testing;

namespace Hull.VmContract.Tests;

/// <summary>The VM driver with a real shim, without an engine above it.</summary>
public sealed class DriverTests(VmFixture vm) : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new("vm-drv");
    private VmDriver _driver = null!;

    public ValueTask InitializeAsync()
    {
        _ = vm;
        TestImage.Make(_directory);
        _driver = NewDriver();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _driver.DisposeAsync();
        _directory.Dispose();
    }

    [Fact]
    public async Task Output_exit_code_and_writes_survive_a_restart()
    {
        var spec = Spec("cat /kept 2>/dev/null; echo once > /kept; id -u; exit 5");
        for (var run = 0; run < 2; run++)
        {
            await using var instance = await _driver.CreateAsync(spec, default);
            await using var attachment = await instance.AttachAsync(StreamSelection.Output, default);
            await instance.StartAsync(default);
            Assert.Equal(run == 0 ? "0\n" : "once\n0\n", await ReadAsync(attachment));
            Assert.Equal(5, (await instance.Exited).Code);
            await instance.DeleteAsync(default);
            Assert.False(Directory.Exists(spec.RuntimeDirectory));
            // The first machine makes the disk writable that its template had mounted, the second mounts it: 4 and more are errors.
            var check = Command.Run("e2fsck", "-f", "-p", Path.Combine(spec.StateDirectory, "writable.img"));
            Assert.True(check.ExitCode is 0 or 1, check.Output + check.Error);
        }
    }

    [Fact]
    public async Task An_exec_runs_beside_the_init_and_both_end()
    {
        await using var instance = await _driver.CreateAsync(Spec("trap 'exit 8' TERM; while :; do sleep 1; done"), default);
        await instance.StartAsync(default);
        var exec = await instance.ExecAsync(new ExecSpec
        {
            ExecId = new string('e', 64), Arguments = ["/bin/sh", "-c", "echo in; cat; exit 3"], Environment = ["PATH=/bin"],
            Stdio = new StdioSpec(OpenInput: true), Attach = StreamSelection.All,
        }, default);
        await using (var attachment = exec.Attachment!)
        {
            await attachment.WriteInputAsync("typed\n"u8.ToArray(), default);
            await attachment.CloseInputAsync();
            Assert.Equal("in\ntyped\n", await ReadAsync(attachment));
        }

        Assert.Equal(3, (await exec.Exited).Code);
        await instance.PauseAsync(default);
        Assert.Equal(InstanceStatus.Paused, instance.Status);
        await instance.ResumeAsync(default);
        await instance.SignalAsync(15, everyProcess: false, default);
        Assert.Equal(8, (await instance.Exited).Code);
        await instance.DeleteAsync(default);
    }

    [Fact]
    public async Task A_terminal_has_its_size()
    {
        var spec = Spec("stty size; tty > /dev/null && echo tty") with { Stdio = new StdioSpec(Terminal: true) { Columns = 101, Rows = 33 } };
        spec = spec with { Spec = spec.Spec with { Process = spec.Spec.Process! with { Terminal = true } } };
        await using var instance = await _driver.CreateAsync(spec, default);
        await using var attachment = await instance.AttachAsync(StreamSelection.Output, default);
        await instance.ResizeAsync(101, 33, default);
        await instance.StartAsync(default);
        Assert.Contains("33 101\r\n", await ReadAsync(attachment));
        await instance.Exited;
        await instance.DeleteAsync(default);
    }

    [Fact]
    public async Task An_engine_that_starts_anew_finds_its_machine()
    {
        var spec = Spec("trap 'exit 8' TERM; while :; do sleep 1; done");
        var instance = await _driver.CreateAsync(spec, default);
        await instance.StartAsync(default);
        await _driver.DisposeAsync();
        await instance.DisposeAsync();

        _driver = NewDriver();
        await using var found = await _driver.ReconnectAsync(spec, default);
        Assert.NotNull(found);
        Assert.Equal(InstanceStatus.Running, found.Status);
        await found.SignalAsync(9, everyProcess: false, default);
        Assert.Equal(137, (await found.Exited).Code);
        await found.DeleteAsync(default);
    }

    private VmDriver NewDriver()
    {
        var data = Path.Combine(Repository.Root, "out", "vm-driver");
        return new VmDriver(new EngineOptions
        {
            DataRoot = data, ExecRoot = _directory["run"], ShimPath = Repository.Executable("hull-shim"),
        });
    }

    private InstanceSpec Spec(string script)
    {
        var id = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        Directory.CreateDirectory(_directory["state/" + id]);
        return new InstanceSpec
        {
            Id = id,
            RuntimeDirectory = _directory["i/" + id[..8]],
            StateDirectory = _directory["state/" + id],
            Root = new InstanceRoot { LayerFiles = [_directory["l0.erofs"], _directory["l1.erofs"]] },
            Stdio = new StdioSpec(),
            Log = new LogSpec { Driver = "none" },
            Spec = new Spec
            {
                OciVersion = "1.2.0",
                Hostname = "driven",
                Process = new ProcessSpec { Args = ["/bin/sh", "-c", script], Cwd = "/", Env = ["PATH=/bin"] },
                Mounts =
                [
                    new MountSpec { Destination = "/proc", Type = "proc", Source = "proc" },
                    new MountSpec { Destination = "/dev", Type = "tmpfs", Source = "tmpfs" },
                    new MountSpec { Destination = "/dev/pts", Type = "devpts", Source = "devpts", Options = ["newinstance", "ptmxmode=0666"] },
                ],
                Linux = new LinuxSpec
                {
                    CgroupsPath = "/hull-vm-driver/" + id,
                    Namespaces = [.. ((string[])["pid", "mount", "uts", "ipc", "network"]).Select(type => new NamespaceSpec { Type = type })],
                },
            },
        };
    }

    private static async Task<string> ReadAsync(IAttachment attachment)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        OutputChunk chunk;
        while ((chunk = await attachment.ReadAsync(buffer, default)).Count > 0) text.Append(Encoding.UTF8.GetString(buffer, 0, chunk.Count));
        return text.ToString();
    }
}
