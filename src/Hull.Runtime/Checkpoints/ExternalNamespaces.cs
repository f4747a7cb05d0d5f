using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Checkpoints;

/// <summary>Namespaces the container joined by a path: they are not saved, and joined again.</summary>
internal static class ExternalNamespaces
{
    // What criu knows how to join: its name for a kind, by the specification's.
    private static readonly Dictionary<string, string> s_kinds = new() { ["network"] = "net", ["pid"] = "pid" };

    internal static void AddToDump(CriuRequest request, Spec spec, int pid)
    {
        foreach (var (kind, _) in Of(spec))
        {
            using var space = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, $"/proc/{pid}/ns/{kind}", O_RDONLY), $"open the {kind} namespace of {pid}");
            request.External($"{kind}[{space.Stat().Inode}]:{KeyOf(kind)}");
        }
    }

    /// <summary>Opens each again and hands it on; <paramref name="next"/> is the number criu finds the first at.</summary>
    internal static void AddToRestore(CriuRequest request, Spec spec, List<SafeFd> extra, int next)
    {
        foreach (var (kind, path) in Of(spec))
        {
            extra.Add(Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY), $"open the {kind} namespace {path}"));
            request.Inherit(KeyOf(kind), next++);
            request.External($"{kind}[{extra[^1].Stat().Inode}]:{KeyOf(kind)}");
        }
    }

    private static IEnumerable<(string Kind, string Path)> Of(Spec spec)
    {
        foreach (var entry in spec.Linux?.Namespaces ?? [])
        {
            if (!string.IsNullOrEmpty(entry.Path) && s_kinds.TryGetValue(entry.Type!, out var kind)) yield return (kind, entry.Path);
        }
    }

    private static string KeyOf(string kind) => $"extRoot{char.ToUpperInvariant(kind[0])}{kind[1..]}NS";
}
