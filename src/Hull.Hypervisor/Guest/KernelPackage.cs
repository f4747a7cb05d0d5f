using Hull.Linux.Processes;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Fetches Debian's kernel for virtual machines with the host's own apt settings, so that it comes from where this
/// machine's other packages come from and is verified like them. Nothing is installed.
/// </summary>
public static class KernelPackage
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(10);

    /// <summary>The package that depends on the newest kernel for clouds: small, and all drivers are virtio's.</summary>
    private static string MetaPackage => "linux-image-cloud-" + Platform.Host.Architecture;

    /// <summary>Downloads and unpacks the kernel package below <paramref name="directory"/>; answers the unpacked tree.</summary>
    public static async Task<string> DownloadAsync(string directory, CancellationToken cancellationToken = default)
    {
        var package = await ResolveAsync(cancellationToken).ConfigureAwait(false);
        Directory.CreateDirectory(directory);
        // apt's download user cannot write to a root-only directory; it says so and goes on as root.
        (await RunAsync("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", package], directory, cancellationToken).ConfigureAwait(false)).RequireSuccess();
        var file = Directory.GetFiles(directory, package + "_*.deb").SingleOrDefault()
            ?? throw HullException.NotFound($"apt-get left no file of package {package}");
        var tree = Path.Combine(directory, "tree");
        (await RunAsync("dpkg-deb", ["-x", file, tree], directory, cancellationToken).ConfigureAwait(false)).RequireSuccess();
        File.Delete(file);
        return tree;
    }

    /// <summary>The name of the package with the kernel itself, which has its version in it.</summary>
    public static async Task<string> ResolveAsync(CancellationToken cancellationToken = default)
    {
        // It fails where it knows no such package.
        var known = await RunAsync("apt-cache", ["depends", "--important", MetaPackage], "/", cancellationToken).ConfigureAwait(false);
        foreach (var line in known.OutputText.Split('\n'))
        {
            var name = line.Trim();
            const string prefix = "Depends: ";
            if (name.StartsWith(prefix + "linux-image-", StringComparison.Ordinal)) return name[prefix.Length..];
        }

        throw HullException.NotFound($"apt knows no package {MetaPackage}: run apt-get update, or give a kernel of your own");
    }

    private static Task<ProcessResult> RunAsync(string program, IReadOnlyList<string> arguments, string directory, CancellationToken cancellationToken) =>
        ChildProcess.RunAsync(new ChildProcessOptions(program, arguments) { WorkingDirectory = directory }, timeout: Bound, cancellationToken: cancellationToken);
}
