using System.Text.RegularExpressions;
using Hull.Hypervisor.Qmp;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Qemu;

/// <summary>A QEMU program of this machine.</summary>
/// <param name="Program">Its absolute path.</param>
/// <param name="Build">What identifies this very build: size, time and version. Saved states only fit the same one.</param>
public sealed partial record QemuInstallation(string Program, string Architecture, QmpVersion Version, string Build)
{
    /// <summary>Finds the program for an architecture in PATH; <see cref="ErrorKind.Unsupported"/> where there is none.</summary>
    public static async Task<QemuInstallation> FindAsync(string architecture, CancellationToken cancellationToken = default)
    {
        var name = QemuCommandLine.ProgramFor(architecture);
        var path = ProgramPath.Find(name) ?? throw HullException.Unsupported($"{name} is not installed: virtual machines need it");
        var said = (await ChildProcess.RunAsync(new ChildProcessOptions(path, "--version"), timeout: TimeSpan.FromSeconds(30),
            cancellationToken: cancellationToken).ConfigureAwait(false)).RequireSuccess().OutputText;
        var match = VersionPattern().Match(said);
        if (!match.Success) throw HullException.Internal($"{path} does not say its version");
        var version = new QmpVersion(int.Parse(match.Groups[1].Value), int.Parse(match.Groups[2].Value),
            int.Parse(match.Groups[3].Value), match.Groups[4].Value);
        var file = new FileInfo(path);
        return new QemuInstallation(path, architecture, version,
            $"{name} {version} {version.Package} {file.Length} {file.LastWriteTimeUtc.Ticks}");
    }

    [GeneratedRegex(@"version (\d+)\.(\d+)\.(\d+)(?: \(([^)]*)\))?")]
    private static partial Regex VersionPattern();
}
