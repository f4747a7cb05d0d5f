using Hull.Core;

namespace Hull.Runtime.Specs;

/// <summary>Names and numbers of capabilities(7).</summary>
public static class CapabilityTable
{
    /// <summary>Names in the order of their numbers.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
        "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
        "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
        "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ];

    /// <summary>Every capability this table knows.</summary>
    public static ulong All => (1UL << Names.Count) - 1;

    public const int SetPcap = 8;
    public const int SysAdmin = 21;

    /// <summary>
    /// The set as a bit mask. A name that is no capability is left out, as the specification wants for those a kernel lacks
    /// (config.md, "capabilities"), and told to <paramref name="unknown"/>.
    /// </summary>
    public static ulong Mask(IReadOnlyList<string>? names, ICollection<string>? unknown = null)
    {
        ulong mask = 0;
        foreach (var name in names ?? [])
        {
            var number = IndexOf(name);
            if (number >= 0) mask |= 1UL << number;
            else unknown?.Add(name);
        }

        return mask;
    }

    private static int IndexOf(string name)
    {
        for (var i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name) return i;
        }

        return -1;
    }
}
