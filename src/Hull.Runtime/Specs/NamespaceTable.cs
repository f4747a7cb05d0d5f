using Hull.Core;
using Hull.Linux.Abi;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Specs;

/// <summary>One kind of namespace: its word in the specification, its clone flag and its file below /proc/[pid]/ns.</summary>
public sealed record NamespaceKind(string Type, ulong Flag, string File);

/// <summary>The eight kinds of namespaces(7).</summary>
public static class NamespaceTable
{
    public static IReadOnlyList<NamespaceKind> All { get; } =
    [
        new("user", CloneFlags.CLONE_NEWUSER, "user"),
        new("cgroup", CloneFlags.CLONE_NEWCGROUP, "cgroup"),
        new("ipc", CloneFlags.CLONE_NEWIPC, "ipc"),
        new("uts", CloneFlags.CLONE_NEWUTS, "uts"),
        new("network", CloneFlags.CLONE_NEWNET, "net"),
        new("pid", CloneFlags.CLONE_NEWPID, "pid"),
        new("mount", CloneFlags.CLONE_NEWNS, "mnt"),
        new("time", CloneFlags.CLONE_NEWTIME, "time"),
    ];

    /// <summary>The kind of a word of the specification; throws for a word it does not have.</summary>
    public static NamespaceKind Get(string? type)
    {
        foreach (var kind in All)
        {
            if (kind.Type == type) return kind;
        }

        throw HullException.Invalid($"linux.namespaces: unknown namespace '{type}', expected one of {string.Join(", ", All.Select(kind => kind.Type))}");
    }

    /// <summary>The entry of a spec for a kind, or null.</summary>
    public static NamespaceSpec? Find(this LinuxSpec? linux, string type)
    {
        if (linux?.Namespaces is not { } namespaces) return null;
        foreach (var entry in namespaces)
        {
            if (entry.Type == type) return entry;
        }

        return null;
    }

    /// <summary>Whether the spec makes a namespace of this kind rather than joining one.</summary>
    public static bool Creates(this LinuxSpec? linux, string type) => linux.Find(type) is { } entry && string.IsNullOrEmpty(entry.Path);
}
