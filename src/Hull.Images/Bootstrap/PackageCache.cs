using System.Security.Cryptography;
using Hull.Core;

namespace Hull.Images.Bootstrap;

/// <summary>
/// Single packages by name, kept between runs. apt says which version is current and what its hash is, from lists whose
/// signature it has checked; a package that is kept is only used with that very hash.
/// </summary>
internal static class PackageCache
{
    /// <summary>The path of the current package of that name.</summary>
    public static async Task<string> GetAsync(string package, string cache, CancellationToken cancellation)
    {
        string[] state = [];
        var line = await DescribeAsync(package, state, cancellation).ConfigureAwait(false);
        if (line is null)
        {
            // This machine's apt has no lists, as in fresh containers: lists of our own, then.
            state = await PrivateStateAsync(cache, cancellation).ConfigureAwait(false);
            line = await DescribeAsync(package, state, cancellation).ConfigureAwait(false)
                ?? throw HullException.NotFound($"apt knows no package {package}: run apt-get update");
        }

        // 'URI' NAME SIZE SHA256:HASH
        var fields = line.Split(' ');
        var (name, hash) = (fields[1], fields[3]);
        if (!name.EndsWith(".deb", StringComparison.Ordinal) || name.Contains('/', StringComparison.Ordinal) || !hash.StartsWith("SHA256:", StringComparison.Ordinal))
            throw HullException.Corrupted($"apt describes package {package} in a way that cannot be read");
        var path = Path.Combine(cache, name);
        if (IsIntact(path, hash[7..])) return path;
        await AptSources.RunAsync("apt-get", [.. state, "-o", "APT::Sandbox::User=root", "--quiet", "download", package], cancellation, cache).ConfigureAwait(false);
        return IsIntact(path, hash[7..]) ? path : throw HullException.Corrupted($"package {name} does not have the hash that its archive signed");
    }

    private static async Task<string?> DescribeAsync(string package, IReadOnlyList<string> state, CancellationToken cancellation)
    {
        try
        {
            var text = await AptSources.RunAsync("apt-get", [.. state, "--print-uris", "download", package], cancellation).ConfigureAwait(false);
            return text.Split('\n').FirstOrDefault(line => line.StartsWith('\'') && line.Split(' ').Length == 4);
        }
        catch (HullException error) when (error.Kind == ErrorKind.Unavailable)
        {
            return null;
        }
    }

    private static async Task<string[]> PrivateStateAsync(string cache, CancellationToken cancellation)
    {
        var root = Path.Combine(cache, "apt");
        foreach (var folder in (string[])["state/lists/partial", "cache/archives/partial"]) Directory.CreateDirectory(Path.Combine(root, folder));
        string[] options =
        [
            "-o", $"Dir::State={root}/state", "-o", $"Dir::State::status={root}/status", "-o", $"Dir::Cache={root}/cache",
            "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root",
        ];
        Linux.Files.AtomicFile.Write(Path.Combine(root, "status"), [], durable: false);
        await AptSources.RunAsync("apt-get", [.. options, "--quiet", "update"], cancellation).ConfigureAwait(false);
        return options;
    }

    private static bool IsIntact(string path, string sha256)
    {
        if (!File.Exists(path)) return false;
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file)) == sha256.ToLowerInvariant();
    }
}
