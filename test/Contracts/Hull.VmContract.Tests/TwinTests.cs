using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Engine.Drivers.Vm;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Linux.Cgroups;
using Hull.Testing;

namespace Hull.VmContract.Tests;

/// <summary>Machines that begin as twins of a live template's process, kept by the program hull-vm.</summary>
public sealed class TwinTests(VmFixture vm) : IDisposable
{
    private const int Twins = 50;

    private readonly TemporaryDirectory _directory = new("vm-twin");
    private readonly string _cgroup = "/hull-test-" + Guid.NewGuid().ToString("N")[..8];
    private readonly List<string> _cgroups = [];
    private Process? _keeper;

    [Fact]
    public async Task Every_twin_is_a_machine_of_its_own()
    {
        var live = await StartAsync();
        var layers = TestImage.Make(_directory);
        var seen = new HashSet<string>();
        for (var index = 0; index < Twins; index++)
        {
            var before = DateTimeOffset.UtcNow;
            await using var twin = await TwinAsync(live, layers, index);
            var text = await RunAsync(twin, layers, index,
                "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; hostname; cat /etc/machine-id; cat /sys/class/net/eth0/address; date +%s; cat /proc/sys/kernel/random/boot_id; ip -4 addr show eth0 | tr -s ' ' | grep inet | cut -d' ' -f3");
            var lines = text.TrimEnd('\n').Split('\n');
            Assert.Equal(7, lines.Length);
            Assert.Equal($"twin{index}", lines[1]);
            Assert.Equal(MachineId(index), lines[2]);
            Assert.Equal(MacAddress(index), lines[3]);
            Assert.Equal($"192.0.2.{index + 10}/24", lines[6]);
            Assert.InRange(DateTimeOffset.FromUnixTimeSeconds(long.Parse(lines[4], CultureInfo.InvariantCulture)), before.AddSeconds(-1), DateTimeOffset.UtcNow.AddSeconds(1));
            foreach (var value in (string[])[lines[0], lines[1], lines[2], lines[3], lines[5]])
                Assert.True(seen.Add(value), $"twin {index} has {value} in common with another");
        }
    }

