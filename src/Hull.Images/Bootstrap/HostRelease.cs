using Hull.Core;

namespace Hull.Images.Bootstrap;

/// <summary>Which release of which distribution this machine runs (os-release(5)).</summary>
internal static class HostRelease
{
    /// <summary>The release's name, such as <c>bookworm</c>; throws <see cref="ErrorKind.Unsupported"/> elsewhere than on Debian.</summary>
    public static string Codename()
    {
        var lines = File.Exists("/etc/os-release") ? File.ReadAllLines("/etc/os-release") : [];
        var codename = Value(lines, "VERSION_CODENAME");
        return Value(lines, "ID") == "debian" && codename.Length > 0
            ? codename
            : throw HullException.Unsupported("images are bootstrapped with apt and its sources: this machine does not run Debian");
    }

    private static string Value(string[] lines, string name) =>
        lines.FirstOrDefault(line => line.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..].Trim('"') ?? "";
}
