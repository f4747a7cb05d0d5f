using System.Globalization;

namespace Hull.Api.Docker.Host;

/// <summary>What is to be known of the machine.</summary>
internal static class HostFacts
{
    public static string KernelRelease { get; } = ReadLine("/proc/sys/kernel/osrelease");

    public static bool CgroupsUnified { get; } = File.Exists("/sys/fs/cgroup/cgroup.controllers");

    /// <summary>Such as <c>Debian GNU/Linux 12 (bookworm)</c>.</summary>
    public static string OperatingSystem { get; } = OsRelease("PRETTY_NAME") ?? "Linux";

    public static string OperatingSystemVersion { get; } = OsRelease("VERSION_ID") ?? "";

    /// <summary>Bytes of memory of the machine.</summary>
    public static long TotalMemory { get; } = MemInfo("MemTotal:");

    /// <summary>The architecture as uname(2) names it.</summary>
    public static string Machine { get; } = Core.Platform.Host.Architecture switch
    {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        var other => other,
    };

    public static bool Ipv4Forwarding => ReadLine("/proc/sys/net/ipv4/ip_forward") == "1";

    private static string? OsRelease(string key)
    {
        foreach (var path in new[] { "/etc/os-release", "/usr/lib/os-release" })
        {
            if (!File.Exists(path)) continue;
            var line = File.ReadLines(path).FirstOrDefault(l => l.StartsWith(key + "=", StringComparison.Ordinal));
            if (line is not null) return line[(key.Length + 1)..].Trim().Trim('"', '\'');
        }

        return null;
    }

    private static long MemInfo(string key)
    {
        if (!File.Exists("/proc/meminfo")) return 0;
        var line = File.ReadLines("/proc/meminfo").FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal));
        var number = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(1);
        return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var kib) ? kib * 1024 : 0;
    }

    private static string ReadLine(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";
}
