using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

/// <summary>The files of a machine whose monitor is in a jail: opened here, and open there under other names.</summary>
internal static class QemuFiles
{
    private const string DescriptorSets = "/dev/fdset/";

    /// <summary>The same machine, with each of its files as a descriptor in the table.</summary>
    public static VirtualMachineConfig Pass(VirtualMachineConfig config, DescriptorTable descriptors) => config with
    {
        Disks = [.. config.Disks.Select(disk => disk.Backend is ImageDisk image ? disk with { Backend = Pass(image, file => descriptors.AddFile(file)) } : disk)],
        Boot = config.Boot is FirmwareBoot { Variables: { } variables } boot && !IsPassed(variables)
            ? boot with { Variables = descriptors.OpenFile(variables, Fcntl.O_RDWR) } : config.Boot,
    };

    /// <summary>An image and all it stands on; <paramref name="pass"/> takes each open file and answers its name in the monitor.</summary>
    public static ImageDisk Pass(ImageDisk image, Func<SafeFd, string> pass) => IsPassed(image.Path) ? image : image with
    {
        Path = pass(Open(image)),
        Backing = image.Backing is { } below ? Pass(below with { ReadOnly = true }, pass) : null,
    };

    /// <summary><see cref="Pass(ImageDisk,Func{SafeFd,string})"/> into a monitor that runs.</summary>
    public static async Task<ImageDisk> PassAsync(ImageDisk image, Func<SafeFd, Task<string>> pass)
    {
        if (IsPassed(image.Path)) return image;
        using var file = Open(image);
        return image with
        {
            Path = await pass(file).ConfigureAwait(false),
            Backing = image.Backing is { } below ? await PassAsync(below with { ReadOnly = true }, pass).ConfigureAwait(false) : null,
        };
    }

    private static bool IsPassed(string path) => path.StartsWith(DescriptorSets, StringComparison.Ordinal);

    private static SafeFd Open(ImageDisk image) => Check.Descriptor(
        FileCalls.OpenAt(Fcntl.AT_FDCWD, image.Path, image.ReadOnly ? Fcntl.O_RDONLY : Fcntl.O_RDWR), $"open {image.Path}");
}
