using Hull.Hypervisor.Qmp;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Qemu;

/// <summary>The accelerator machines run with, and why.</summary>
/// <param name="Name"><c>kvm</c> or <c>tcg</c>.</param>
public sealed record AcceleratorChoice(string Name, string Reason);

/// <summary>
/// Decides between KVM and emulation. That /dev/kvm exists and opens says little: nested and filtered hosts accept a
/// machine and never run it. So a probe guest of a few instructions must run to its end within a bound.
/// </summary>
public static class AcceleratorProbe
{
    /// <summary>A real KVM needs some 100 ms, most of them QEMU's own start; a busy host gets the rest.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(8);

    /// <param name="cacheDirectory">
    /// Where the answer is kept, valid for this kernel boot and QEMU build; null asks the hardware every time.
    /// </param>
    public static async Task<AcceleratorChoice> ChooseAsync(QemuInstallation installation, string? cacheDirectory,
        CancellationToken cancellationToken = default)
    {
        var key = Digest.Sha256(System.Text.Encoding.UTF8.GetBytes(
            $"{installation.Build}\n{File.ReadAllText("/proc/sys/kernel/random/boot_id")}")).Short;
        var cache = cacheDirectory is null ? null : Path.Combine(cacheDirectory, "accelerator-" + key);
        if (cache is not null && File.Exists(cache) && File.ReadAllText(cache).Split('\n', 2) is [var name, var reason])
            return new AcceleratorChoice(name, reason);

        var choice = await ProbeAsync(installation, cancellationToken).ConfigureAwait(false);
        if (cache is not null)
        {
            Directory.CreateDirectory(cacheDirectory!);
            AtomicFile.Write(cache, System.Text.Encoding.UTF8.GetBytes($"{choice.Name}\n{choice.Reason}"));
        }

        return choice;
    }

    private static async Task<AcceleratorChoice> ProbeAsync(QemuInstallation installation, CancellationToken cancellationToken)
    {
        if (installation.Architecture != Platform.Host.Architecture)
            return new AcceleratorChoice("tcg", $"{installation.Architecture} guests are emulated on {Platform.Host.Architecture}");
        if (!File.Exists("/dev/kvm")) return new AcceleratorChoice("tcg", "this machine has no /dev/kvm");
        var firmware = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(firmware, ProbeFirmware(), cancellationToken).ConfigureAwait(false);
            return await RunAsync(installation, firmware, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            File.Delete(firmware);
        }
    }

    private static async Task<AcceleratorChoice> RunAsync(QemuInstallation installation, string firmware,
        CancellationToken cancellationToken)
    {
        using var process = ChildProcess.Start(new ChildProcessOptions(installation.Program,
            "-accel", "kvm", "-machine", "isapc", "-cpu", "host", "-m", "1", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-bios", firmware, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01"));
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bound.CancelAfter(Bound);
        try
        {
            var status = await process.WaitAsync(bound.Token).ConfigureAwait(false);
            // isa-debug-exit turns the written value v into the exit code (v << 1) | 1.
            return status.Code == (ProbeValue << 1 | 1)
                ? new AcceleratorChoice("kvm", "/dev/kvm runs guests")
                : new AcceleratorChoice("tcg", $"/dev/kvm is there but a probe guest ended with {status}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new AcceleratorChoice("tcg", $"/dev/kvm opens but a probe guest did not run within {Bound.TotalSeconds:0} s");
        }
        finally
        {
            process.Kill(KillSignal);
            process.Wait();
        }
    }

    private const int ProbeValue = 0x15;
    private const int KillSignal = 9;

    /// <summary>
    /// A BIOS image of 64 KiB whose reset vector, 16 bytes before its end, writes one byte to port 0xF4 and halts:
    /// <c>mov al, 0x15; out 0xF4, al; hlt</c>.
    /// </summary>
    private static byte[] ProbeFirmware()
    {
        var image = new byte[64 * 1024];
        byte[] program = [0xB0, ProbeValue, 0xE6, 0xF4, 0xF4];
        program.CopyTo(image, image.Length - 16);
        return image;
    }
}