    [Fact]
    public async Task A_twin_is_jailed_and_writes_to_its_own_disk_alone()
    {
        var live = await StartAsync();
        var layers = TestImage.Make(_directory);
        await using var one = await TwinAsync(live, layers, 1);
        await using var other = await TwinAsync(live, layers, 2);
        Assert.Equal("", await RunAsync(one, layers, 1, "echo written > /here; sync"));
        Assert.Equal("none\n", await RunAsync(other, layers, 2, "cat /here 2> /dev/null || echo none"));
        foreach (var (twin, index) in ((SandboxMachine, int)[])[(one, 1), (other, 2)])
        {
            var user = QemuJail.UserFor(IdOf(index)).ToString(CultureInfo.InvariantCulture);
            var status = File.ReadAllLines($"/proc/{twin.Machine.ProcessId}/status");
            Assert.Contains($"Uid:\t{user}\t{user}\t{user}\t{user}", status);
            Assert.Contains("CapBnd:\t0000000000000000", status);
            Assert.Contains("Seccomp:\t2", status);
            foreach (var kind in (string[])["mnt", "net", "ipc", "uts"])
                Assert.NotEqual(Namespace(live.Process, kind), Namespace(twin.Machine.ProcessId, kind));
            Assert.DoesNotContain(" /proc ", File.ReadAllText($"/proc/{twin.Machine.ProcessId}/mountinfo"));
            Assert.Contains($"hull-{IdOf(index)[..12]}", File.ReadAllText($"/proc/{twin.Machine.ProcessId}/cmdline"));
            // None of the original's sockets and disks is left open in it.
            var files = Directory.GetFiles($"/proc/{twin.Machine.ProcessId}/fd").Select(path => new FileInfo(path).LinkTarget).ToList();
            Assert.DoesNotContain(files, file => file!.StartsWith("socket:", StringComparison.Ordinal) && LinksOf(live.Process).Contains(file));
            Assert.DoesNotContain(files, file => file!.EndsWith("used.img", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Twins_outlive_their_template_which_ends_with_its_keeper()
    {
        var live = await StartAsync();
        var layers = TestImage.Make(_directory);
        await using var twin = await TwinAsync(live, layers, 3);
        _keeper!.Kill();
        await _keeper.WaitForExitAsync();
        for (var wait = 0; Runs(live.Process) && wait < 1000; wait++) await Task.Delay(10);
        Assert.False(Runs(live.Process));
        Assert.Equal("alive\n", await RunAsync(twin, layers, 3, "echo alive"));
        await Assert.ThrowsAsync<HullException>(() => TwinAsync(live, layers, 4));
    }

    /// <summary>A process that ended may be there until somebody asks how (proc_pid_stat(5), state Z).</summary>
    private static bool Runs(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1][0] != 'Z';
        }
        catch (IOException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        if (_keeper is not null)
        {
            _keeper.StandardInput.Close();
            _keeper.WaitForExit(TimeSpan.FromSeconds(30));
            _keeper.Dispose();
        }

        foreach (var path in _cgroups)
        {
            CgroupManager.Name("twin", path).Kill(9);
            CgroupManager.Name("twin", path).Remove();
        }

        CgroupManager.Name("twin", _cgroup).Remove();
        _directory.Dispose();
    }

    private static string IdOf(int index) => index.ToString("x64", CultureInfo.InvariantCulture)[52..] + new string('0', 52);

    private static string MacAddress(int index) => $"02:00:00:00:02:{index:x2}";

    private static string MachineId(int index) => index.ToString("x32", CultureInfo.InvariantCulture);

    private static string? Namespace(int process, string kind) => new FileInfo($"/proc/{process}/ns/{kind}").LinkTarget;

    private static HashSet<string?> LinksOf(int process) => [.. Directory.GetFiles($"/proc/{process}/fd").Select(path => new FileInfo(path).LinkTarget)];

    private async Task<LiveTemplate> StartAsync()
    {
        Assert.SkipUnless(vm.Hypervisor.Accelerator.Name == "tcg", "live templates are of emulated machines");
        var home = Directory.CreateDirectory(_directory["live"]).FullName;
        var guest = new GuestSource(vm.Hypervisor.Installation.Program, vm.Hypervisor.Installation.Build, "tcg", "", vm.Guest.Digest, vm.Guest.Kernel, vm.Guest.Initrd, vm.Guest.Release);
        var source = new TemplateSource(vm.Template.Key, $"/proc/{Environment.ProcessId}/fd/{vm.Template.Memory.Descriptor.Value}", vm.Template.StatePath, vm.Template.WritablePath);
        _cgroups.Add(_cgroup + "/live");
        var request = new LiveTemplateRequest(guest, source, vm.Template.Shape.MemoryBytes, vm.Template.Shape.Processors, home, _cgroup + "/live", RehearsalLayer.In(_directory.Path, Repository.Executable("hull-vm")));
        File.WriteAllText(_directory["request.json"], JsonSerializer.Serialize(request, LiveTemplateJson.Default.LiveTemplateRequest));
        _keeper = Process.Start(new ProcessStartInfo(Repository.Executable("hull-vm"), ["live", _directory["request.json"]])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var line = await _keeper.StandardOutput.ReadLineAsync();
        return line is null ? throw new InvalidOperationException(await _keeper.StandardError.ReadToEndAsync())
            : JsonSerializer.Deserialize(line, LiveTemplateJson.Default.LiveTemplate)!;
    }

    private async Task<SandboxMachine> TwinAsync(LiveTemplate live, LayerDisk layers, int index)
    {
        var id = IdOf(index);
        var home = Directory.CreateDirectory(_directory["m" + index]).FullName;
        var disk = Path.Combine(home, "writable.img");
        new WritableDisk(_directory["disks"]).Create(disk, source: vm.Template.WritablePath);
        _cgroups.Add($"{_cgroup}/m{index}");
        return await SandboxMachine.TwinAsync(vm.Hypervisor, vm.Template, live, new SandboxOptions(id[..12], layers, disk, null,
            Path.Combine(home, "console.log"), Path.Combine(home, "qemu.log"),
            new QemuJail(Path.Combine(home, "vmm"), $"{_cgroup}/m{index}", QemuJail.UserFor(id), [])));
    }

    private static async Task<string> RunAsync(SandboxMachine machine, LayerDisk layers, int index, string script)
    {
        var network = new NetworkSetup([new InterfaceSetup(0, "eth0", MacAddress(index), [$"192.0.2.{index + 10}/24"], 1400)], []);
        await machine.Agent.ReleaseAsync(new ReleaseRequest(RandomNumberGenerator.GetBytes(64),
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000, $"twin{index}", MachineId(index), network));
        await using var text = machine.Agent.OpenStream();
        await machine.Agent.CreateContainerAsync(new CreateContainerRequest("c", CloneTests.Spec(script, $"twin{index}"),
            new RootLayout(SandboxShape.LayersDisk, layers.Extents, SandboxShape.WritableDisk, IsPrepared: true), [], [], new StreamIds(0, text.Id, 0), 0, 0));
        await machine.Agent.StartContainerAsync("c");
        var exit = await machine.Agent.WaitForExitAsync(new ProcessTarget("c", ""));
        Assert.Equal(0u, exit.ExitCode);
        return await text.ReadTextAsync();
    }
}
