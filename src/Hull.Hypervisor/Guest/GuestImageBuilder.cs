using System.Security.Cryptography;
using System.Text;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Makes the kernel and the initramfs of Hull's virtual machines. The initramfs holds the guest agent as init, the
/// libraries it is linked to, and the kernel modules of the devices Hull gives to machines. The same inputs give the
/// same bytes, and images are kept under the digest of their inputs.
/// </summary>
/// <param name="directory">Where images are kept.</param>
/// <param name="agent">The program hull-agent.</param>
public sealed class GuestImageBuilder(string directory, string agent)
{
    /// <summary>
    /// In load order of those that no other one asks for. crc32c is needed by libcrc32c through the crypto interface,
    /// which names no module; the others are devices and file systems.
    /// </summary>
    private static readonly string[] Modules =
    [
        "virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon", "virtio_scsi",
        "crc32c_generic", "crc32c_intel", "libcrc32c", "erofs", "overlay", "af_packet",
        "virtiofs",
    ];

    private static readonly HashSet<string> OptionalModules = ["crc32c_intel", "crc32c_generic", "virtio_scsi", "virtio_balloon", "af_packet", "virtiofs"];

    /// <summary>The kernel's package, unpacked.</summary>
    private const string KernelTree = "kernel.deb";

    /// <summary>Libraries the agent opens by name when it needs them.</summary>
    private static readonly string[] LateLibraries = ["libseccomp.so.2"];

    /// <summary>The newest image, made now if there is none for this agent and the kernel that was fetched last.</summary>
    public async Task<GuestImage> GetAsync(OwnKernel? ownKernel = null, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(directory);
        using var exclusive = FileLock.Acquire(Path.Combine(directory, "lock"));
        var kernel = ownKernel ?? await DebianKernelAsync(cancellationToken).ConfigureAwait(false);
        var inputs = Inputs(kernel);
        var digest = DigestOf(inputs);
        var target = Path.Combine(directory, digest[..16]);
        var manifest = AtomicFile.TryReadJson(Path.Combine(target, "manifest.json"), GuestImageJson.Default.GuestImageManifest);
        if (manifest is null || manifest.Digest != digest)
        {
            manifest = new GuestImageManifest(digest, ReleaseOf(kernel), inputs);
            Build(kernel, manifest, target);
        }

        return new GuestImage(digest, Path.Combine(target, "kernel"), Path.Combine(target, "initrd"), manifest.Release);
    }

    /// <summary>Whether a kernel was fetched into a directory of images.</summary>
    public static bool HasKernel(string directory) => Directory.Exists(Path.Combine(directory, KernelTree));

    /// <summary>Fetches the kernel that apt has now; a new one is used from the next <see cref="GetAsync"/> on.</summary>
    public async Task UpdateKernelAsync(CancellationToken cancellationToken = default)
    {
        var incoming = Path.Combine(directory, "kernel.new");
        DeleteTree(incoming);
        var tree = await KernelPackage.DownloadAsync(incoming, cancellationToken).ConfigureAwait(false);
        var kept = Path.Combine(directory, KernelTree);
        DeleteTree(kept);
        Directory.Move(tree, kept);
        DeleteTree(incoming);
    }

    private async Task<OwnKernel> DebianKernelAsync(CancellationToken cancellationToken)
    {
        var tree = Path.Combine(directory, KernelTree);
        if (!Directory.Exists(tree)) await UpdateKernelAsync(cancellationToken).ConfigureAwait(false);
        var kernel = Directory.GetFiles(Path.Combine(tree, "boot"), "vmlinu?-*").Single();
        // Below /usr from Debian 13 on.
        var parent = ((string[])["usr/lib/modules", "lib/modules"]).Select(path => Path.Combine(tree, path)).FirstOrDefault(Directory.Exists)
            ?? throw HullException.NotFound($"the kernel package in {tree} has no modules");
        var modules = Directory.GetDirectories(parent).Single();
        return new OwnKernel(kernel, modules);
    }

    private SortedDictionary<string, string> Inputs(OwnKernel kernel)
    {
        var inputs = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = "2",
            ["kernel"] = FileDigest(kernel.Kernel),
            ["release"] = ReleaseOf(kernel),
            ["modules"] = string.Join(' ', Modules),
            ["agent"] = FileDigest(agent),
        };
        foreach (var (guestPath, hostPath) in SharedLibraries.Closure(agent, LateLibraries)) inputs[guestPath] = FileDigest(hostPath);
        return inputs;
    }

    private void Build(OwnKernel kernel, GuestImageManifest manifest, string target)
    {
        var incoming = target + ".new";
        DeleteTree(incoming);
        Directory.CreateDirectory(incoming);
        var image = File.ReadAllBytes(kernel.Kernel);
        // Readable for all: a monitor in its jail reads it as a user of its own.
        AtomicFile.Write(Path.Combine(incoming, "kernel"), KernelImage.ExtractElf(image) ?? image, 0x1A4);
        using (var output = new FileStream(Path.Combine(incoming, "initrd"), FileMode.CreateNew))
        using (var archive = new CpioWriter(output)) WriteInitrd(archive, kernel);
        AtomicFile.WriteJson(Path.Combine(incoming, "manifest.json"), manifest, GuestImageJson.Default.GuestImageManifest);
        DeleteTree(target);
        Directory.Move(incoming, target);
    }

    private void WriteInitrd(CpioWriter archive, OwnKernel kernel)
    {
        foreach (var name in (string[])["dev", "newroot", "proc", "sys", "run", "tmp"]) archive.AddDirectory(name);
        // The kernel opens the console before devtmpfs is mounted.
        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddFile("init", File.ReadAllBytes(agent));
        foreach (var (guestPath, hostPath) in SharedLibraries.Closure(agent, LateLibraries))
            archive.AddFile(guestPath, File.ReadAllBytes(hostPath));
        if (kernel.ModulesDirectory is null) return;
        var modules = new ModuleTree(kernel.ModulesDirectory).Resolve(Modules, OptionalModules);
        foreach (var module in modules) archive.AddFile($"modules/{module.Name}.ko", module.Content, 0x1A4);
        archive.AddFile("modules/order", Encoding.UTF8.GetBytes(string.Concat(modules.Select(module => module.Name + "\n"))), 0x1A4);
    }

    private static string ReleaseOf(OwnKernel kernel) =>
        kernel.ModulesDirectory is null ? Path.GetFileName(kernel.Kernel) : Path.GetFileName(kernel.ModulesDirectory.TrimEnd('/'));

    private static string FileDigest(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static string DigestOf(SortedDictionary<string, string> inputs) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(inputs.Select(pair => $"{pair.Key}={pair.Value}\n")))));

    private static void DeleteTree(string path)
    {
        if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
    }
}
