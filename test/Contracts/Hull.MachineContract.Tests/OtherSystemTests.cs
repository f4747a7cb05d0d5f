using System.Text;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Systems that are no Linux, and a processor that is not this machine's.</summary>
public sealed class OtherSystemTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);
    private readonly TemporaryDirectory _directory = new("ho");

    public void Dispose() => _directory.Dispose();

    /// <summary>What stands on the text screen of a PC is in its memory at 0xB8000, a character and its colour each.</summary>
    [Theory]
    [InlineData("/usr/lib/ipxe/ipxe.iso", "iPXE", "ipxe")]
    [InlineData("/usr/lib/memtest86+/memtest86+x64.iso", "Memtest86+", "memtest86+")]
    public async Task BootsWhatIsNoLinux(string medium, string expected, string package)
    {
        Require.Program("qemu-system-x86_64");
        Require.That(File.Exists(medium), $"needs the package {package}");
        var hypervisor = await QemuHypervisor.DetectAsync("amd64", Path.Combine(Repository.Root, "out", "cache"));
        await using var machine = await hypervisor.LaunchQemuAsync(new VirtualMachineConfig
        {
            Id = "other-" + package.Trim('+'), MemoryBytes = 128 << 20, Boot = new FirmwareBoot(), VncSocket = _directory["vnc"],
            Disks = [new DiskConfig("disk0", new ImageDisk(medium, "raw", ReadOnly: true), DiskBus.CdRom, BootIndex: 0)],
        }, new LaunchOptions());
        await machine.ResumeAsync();
        var end = Environment.TickCount64 + (long)Limit.TotalMilliseconds;
        string screen;
        while (!(screen = await ScreenAsync(machine)).Contains(expected, StringComparison.Ordinal))
        {
            Assert.True(Environment.TickCount64 < end, screen);
            await Task.Delay(200);
        }
    }

    /// <summary>As far as the firmware's shell, through a manager: another architecture's program, firmware and devices.</summary>
    [Fact]
    public async Task BootsAnotherArchitecture()
    {
        Require.Program("qemu-system-aarch64");
        Require.That(UefiFirmware.Find("arm64") is not null, "needs the package qemu-efi-aarch64");
        await using var manager = await OpenAsync();
        await manager.CreateAsync(new MachineConfig { Name = "arm", Architecture = "arm64", Firmware = "uefi", MemoryBytes = 256 << 20, Nics = [new MachineNic("nic0", null, "")] }, [new BlankDisk(1 << 20)]);
        await manager.StartAsync("arm");
        try
        {
            using var serial = new SerialShell(manager.ConsoleSocket("arm"));
            await serial.WaitForAsync("UEFI firmware|UEFI Interactive Shell|BdsDxe", (int)Limit.TotalSeconds);
        }
        finally
        {
            await manager.RemoveAsync("arm", force: true);
        }
    }

    /// <summary>A TPM is found by the firmware of its machine, keeps its state in the machine's directory, and its emulator ends with the machine.</summary>
    [Fact]
    public async Task HasATrustedPlatformModule()
    {
        Require.Program("qemu-system-x86_64");
        Require.Program("swtpm");
        await using var manager = await OpenAsync();
        var view = await manager.CreateAsync(new MachineConfig { Name = "tpm", Tpm = true, MemoryBytes = 64 << 20 }, [new BlankDisk(1 << 20)]);
        await manager.StartAsync("tpm");
        var state = Path.Combine(_directory["machines"], view.Record.Id, "tpm");
        var end = Environment.TickCount64 + (long)Limit.TotalMilliseconds;
        // SeaBIOS starts the TPM up, which makes it write its state.
        while (!File.Exists(Path.Combine(state, "tpm2-00.permall")))
        {
            Assert.True(Environment.TickCount64 < end);
            await Task.Delay(100);
        }

        Assert.Single(Emulators(state));
        await manager.RemoveAsync("tpm", force: true);
        while (Emulators(state).Count > 0)
        {
            Assert.True(Environment.TickCount64 < end);
            await Task.Delay(100);
        }
    }

    private static List<string> Emulators(string state) =>
        [.. Command.Run("pgrep", "-f", "swtpm socket .*" + state).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)];

    private async Task<string> ScreenAsync(QemuMachine machine)
    {
        var file = _directory["screen"];
        await machine.Qmp.ExecuteAsync(new QmpCommand<QmpVoid>("pmemsave", new QemuProperties().Add("val", 0xB8000L).Add("size", 4000L).Add("filename", file), _ => default));
        var cells = await File.ReadAllBytesAsync(file);
        return Encoding.Latin1.GetString([.. cells.Where((_, index) => index % 2 == 0)]);
    }

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(_directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)));
}
