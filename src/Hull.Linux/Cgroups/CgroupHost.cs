using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>A v1 hierarchy: its controllers, where it is mounted, and the cgroup of this process in it.</summary>
internal sealed record Hierarchy(string[] Controllers, string Mount, string OwnPath)
{
    internal bool IsNamed => Controllers[0].StartsWith("name=", StringComparison.Ordinal);

    internal bool Has(string controller) => Array.IndexOf(Controllers, controller) >= 0;
}

/// <summary>
/// What control groups this machine has. It is read from /proc/self/cgroup, which is short however many mounts the machine
/// has; mountinfo is parsed only when a hierarchy is not at its usual place below /sys/fs/cgroup.
/// </summary>
internal sealed class CgroupHost
{
    internal const string DefaultRoot = "/sys/fs/cgroup";
    private const long Cgroup1Magic = 0x27e0eb;
    private const long Cgroup2Magic = 0x63677270;
    private static readonly Lazy<CgroupHost> Cached = new(Detect);

    internal static CgroupHost Current => Cached.Value;

    internal required CgroupVersion Version { get; init; }

    /// <summary>v1 hierarchies in the kernel's order; empty on v2.</summary>
    internal IReadOnlyList<Hierarchy> Hierarchies { get; init; } = [];

    /// <summary>Mount of v2: all there is, or beside v1 ("hybrid"); null without.</summary>
    internal string? UnifiedMount { get; init; }

    /// <summary>The v2 cgroup of this process.</summary>
    internal string UnifiedOwnPath { get; init; } = "/";

    /// <summary>True where systemd is process 1's program and manages /sys/fs/cgroup (sd_booted(3)).</summary>
    internal static bool HasSystemd => Directory.Exists("/run/systemd/system");

    private static CgroupHost Detect()
    {
        var text = CgroupFile.TryRead("/proc/self/cgroup", out var errno)
            ?? throw Check.Failure(errno, "read /proc/self/cgroup");
        if (CgroupFile.FileSystemType(DefaultRoot) == Cgroup2Magic)
        {
            return new CgroupHost
            {
                Version = CgroupVersion.V2, UnifiedMount = DefaultRoot, UnifiedOwnPath = OwnUnifiedPath(text),
            };
        }

        var hierarchies = new List<Hierarchy>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(':', 3);
            if (fields.Length == 3 && fields[1].Length > 0 && FindV1(fields[1], fields[2]) is { } hierarchy) hierarchies.Add(hierarchy);
        }

        var unified = CgroupFile.FileSystemType(DefaultRoot + "/unified") == Cgroup2Magic ? DefaultRoot + "/unified" : null;
        if (hierarchies.Count == 0 && unified is null)
        {
            throw new HullException(ErrorKind.Unavailable,
                "no cgroup hierarchy is mounted: mount cgroup2 at /sys/fs/cgroup, or run without cgroups");
        }

        return new CgroupHost
        {
            Version = hierarchies.Count == 0 ? CgroupVersion.V2 : CgroupVersion.V1,
            Hierarchies = hierarchies, UnifiedMount = unified, UnifiedOwnPath = OwnUnifiedPath(text),
        };
    }

    /// <summary>The cgroup of a process in the hierarchy with a controller or name; v2 has "". See cgroups(7), /proc/[pid]/cgroup.</summary>
    internal static string PathOf(string file, string controller)
    {
        foreach (var line in (CgroupFile.TryRead(file, out _) ?? "").Split('\n'))
        {
            if (line.Split(':', 3) is [_, var controllers, var path] && Array.IndexOf(controllers.Split(','), controller) >= 0) return path;
        }

        return "/";
    }

    private static string OwnUnifiedPath(string text)
    {
        foreach (var line in text.Split('\n'))
        {
            if (line.StartsWith("0::", StringComparison.Ordinal)) return line[3..];
        }

        return "/";
    }

    private static Hierarchy? FindV1(string controllers, string own)
    {
        var names = controllers.Split(',');
        var mount = DefaultRoot + "/" + (names[0].StartsWith("name=", StringComparison.Ordinal) ? names[0][5..] : controllers);
        // A hierarchy bound into a container shows a path of the host; then mountinfo says which part of it is mounted.
        if (CgroupFile.FileSystemType(mount) == Cgroup1Magic && (own == "/" || CgroupFile.IsThere(mount + own)))
        {
            return new Hierarchy(names, mount, own);
        }

        return MountTable.Value.Find(names, own);
    }

    private static readonly Lazy<CgroupMounts> MountTable =
        new(() => new CgroupMounts(CgroupFile.TryRead("/proc/self/mountinfo", out _) ?? ""));
}

/// <summary>The cgroup mounts of /proc/self/mountinfo (proc_pid_mountinfo(5)).</summary>
internal sealed class CgroupMounts(string mountinfo)
{
    /// <summary>The hierarchy with these controllers as it is mounted here, or null.</summary>
    internal Hierarchy? Find(string[] controllers, string own)
    {
        foreach (var line in mountinfo.Split('\n'))
        {
            var separator = line.IndexOf(" - cgroup ", StringComparison.Ordinal);
            if (separator < 0) continue;
            var fields = line[..separator].Split(' ');
            var options = line[(line.LastIndexOf(' ') + 1)..].Split(',');
            if (fields.Length < 5 || Array.IndexOf(options, controllers[0]) < 0) continue;
            var root = Unescape(fields[3]);
            var inside = root == "/" ? own
                : own == root ? "/"
                : own.StartsWith(root + "/", StringComparison.Ordinal) ? own[root.Length..] : "/";
            return new Hierarchy(controllers, Unescape(fields[4]), inside);
        }

        return null;
    }

    /// <summary>Undoes the octal escapes of blank, tab, line feed and backslash.</summary>
    private static string Unescape(string text) => !text.Contains('\\') ? text : text
        .Replace("\\040", " ").Replace("\\011", "\t").Replace("\\012", "\n").Replace("\\134", "\\");
}
