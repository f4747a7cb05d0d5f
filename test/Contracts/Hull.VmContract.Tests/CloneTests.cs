using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Sandboxes;
using Hull.Testing;

namespace Hull.VmContract.Tests;

public class CloneTests(VmFixture vm, ITestOutputHelper output)
{
    private static byte[] Spec(params string[] arguments) => Encoding.UTF8.GetBytes(
        """{"ociVersion":"1.0.2","process":{"args":[""" + string.Join(',', arguments.Select(a => '"' + a.Replace("\"", "\\\"") + '"')) +
        """],"cwd":"/","env":["PATH=/bin"]},"root":{"path":"rootfs"},"mounts":[]}""");

    [Fact]
    public async Task An_image_runs_in_a_clone()
    {
        output.WriteLine($"{vm.Hypervisor.Capabilities.AcceleratorReason}; template {vm.TemplateTime}");
        using var directory = new TemporaryDirectory("vm-image");
        var layers = TestImage.Make(directory);
        for (var i = 0; i < 5; i++)
        {
            var watch = Stopwatch.StartNew();
            await using var clone = await SandboxMachine.CloneAsync(vm.Hypervisor, vm.Template,
                new SandboxOptions("t1", Layers: layers.Backend, ConsolePath: directory["console"]));
            var up = watch.Elapsed;
            await clone.Agent.ReleaseAsync(new ReleaseRequest(RandomNumberGenerator.GetBytes(64),
                DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1000000, "h1", new string('a', 32), NetworkSetup.None));
            var released = watch.Elapsed;
            await using var text = clone.Agent.OpenStream();
            await using var error = clone.Agent.OpenStream();
            await clone.Agent.CreateContainerAsync(new CreateContainerRequest("c", Spec("/bin/sh", "-c", "cat /etc/layer /etc/base; exit 3"),
                new RootLayout(SandboxShape.LayersDisk, layers.Extents, ""), [], [], new StreamIds(0, text.Id, error.Id), 0, 0));
            var created = watch.Elapsed;
            await clone.Agent.StartContainerAsync("c");
            var exit = await clone.Agent.WaitForExitAsync(new ProcessTarget("c", ""));
            output.WriteLine($"clone {up.TotalMilliseconds:0} released {released.TotalMilliseconds:0} created {created.TotalMilliseconds:0} exit {watch.Elapsed.TotalMilliseconds:0} ms");
            Assert.Equal("top\nbase\n", await text.ReadTextAsync());
            Assert.Equal(3u, exit.ExitCode);
        }
    }
}
