using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Sandboxes;
using Hull.Testing;

namespace Hull.VmContract.Tests;

public class CloneTests(VmFixture vm, ITestOutputHelper output)
{
    private const int Clones = 50;

    [Fact]
    public async Task The_layers_of_an_image_are_one_root()
    {
        output.WriteLine($"{vm.Hypervisor.Capabilities.AcceleratorReason}; template in {vm.TemplateTime.TotalSeconds:0.0} s");
        using var directory = new TemporaryDirectory("vm-image");
        var (text, code) = await RunAsync(TestImage.Make(directory), 0, "cat /etc/layer /etc/base; echo x > /new && cat /new; exit 3");
        Assert.Equal("top\nbase\nx\n", text);
        Assert.Equal(3u, code);
    }

    /// <summary>Clones of one template would return the same random bytes and have one identity, were it not for the release gate.</summary>
    [Fact]
    public async Task Every_clone_is_a_machine_of_its_own()
    {
        using var directory = new TemporaryDirectory("vm-image");
        var layers = TestImage.Make(directory);
        var seen = new HashSet<string>();
        for (var index = 0; index < Clones; index++)
        {
            var before = DateTimeOffset.UtcNow;
            var (text, code) = await RunAsync(layers, index,
                "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; hostname; cat /etc/machine-id; cat /sys/class/net/eth0/address; date +%s; cat /proc/sys/kernel/random/boot_id");
            var lines = text.TrimEnd('\n').Split('\n');
            Assert.Equal((0u, 6), (code, lines.Length));
            Assert.Equal($"clone{index}", lines[1]);
            Assert.Equal(MachineId(index), lines[2]);
            Assert.Equal(MacAddress(index), lines[3]);
            var time = DateTimeOffset.FromUnixTimeSeconds(long.Parse(lines[4], CultureInfo.InvariantCulture));
            Assert.InRange(time, before.AddSeconds(-1), DateTimeOffset.UtcNow.AddSeconds(1));
            foreach (var value in (string[])[lines[0], lines[1], lines[2], lines[3], lines[5]])
                Assert.True(seen.Add(value), $"clone {index} has {value} in common with another");
        }
    }

    [Fact]
    public void A_template_cannot_be_changed_by_who_has_its_memory()
    {
        Assert.True(vm.Template.Memory.Sealed);
        var path = $"/proc/{Environment.ProcessId}/fd/{vm.Template.Memory.Descriptor.Value}";
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        Assert.ThrowsAny<Exception>(() =>
        {
            file.Write(new byte[4096]);
            file.Flush();
        });
    }

    private async Task<(string Output, uint ExitCode)> RunAsync(LayerDisk layers, int index, string script)
    {
        await using var clone = await SandboxMachine.CloneAsync(vm.Hypervisor, vm.Template,
            new SandboxOptions($"clone{index}", Layers: layers));
        var network = new NetworkSetup([new InterfaceSetup(0, "eth0", MacAddress(index), ["192.0.2.1/24"], 1400)], []);
        await clone.Agent.ReleaseAsync(new ReleaseRequest(RandomNumberGenerator.GetBytes(64),
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000, $"clone{index}", MachineId(index), network));
        await using var text = clone.Agent.OpenStream();
        await clone.Agent.CreateContainerAsync(new CreateContainerRequest("c", Spec(script, $"clone{index}"),
            new RootLayout(SandboxShape.LayersDisk, layers.Extents, ""), [], [], new StreamIds(0, text.Id, 0), 0, 0));
        await clone.Agent.StartContainerAsync("c");
        var exit = await clone.Agent.WaitForExitAsync(new ProcessTarget("c", ""));
        return (await text.ReadTextAsync(), exit.ExitCode);
    }

    private static string MacAddress(int index) => $"02:00:00:00:01:{index:x2}";

    private static string MachineId(int index) => index.ToString("x32", CultureInfo.InvariantCulture);

    internal static byte[] Spec(string script, string hostName) => Encoding.UTF8.GetBytes($$$"""
        {"ociVersion":"1.2.0","process":{"args":{{{JsonSerializer.Serialize<string[]>(["/bin/sh", "-c", script])}}},"cwd":"/",
          "env":["PATH=/bin"],"user":{"uid":0,"gid":0}},
         "root":{"path":"rootfs"},"hostname":"{{{hostName}}}",
         "mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/sys","type":"sysfs","source":"sysfs"}],
         "linux":{"cgroupsPath":"/hull/c","namespaces":[{"type":"pid"},{"type":"mount"},{"type":"uts"},{"type":"ipc"}]}}
        """);
}
