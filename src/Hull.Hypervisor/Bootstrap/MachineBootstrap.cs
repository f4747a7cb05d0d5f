using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Hull.Hypervisor.Disks;
using Hull.Linux.Files;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Bootstrap;

/// <summary>What to build a machine disk from.</summary>
/// <param name="Distribution">Only <c>debian</c> is known.</param>
/// <param name="Suite">Release name such as <c>bookworm</c>.</param>
/// <param name="DiskBytes">Size of the disk; the root file system grows into it at first boot when it is made larger later.</param>
/// <param name="Packages">Packages beyond those every machine needs.</param>
public sealed record MachineRecipe(string Distribution, string Suite, long DiskBytes, IReadOnlyList<string> Packages)
{
    /// <summary>Parses <c>debian:bookworm</c>.</summary>
    public static MachineRecipe Parse(string name, long diskBytes, IReadOnlyList<string> packages)
    {
        var parts = name.Split(':');
        if (parts is not ["debian", { Length: > 0 } suite] || !char.IsAsciiLetterLower(suite[0]) || !suite.All(c => char.IsAsciiLetterLower(c) || c == '-'))
            throw HullException.Invalid($"unknown system '{name}': expected debian and a release, such as debian:bookworm");
        foreach (var package in packages)
        {
            if (package.Length == 0 || !package.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '+' or '-' or '.'))
                throw HullException.Invalid($"invalid package name '{package}'");
        }

        return new MachineRecipe(parts[0], suite, diskBytes, packages);
    }
}

/// <summary>
/// Makes a bootable disk image, ready for cloud-init, from a distribution's own signed packages: <c>mmdebstrap</c> fills a
/// directory, <c>mke2fs</c> turns it into a file system, and the partition table, the EFI partition and the boot loader
/// are written around it. No loop device and no mount is needed.
/// </summary>
public static class MachineBootstrap
{
    /// <summary>Label of the root file system, by which kernel, loader and fstab find it.</summary>
    public const string RootLabel = "hull-root";

    private const long BiosSectors = 2048;
    private const long EfiSectors = 32 << 11;
    private const long FirstBios = PartitionTable.FirstUsableSector;
    private const long FirstEfi = FirstBios + BiosSectors;
    private const long FirstRoot = FirstEfi + EfiSectors;

    /// <summary>Room behind the root partition for the backup of the partition table, aligned.</summary>
    private const long TailSectors = 2048;

    private static readonly string[] BasePackages =
    [
        "linux-image-cloud-amd64", "systemd-sysv", "systemd-resolved", "udev", "dbus", "login", "passwd", "procps", "iproute2",
        "netbase", "cloud-init", "cloud-guest-utils", "openssh-server", "sudo", "ca-certificates", "e2fsprogs",
        "grub-common", "grub-pc-bin", "grub-efi-amd64-bin",
    ];

