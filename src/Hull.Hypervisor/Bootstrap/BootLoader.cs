using System.Buffers.Binary;
using System.Text;
using Hull.Hypervisor.Disks;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Bootstrap;

/// <summary>
/// GRUB for a disk that boots by BIOS and by UEFI. The images are made by the <c>grub-mkimage</c> of the system being
/// built, in its own root, so that loader and modules are of one version; placing them on the disk needs no loop device.
/// </summary>
internal sealed class BootLoader(string root)
{
    private const string Modules = "part_gpt ext2 search search_label normal linux boot serial terminal";

    /// <summary>The loader's own configuration, which only looks for the root and reads what is there.</summary>
    private const string Early = $"search --no-floppy --label {MachineBootstrap.RootLabel} --set=root\nnormal ($root)/boot/grub/grub.cfg\n";

    private const string Menu = $"""
        serial --unit=0 --speed=115200
        terminal_input console serial
        terminal_output console serial
        linux /vmlinuz root=LABEL={MachineBootstrap.RootLabel} ro console=tty0 console=ttyS0,115200
        initrd /initrd.img
        boot

        """;

    /// <summary>Writes the menu into the root and makes both images.</summary>
    public async Task<(byte[] Bios, byte[] Efi)> BuildAsync(CancellationToken cancellationToken)
    {
        var directory = Directory.CreateDirectory(Path.Combine(root, "boot/grub")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(directory, "grub.cfg"), Encoding.ASCII.GetBytes(Menu), cancellationToken).ConfigureAwait(false);
        await File.WriteAllBytesAsync(Path.Combine(directory, "early.cfg"), Encoding.ASCII.GetBytes(Early), cancellationToken).ConfigureAwait(false);
        var bios = await MakeImageAsync("i386-pc", "core.img", Modules + " biosdisk", cancellationToken).ConfigureAwait(false);
        var efi = await MakeImageAsync("x86_64-efi", "core.efi", Modules, cancellationToken).ConfigureAwait(false);
        return (bios, efi);
    }

    /// <summary>
    /// Puts the BIOS image onto a disk: the first stage into the MBR's code area, with the address of the second; the
    /// second into the BIOS boot partition, with the address of its own rest (GRUB manual, "BIOS installation").
    /// </summary>
    public void InstallBios(Stream disk, byte[] core, long firstSector)
    {
        const int codeArea = 440, coreAddress = 0x5C, driveCheck = 0x66;
        const int firstBlockList = PartitionTable.SectorSize - 12;
        var boot = File.ReadAllBytes(Path.Combine(root, "usr/lib/grub/i386-pc/boot.img")).AsSpan(0, codeArea).ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(boot.AsSpan(coreAddress), firstSector);
        // Two NOPs over the jump that distrusts the drive number the BIOS gave: right for hard disks.
        boot[driveCheck] = boot[driveCheck + 1] = 0x90;
        BinaryPrimitives.WriteInt64LittleEndian(core.AsSpan(firstBlockList), firstSector + 1);
        var sectors = (core.Length + PartitionTable.SectorSize - 1) / PartitionTable.SectorSize;
        BinaryPrimitives.WriteUInt16LittleEndian(core.AsSpan(firstBlockList + 8), (ushort)(sectors - 1));

        disk.Position = 0;
        disk.Write(boot);
        disk.Position = firstSector * PartitionTable.SectorSize;
        disk.Write(core);
    }

    private async Task<byte[]> MakeImageAsync(string format, string name, string modules, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            root, "grub-mkimage", "-O", format, "-o", "/boot/grub/" + name, "-p", "/boot/grub", "-c", "/boot/grub/early.cfg",
            .. modules.Split(' '),
        ];
        var result = await ChildProcess.RunAsync(new ChildProcessOptions("chroot", arguments), cancellationToken: cancellationToken)
            .ConfigureAwait(false);
        result.RequireSuccess();
        return await File.ReadAllBytesAsync(Path.Combine(root, "boot/grub", name), cancellationToken).ConfigureAwait(false);
    }
}
