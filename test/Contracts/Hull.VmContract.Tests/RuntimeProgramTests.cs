using System.Text.Json;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.VmContract.Tests;

/// <summary>The program hull-vm, driven by its command line as a supervisor does.</summary>
public sealed class RuntimeProgramTests(VmFixture vm, ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryDirectory _directory = new("vm-rt");
    private readonly string _program = Repository.Executable("hull-vm");

    [Fact]
    public void A_container_runs_to_its_exit_code()
    {
        var id = Bundle("cat /etc/layer; echo to-error >&2; exit 7");
        Create(id);
        Runtime("start", id).Ok();
        Assert.Equal(7, WaitForEnd());
        Assert.Equal("top\n", File.ReadAllText(_directory["out"]));
        Assert.Equal("to-error\n", File.ReadAllText(_directory["err"]));
        Runtime("delete", "--force", id).Ok();
    }

    [Fact]
    public void Exec_signals_and_state()
    {
        var id = Bundle("trap 'echo term; exit 9' TERM; echo up; while :; do sleep 1; done");
        Create(id);
        Assert.Contains("\"running\"", Runtime("state", id).Ok().Output);
        Runtime("start", id).Ok();
        File.WriteAllText(_directory["process.json"],
            """{"args":["/bin/sh","-c","echo from-exec; exit 4"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}""");
        Command.Shell($"{_program} --root {_directory["root"]} exec --detach --process {_directory["process.json"]} --pid-file {_directory["exec.pid"]} {id} > {_directory["exec.out"]} 2>&1 < /dev/null").Ok();
        Eventually(() => File.ReadAllText(_directory["exec.out"]) == "from-exec\n");
        Eventually(() => File.ReadAllText(_directory["out"]) == "up\n");
        Runtime("kill", id, "TERM").Ok();
        Assert.Equal(9, WaitForEnd());
        Assert.Equal("up\nterm\n", File.ReadAllText(_directory["out"]));
        Runtime("delete", id).Ok();
        Assert.Equal(1, Runtime("state", id).ExitCode);
    }

    public void Dispose() => _directory.Dispose();

    /// <summary>As a shim does: the process that create leaves behind becomes a child of this one.</summary>
    private void Create(string id)
    {
        Check.Result(ProcessCalls.Prctl(Prctl.PR_SET_CHILD_SUBREAPER, 1), $"become a subreaper");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var line = $"{_program} --root {_directory["root"]} --log {_directory["log"]} --log-format json create --bundle {_directory["bundle"]} --pid-file {_directory["pid"]} {id}";
        var result = Command.Shell($"{line} > {_directory["out"]} 2> {_directory["err"]} < /dev/null");
        if (result.ExitCode != 0) throw new InvalidOperationException(File.ReadAllText(_directory["err"]));
        output.WriteLine($"create {watch.ElapsedMilliseconds} ms");
    }

    private CommandResult Runtime(params string[] arguments) => Command.Run(_program, ["--root", _directory["root"], .. arguments]);

    private string Bundle(string script)
    {
        var layers = TestImage.Make(_directory);
        Directory.CreateDirectory(_directory["bundle"]);
        var template = vm.Template;
        var guest = vm.Guest;
        var bundle = new VmBundle
        {
            HostName = "tested",
            MachineId = new string('1', 32),
            MemoryBytes = SandboxShape.Default.MemoryBytes,
            Guest = new GuestSource(vm.Hypervisor.Installation.Program, vm.Hypervisor.Installation.Build, vm.Hypervisor.Accelerator.Name,
                vm.Hypervisor.Accelerator.Reason, guest.Digest, guest.Kernel, guest.Initrd, guest.Release),
            Template = new TemplateSource(template.Key, $"/proc/{Environment.ProcessId}/fd/{template.Memory.Descriptor.Value}", template.StatePath, template.WritablePath),
            Layers = [_directory["l0.erofs"], _directory["l1.erofs"]],
        };
        File.WriteAllText(_directory["bundle/vm.json"], JsonSerializer.Serialize(bundle, VmBundleJson.Default.VmBundle));
        var id = "hull-vm-test-" + Guid.NewGuid().ToString("N")[..8];
        var arguments = JsonSerializer.Serialize<string[]>(["/bin/sh", "-c", script]);
        File.WriteAllText(_directory["bundle/config.json"],
            $$$"""
            {"ociVersion":"1.2.0","process":{"args":{{{arguments}}},"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}},
             "root":{"path":"rootfs"},"hostname":"tested",
             "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
             "linux":{"cgroupsPath":"/{{{id}}}","namespaces":[{"type":"pid"},{"type":"mount"},{"type":"uts"},{"type":"ipc"}]}}
            """);
        return id;
    }

    private int WaitForEnd()
    {
        var pid = int.Parse(File.ReadAllText(_directory["pid"]));
        var word = 0;
        Eventually(() => ProcessCalls.Wait(pid, Waiting.WNOHANG, out word) == pid);
        return ExitStatus.FromWaitStatus(word).ShellCode;
    }

    private static void Eventually(Func<bool> condition)
    {
        for (var attempt = 0; !condition(); attempt++)
        {
            if (attempt > 600) throw new TimeoutException("it did not happen within a minute");
            Thread.Sleep(100);
        }
    }
}
