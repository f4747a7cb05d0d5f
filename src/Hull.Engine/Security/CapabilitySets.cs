using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Engine.Security;

/// <summary>Linux capabilities (capabilities(7)): all, those given by default, and what a user's request makes of them.</summary>
public static class CapabilitySets
{
    /// <summary>In the order of their numbers.</summary>
    private static readonly string[] s_names =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
        "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
        "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
        "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ];

    /// <summary>Those this kernel knows and this process may hand on.</summary>
    public static IReadOnlyList<string> All { get; } = ReadAvailable();

    /// <summary>What an unprivileged workload has: enough to be root of its own files, not of the machine.</summary>
    public static IReadOnlyList<string> Default { get; } =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    /// <summary>
    /// The defaults with additions and removals; <c>ALL</c> stands for every one, names may lack <c>CAP_</c>. Throws
    /// <see cref="ErrorKind.InvalidArgument"/> for an unknown name.
    /// </summary>
    public static IReadOnlyList<string> Resolve(bool privileged, IReadOnlyList<string> add, IReadOnlyList<string> drop)
    {
        if (privileged) return All;
        var added = add.Select(Normalize).ToList();
        var dropped = drop.Select(Normalize).ToList();
        IEnumerable<string> start = dropped.Contains("ALL") ? [] : added.Contains("ALL") ? All : Default;
        return start.Concat(added.Where(name => name != "ALL")).Distinct()
            .Where(name => added.Contains(name) && dropped.Contains("ALL") || !dropped.Contains(name))
            .Where(All.Contains)
            .ToList();
    }

    /// <summary>The sets of a process: inheritable and ambient ones stay empty (CVE-2022-24769).</summary>
    public static CapabilitiesSpec ToSpec(IReadOnlyList<string> names) => new() { Bounding = names, Effective = names, Permitted = names };

    private static string Normalize(string name)
    {
        var upper = name.ToUpperInvariant();
        if (upper is "ALL" or "CAP_ALL") return "ALL";
        if (!upper.StartsWith("CAP_", StringComparison.Ordinal)) upper = "CAP_" + upper;
        return s_names.Contains(upper)
            ? upper
            : throw HullException.Invalid($"unknown capability '{name}': see capabilities(7) for the names");
    }

    private static List<string> ReadAvailable()
    {
        var bounding = ulong.MaxValue;
        foreach (var line in System.Text.Encoding.ASCII.GetString(AtomicFile.Read("/proc/self/status", 1 << 16)).Split('\n'))
        {
            if (line.StartsWith("CapBnd:", StringComparison.Ordinal)) bounding = Convert.ToUInt64(line[7..].Trim(), 16);
        }

        var available = new List<string>();
        for (var i = 0; i < s_names.Length; i++)
        {
            if ((bounding >> i & 1) != 0) available.Add(s_names[i]);
        }

        return available;
    }
}
