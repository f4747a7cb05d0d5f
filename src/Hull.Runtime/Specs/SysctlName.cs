using Hull.Core;

namespace Hull.Runtime.Specs;

/// <summary>Names of kernel parameters, which come as <c>net.ipv4.ip_forward</c> or <c>net/ipv4/ip_forward</c>.</summary>
public static class SysctlName
{
    private static readonly string[] s_ipc =
    [
        "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni",
        "kernel/shm_rmid_forced",
    ];

    /// <summary>
    /// The path below /proc/sys. As in sysctl(8): whichever of '.' and '/' comes first is the separator, and the other then
    /// stands for itself turned around (an interface may be named <c>eth0.100</c>).
    /// </summary>
    public static string ToPath(string key)
    {
        var separator = key.AsSpan().IndexOfAny('.', '/');
        var path = separator >= 0 && key[separator] == '.'
            ? string.Create(key.Length, key, static (span, text) =>
            {
                for (var i = 0; i < span.Length; i++) span[i] = text[i] switch { '.' => '/', '/' => '.', var c => c };
            })
            : key;
        if (path.Split('/') is { } parts && parts.Any(part => part is "" or "." or "..")) throw HullException.Invalid($"linux.sysctl: '{key}' is no name of a kernel parameter");
        return path;
    }

    /// <summary>The namespace a parameter belongs to, or null for the host's own.</summary>
    public static string? NamespaceOf(string path)
    {
        if (path.StartsWith("net/", StringComparison.Ordinal)) return "network";
        if (path.StartsWith("fs/mqueue/", StringComparison.Ordinal) || Array.IndexOf(s_ipc, path) >= 0) return "ipc";
        return path switch
        {
            "kernel/domainname" or "kernel/hostname" => "uts",
            _ => null,
        };
    }
}
