using System.Globalization;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Images.Bootstrap;

/// <summary>
/// Fills a root file system with Debian packages by mmdebstrap, which resolves, verifies and configures them with apt
/// itself, and gives the same bytes for the same packages.
/// </summary>
internal sealed class DebianRoot(string work, Action<string> progress)
{
    /// <summary>What is kept between runs: apt checks signatures and hashes again before it uses anything of it.</summary>
    private static readonly (string Here, string There)[] Kept = [("archives", "/var/cache/apt/archives"), ("lists", "/var/lib/apt/lists")];

    private static readonly string[] SlimOptions =
    [
        "path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/groff/*",
        "path-exclude=/usr/share/info/*", "path-exclude=/usr/share/lintian/*", "path-exclude=/usr/share/linda/*", "path-exclude=/usr/share/locale/*",
    ];

    /// <summary>
    /// Makes the tar at <paramref name="target"/>; answers <c>name=version</c> of every package in it, sorted.
    /// </summary>
    /// <param name="below">Tar of a root of this kind to install the packages into; null makes the essential system too.</param>
    public async Task<IReadOnlyList<string>> BuildAsync(
        string suite, BootstrapRecipe recipe, string? below, DateTimeOffset epoch, string target, CancellationToken cancellation)
    {
        var temporary = Path.Combine(work, "tmp");
        var list = Path.Combine(work, "packages-" + RandomId.Short(RandomId.New()));
        foreach (var folder in (string[])[.. Kept.Select(kept => Path.Combine(work, kept.Here)), temporary]) Directory.CreateDirectory(folder);
        var sources = await AptSources.ForAsync(suite, cancellation).ConfigureAwait(false);
        var arguments = new List<string> { below is null ? "--variant=minbase" : "--variant=custom", "--format=tar", "--skip=essential/unlink,cleanup/run" };
        if (below is null && recipe.Packages.Count > 0) arguments.Add("--include=" + string.Join(',', recipe.Packages));
        foreach (var option in await AptSources.NetworkOptionsAsync(cancellation).ConfigureAwait(false)) arguments.Add("--aptopt=" + option);
        arguments.Add("--aptopt=APT::Sandbox::User \"root\"");
        arguments.Add("--aptopt=Acquire::Languages \"none\"");
        if (recipe.Slim) arguments.AddRange(SlimOptions.Select(option => "--dpkgopt=" + option));
        arguments.Add("--dpkgopt=force-unsafe-io");
        arguments.AddRange(BaseHooks(below, recipe.Packages));
        arguments.AddRange(Hooks(list, recipe));
        arguments.AddRange([suite, target, .. sources.Select(source => $"deb [signed-by=\"{source.Keyring}\"] {source.Uri} {source.Release} main")]);
        try
        {
            await RunAsync(arguments, epoch, temporary, suite, cancellation).ConfigureAwait(false);
            return [.. File.ReadAllLines(list).Where(line => line.Length > 0).Order(StringComparer.Ordinal)];
        }
        finally
        {
            File.Delete(list);
        }
    }