    /// <summary>Builds the disk as qcow2 at <paramref name="target"/>, which must not exist.</summary>
    /// <param name="workDirectory">An empty directory with room for the system twice over; emptied again.</param>
    public static async Task BuildAsync(MachineRecipe recipe, string target, string workDirectory, Action<string> progress,
        CancellationToken cancellationToken = default)
    {
        if (File.Exists(target)) throw HullException.Exists($"'{target}' exists already: choose another name or remove it");
        var root = Path.Combine(workDirectory, "root");
        var raw = Path.Combine(workDirectory, "disk.raw");
        try
        {
            progress($"installing {recipe.Distribution} {recipe.Suite} from its packages");
            await InstallPackagesAsync(recipe, root, cancellationToken).ConfigureAwait(false);
            Configure(root);
            progress("making the boot loader");
            var loader = new BootLoader(root);
            var (bios, efi) = await loader.BuildAsync(cancellationToken).ConfigureAwait(false);
            progress("writing the disk");
            await WriteDiskAsync(recipe, root, raw, loader, bios, efi, cancellationToken).ConfigureAwait(false);
            await DiskImage.ConvertAsync(raw, "raw", target, "qcow2", null, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await ChildProcess.RunAsync(new ChildProcessOptions("rm", "-rf", "--one-file-system", root, raw),
                cancellationToken: CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static async Task InstallPackagesAsync(MachineRecipe recipe, string root, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            "--quiet", "--variant=minbase", "--include=" + string.Join(',', [.. BasePackages, .. recipe.Packages]), recipe.Suite, root,
        ];
        try
        {
            var result = await ChildProcess.RunAsync(new ChildProcessOptions("mmdebstrap", arguments).WithOwnMounts(),
                cancellationToken: cancellationToken).ConfigureAwait(false);
            if (result.Status.Succeeded) return;
            var reason = result.ErrorText.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault(line => line.StartsWith("E:", StringComparison.Ordinal));
            throw new HullException(ErrorKind.Unavailable, $"installing {recipe.Suite} failed: {reason ?? result.Status.ToString()}");
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound or ErrorKind.NotFound)
        {
            throw new HullException(ErrorKind.Unsupported, "the program mmdebstrap is missing: install the package mmdebstrap", error);
        }
    }

    /// <summary>What makes an installed tree a machine's. The host key and the machine id are made at first boot.</summary>
    private static void Configure(string root)
    {
        void Write(string path, string text)
        {
            var full = Path.Combine(root, path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            AtomicFile.Write(full, Encoding.UTF8.GetBytes(text), mode: 0x1A4 /* 0644 */, durable: false);
        }

        Write("etc/fstab", $"LABEL={RootLabel} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n");
        Write("etc/hostname", "localhost\n");
        Write("etc/machine-id", "");
        Write("etc/cloud/cloud.cfg.d/10-hull.cfg", "datasource_list: [NoCloud, None]\ndatasource:\n  NoCloud:\n    fs_label: CIDATA\n");
        // The kernel leaves what is plugged in offline (CONFIG_MEMORY_HOTPLUG_DEFAULT_ONLINE is not set).
        Write("etc/udev/rules.d/80-hull-hotplug.rules", """
            SUBSYSTEM=="memory", ACTION=="add", ATTR{state}=="offline", ATTR{state}="online"
            SUBSYSTEM=="cpu", ACTION=="add", TEST=="online", ATTR{online}=="0", ATTR{online}="1"

            """);
        // cloud-init writes for systemd-networkd where ifupdown is missing; nothing waits for it, a machine may have no network.
        var wanted = Directory.CreateDirectory(Path.Combine(root, "etc/systemd/system/multi-user.target.wants")).FullName;
        File.CreateSymbolicLink(Path.Combine(wanted, "systemd-networkd.service"), "/lib/systemd/system/systemd-networkd.service");
        foreach (var key in Directory.EnumerateFiles(Path.Combine(root, "etc/ssh"), "ssh_host_*")) File.Delete(key);
    }

    private static async Task WriteDiskAsync(MachineRecipe recipe, string root, string raw, BootLoader loader, byte[] bios, byte[] efi,
        CancellationToken cancellationToken)
    {
        var rootSectors = recipe.DiskBytes / PartitionTable.SectorSize - FirstRoot - TailSectors;
        if (rootSectors <= 0) throw HullException.Invalid($"a disk of {recipe.DiskBytes} bytes is too small: give it 2 GiB or more");
        await using (var disk = new FileStream(raw, FileMode.CreateNew, FileAccess.ReadWrite))
        {
            disk.SetLength(recipe.DiskBytes);
            new PartitionTable(IdOf(recipe, "disk"), recipe.DiskBytes,
            [
                new Partition("bios", PartitionTable.BiosBoot, IdOf(recipe, "bios"), FirstBios, BiosSectors),
                new Partition("esp", PartitionTable.EfiSystem, IdOf(recipe, "esp"), FirstEfi, EfiSectors),
                new Partition("root", PartitionTable.LinuxRootX64, IdOf(recipe, "root"), FirstRoot, rootSectors),
            ]).WriteTo(disk);
            loader.InstallBios(disk, bios, FirstBios);
            var esp = new FatVolume("ESP", EfiSectors * PartitionTable.SectorSize, 0x48554C4C);
            esp.AddFile("EFI/BOOT/BOOTX64.EFI", efi);
            disk.Position = FirstEfi * PartitionTable.SectorSize;
            esp.WriteTo(disk);
        }

        var offset = (FirstRoot * PartitionTable.SectorSize).ToString(CultureInfo.InvariantCulture);
        string[] arguments =
        [
            "-q", "-F", "-t", "ext4", "-L", RootLabel, "-U", IdOf(recipe, "file system").ToString(), "-d", root,
            "-E", "offset=" + offset + ",root_owner=0:0", raw,
            (rootSectors / 2).ToString(CultureInfo.InvariantCulture) + "k",
        ];
        var result = await ChildProcess.RunAsync(new ChildProcessOptions("mke2fs", arguments), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (!result.Status.Succeeded)
            throw new HullException(ErrorKind.ResourceExhausted, $"the system does not fit a disk of {recipe.DiskBytes} bytes: {result.ErrorText.Trim().Split('\n')[^1]}");
    }

    /// <summary>Ids derived from the recipe rather than drawn, so that the same recipe gives the same disk.</summary>
    private static Guid IdOf(MachineRecipe recipe, string what) => new(
        SHA256.HashData(Encoding.UTF8.GetBytes($"{recipe.Distribution}/{recipe.Suite}/{string.Join(',', recipe.Packages)}/{what}")).AsSpan(0, 16),
        bigEndian: true);
}
