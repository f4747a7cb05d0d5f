using System.Diagnostics;
using Hull.Hypervisor.CloudInit;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Qemu;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>A bootstrapped disk comes up by either firmware and does what its seed says.</summary>
public sealed class BootstrapTests
{
    /// <summary>To the end: cloud-init runs what the seed says, and the machine powers itself off.</summary>
    [Fact]
    public Task BootsByUefiAndHeedsItsSeed()
    {
        var firmware = UefiFirmware.Find("amd64");
        Require.That(firmware is not null, "needs the package ovmf");
        return BootsAsync(["-drive", $"if=pflash,format=raw,readonly=on,file={firmware!.Code}"], "HULL-seeded-DONE");
    }

    /// <summary>As far as the other firmware matters: loader, kernel, root file system, init.</summary>
    [Fact]
    public Task BootsByBios() => BootsAsync([], "systemd[1]:");

    private static async Task BootsAsync(string[] firmware, string expected)
    {
        var qemu = Require.Program("qemu-system-x86_64");
        var disk = await DebianDisk.PathAsync();
        using var directory = new TemporaryDirectory();
        await DiskImage.CreateOverlayAsync(directory["disk"], disk, "qcow2");
        await using (var seed = new FileStream(directory["seed"], FileMode.CreateNew, FileAccess.ReadWrite))
        {
            new CloudInitSeed("test-1", "seeded", "#cloud-config\nruncmd:\n- [sh, -c, 'echo HULL-$(hostname)-DONE > /dev/ttyS0']\n- [poweroff]\n").WriteTo(seed);
        }

        string[] arguments =
        [
            "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "2", "-display", "none", "-no-reboot",
            "-nodefaults", "-serial", "file:" + directory["serial"], .. firmware,
            "-drive", $"file={directory["disk"]},format=qcow2,if=virtio", "-drive", $"file={directory["seed"]},format=raw,if=virtio",
        ];
        using var machine = Process.Start(qemu, arguments);
        try
        {
            var limit = Stopwatch.StartNew();
            while (!Serial(directory).Contains(expected, StringComparison.Ordinal))
            {
                Assert.False(machine.HasExited && !Serial(directory).Contains(expected, StringComparison.Ordinal), Serial(directory));
                Assert.True(limit.Elapsed < TimeSpan.FromMinutes(6), Serial(directory));
                await Task.Delay(200);
            }
        }
        finally
        {
            if (!machine.HasExited) machine.Kill();
            await machine.WaitForExitAsync();
        }
    }

    private static string Serial(TemporaryDirectory directory) =>
        File.Exists(directory["serial"]) ? File.ReadAllText(directory["serial"]) : "";
}