    /// <summary>
    /// The time that files are given at most: that of the release's last point release, as its signed Release file says. It
    /// changes only when the release does.
    /// </summary>
    public static async Task<DateTimeOffset> EpochAsync(string suite, string work, CancellationToken cancellation)
    {
        var sources = await AptSources.ForAsync(suite, cancellation).ConfigureAwait(false);
        var root = Path.Combine(work, "release-" + suite);
        foreach (var folder in (string[])["state/lists/partial", "cache/archives/partial", "sources"]) Directory.CreateDirectory(Path.Combine(root, folder));
        var main = sources.First(source => source.Release == suite);
        Linux.Files.AtomicFile.Write(Path.Combine(root, "sources", "main.list"),
            System.Text.Encoding.UTF8.GetBytes($"deb [signed-by={main.Keyring}] {main.Uri} {main.Release} main\n"), durable: false);
        Linux.Files.AtomicFile.Write(Path.Combine(root, "status"), [], durable: false);
        string[] options =
        [
            "-o", $"Dir::State={root}/state", "-o", $"Dir::State::status={root}/status", "-o", $"Dir::Cache={root}/cache",
            "-o", "Dir::Etc::sourcelist=/dev/null", "-o", $"Dir::Etc::sourceparts={root}/sources", "-o", "APT::Sandbox::User=root",
            // The index of packages is mmdebstrap's to fetch: here only the signed Release file is wanted.
            "-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::Packages::DefaultEnabled=false",
        ];
        await AptSources.RunAsync("apt-get", [.. options, "--quiet", "update"], cancellation).ConfigureAwait(false);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(root, "state/lists"), "*Release"))
        {
            var date = File.ReadLines(file).FirstOrDefault(line => line.StartsWith("Date: ", StringComparison.Ordinal))?[6..].Replace("UTC", "+00:00", StringComparison.Ordinal);
            if (DateTimeOffset.TryParse(date, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)) return time;
        }

        throw HullException.Corrupted($"the Release file of {suite} says no date");
    }

    /// <summary>Unpacks the base and lets apt, configured by mmdebstrap outside of it, put the packages on top.</summary>
    private static IEnumerable<string> BaseHooks(string? below, IReadOnlyList<string> packages)
    {
        if (below is null) yield break;
        // mmdebstrap has made the devices.
        yield return $"--setup-hook=tar --extract --directory \"$1\" --numeric-owner --exclude='./dev/*' --file {Quote(below)}";
        yield return "--customize-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get install --yes --quiet --quiet"
            + " --option Dpkg::Use-Pty=false --option DPkg::Chroot-Directory=\"$1\" " + string.Join(' ', packages);
    }

    private IEnumerable<string> Hooks(string list, BootstrapRecipe recipe)
    {
        foreach (var (here, there) in Kept)
        {
            yield return $"--setup-hook=mkdir -p \"$1\"{there}";
            yield return $"--setup-hook=sync-in {Quote(Path.Combine(work, here))} {there}";
        }

        // What packages left there is of this run; what the recipe puts there is the image's.
        yield return "--customize-hook=find \"$1\"/run -mindepth 1 -delete; mkdir -m 1777 \"$1\"/run/lock";
        foreach (var program in recipe.Programs)
            yield return $"--customize-hook=install -m 755 {Quote(WriteProgram(program))} \"$1\"/usr/local/bin/{program}";
        foreach (var hook in recipe.Hooks) yield return "--customize-hook=" + hook;
        foreach (var (here, there) in Kept) yield return $"--customize-hook=sync-out {there} {Quote(Path.Combine(work, here))}";
        yield return $"--customize-hook=chroot \"$1\" dpkg-query --show --showformat '${{Package}}=${{Version}}\\n' > {Quote(list)}";
        // What is this machine's or this run's, and not the packages'.
        yield return "--customize-hook=rm -f \"$1\"/etc/hostname \"$1\"/etc/resolv.conf \"$1\"/etc/apt/apt.conf.d/99mmdebstrap";
        yield return "--customize-hook=find \"$1\"/var/log \"$1\"/var/cache/debconf -type f -name '*-old' -delete; find \"$1\"/var/log -type f -exec truncate -s 0 {} +";
        yield return "--customize-hook=find \"$1\"/usr/lib/python3* \"$1\"/usr/share/python3 -name '*.pyc' -delete 2>/dev/null || true";
        yield return "--customize-hook=if test -e \"$1\"/etc/machine-id; then : > \"$1\"/etc/machine-id; fi; rm -f \"$1\"/var/lib/dbus/machine-id \"$1\"/etc/ssl/private/ssl-cert-snakeoil.key \"$1\"/etc/ssl/certs/ssl-cert-snakeoil.pem";
    }

    private string WriteProgram(string name)
    {
        using var resource = typeof(DebianRoot).Assembly.GetManifestResourceStream(name) ?? throw HullException.Internal($"the program {name} is not built in");
        using var content = new MemoryStream();
        resource.CopyTo(content);
        var path = Path.Combine(work, name);
        Linux.Files.AtomicFile.Write(path, content.GetBuffer().AsSpan(0, (int)content.Length), durable: false);
        return path;
    }

    private async Task RunAsync(IReadOnlyList<string> arguments, DateTimeOffset epoch, string temporary, string suite, CancellationToken cancellation)
    {
        var environment = AptSources.PlainEnvironment();
        environment["SOURCE_DATE_EPOCH"] = epoch.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        environment["TMPDIR"] = temporary;
        progress($"installing packages of {suite}");
        try
        {
            var result = await ChildProcess.RunAsync(new ChildProcessOptions("mmdebstrap", arguments) { Environment = environment }.WithOwnMounts(), cancellationToken: cancellation).ConfigureAwait(false);
            if (result.Status.Succeeded) return;
            var lines = result.ErrorText.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            var reason = lines.FirstOrDefault(line => line.StartsWith("E:", StringComparison.Ordinal)) ?? lines.LastOrDefault() ?? result.Status.ToString();
            throw new HullException(ErrorKind.Unavailable, $"installing packages of {suite} failed: {reason.Trim()}");
        }
        catch (HullException error) when (error.Kind == ErrorKind.CommandNotFound)
        {
            throw new HullException(ErrorKind.Unsupported, "mmdebstrap is missing: apt-get install mmdebstrap", error);
        }
    }

    private static string Quote(string path) => "'" + path.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
