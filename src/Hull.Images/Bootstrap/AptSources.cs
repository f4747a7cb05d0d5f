using System.Text;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Images.Bootstrap;

/// <summary>An archive that apt is configured to use.</summary>
internal sealed record AptSource(string Uri, string Release, string Keyring);

/// <summary>
/// What apt on this machine knows: the mirrors of the distribution, the keys that vouch for them, and how the network
/// is reached. Nothing of it is written into this program.
/// </summary>
internal static class AptSources
{
    private const string DebianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The sources of a release: those of this machine's own release (with its updates and security fixes), the name of
    /// the release replaced.
    /// </summary>
    public static async Task<IReadOnlyList<AptSource>> ForAsync(string suite, CancellationToken cancellation)
    {
        var host = HostRelease.Codename();
        var text = await RunAsync("apt-get", ["indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)", "Created-By: Packages"], cancellation).ConfigureAwait(false);
        var sources = new List<AptSource>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split('|');
            if (fields.Length != 4 || fields[2] != "main") continue;
            var release = fields[1];
            if (release != host && release != host + "-updates" && release != host + "-security") continue;
            // A release in the making has neither updates nor security fixes of its own.
            if (suite is "sid" && release != host) continue;
            var keyring = fields[3].StartsWith('/') ? fields[3] : DebianKeyring;
            sources.Add(new AptSource(WithoutUser(fields[0]), suite + release[host.Length..], keyring));
        }

        return sources.Count > 0
            ? [.. sources.Distinct()]
            : throw HullException.Unsupported($"apt on this machine has no source of Debian's {host}: check /etc/apt/sources.list");
    }

    /// <summary>How apt reaches the network (proxies, certificates), as option lines.</summary>
    public static async Task<IReadOnlyList<string>> NetworkOptionsAsync(CancellationToken cancellation)
    {
        var text = await RunAsync("apt-config", ["dump"], cancellation).ConfigureAwait(false);
        return [.. text.Split('\n').Where(line => IsNetworkOption(line) && !line.EndsWith(" \"\";", StringComparison.Ordinal)).Select(line => line.TrimEnd(';'))];
    }

    /// <summary>Runs one of apt's programs in the C locale and answers what it prints.</summary>
    public static async Task<string> RunAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellation, string? directory = null)
    {
        var result = await ChildProcess.RunAsync(new ChildProcessOptions(program, arguments) { Environment = PlainEnvironment(), WorkingDirectory = directory },
            timeout: Patience * 5, cancellationToken: cancellation).ConfigureAwait(false);
        if (result.Status.Succeeded) return Encoding.UTF8.GetString(result.Output);
        var said = result.ErrorText.Split('\n').LastOrDefault(line => line.StartsWith("E:", StringComparison.Ordinal)) ?? result.Status.ToString();
        throw new HullException(ErrorKind.Unavailable, $"{program} failed: {said}");
    }

    /// <summary>This process's environment in the C locale, and without an apt configuration of the caller's.</summary>
    public static Dictionary<string, string> PlainEnvironment()
    {
        var environment = new Dictionary<string, string>();
        foreach (System.Collections.DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            var name = (string)entry.Key;
            if (name is not ("APT_CONFIG" or "LANGUAGE" or "LANG" or "TMPDIR" or "SOURCE_DATE_EPOCH") && !name.StartsWith("LC_", StringComparison.Ordinal))
                environment[name] = (string?)entry.Value ?? "";
        }

        environment["LC_ALL"] = "C.UTF-8";
        environment.TryAdd("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        return environment;
    }

    private static bool IsNetworkOption(string line) =>
        (line.StartsWith("Acquire::http", StringComparison.OrdinalIgnoreCase) || line.StartsWith("Acquire::Retries", StringComparison.OrdinalIgnoreCase)
            || line.StartsWith("Acquire::ForceIPv", StringComparison.OrdinalIgnoreCase))
        && line.EndsWith("\";", StringComparison.Ordinal);

    /// <summary>A password in a mirror's address must not end up in an image.</summary>
    private static string WithoutUser(string address)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.UserInfo.Length == 0) return address;
        return new UriBuilder(uri) { UserName = "", Password = "" }.Uri.ToString();
    }
}
