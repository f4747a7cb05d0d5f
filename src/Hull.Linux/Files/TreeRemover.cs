using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Linux.Files;

/// <summary>
/// Removes directory trees by descriptor. No link is followed and no mount is crossed: a mount below makes the removal
/// fail with EBUSY or EXDEV and stay whole. Trees deeper than the descriptors we may hold are flattened on the way.
/// </summary>
public static class TreeRemover
{
    private const int MaxDepth = 64;

    /// <summary>Removes an entry of an open directory with all below it; nothing there is no error.</summary>
    public static void Remove(SafeFd parent, string name, string description)
    {
        PathName.RequireSingle(name);
        var result = FileCalls.UnlinkAt(parent.Value, name);
        if (result >= 0 || result == -(nint)Errno.ENOENT) return;
        if (result != -(nint)Errno.EISDIR && result != -(nint)Errno.EPERM) Check.Result(result, $"remove {description}");
        using (var top = OpenBelow(parent, name, description)) Empty(top, top, 0, description);
        RemoveEmpty(parent, name, description);
    }

    /// <summary>Removes everything in an open directory but not the directory.</summary>
    public static void Empty(SafeFd directory, string description)
    {
        using var top = OpenBelow(directory, ".", description);
        Empty(top, top, 0, description);
    }

    private static void Empty(SafeFd directory, SafeFd top, int depth, string description)
    {
        while (true)
        {
            Check.Result(FileCalls.Seek(directory.Value, 0, 0), $"list {description}");
            var entries = DirectoryReader.ReadAll(directory, description);
            if (entries.Count == 0) return;
            var removed = 0;
            foreach (var entry in entries) removed += RemoveEntry(directory, top, entry, depth, description) ? 1 : 0;
            // Somebody who creates entries as fast as we remove them cannot keep us: each pass must find fewer of its own.
            if (removed == 0) return;
        }
    }

    private static bool RemoveEntry(SafeFd directory, SafeFd top, DirectoryEntry entry, int depth, string description)
    {
        if (entry.Kind != FileKind.Directory)
        {
            var result = FileCalls.UnlinkAt(directory.Value, entry.Name);
            if (result == -(nint)Errno.ENOENT) return false;
            if (result != -(nint)Errno.EISDIR)
            {
                Check.Result(result, $"remove {description}/{entry.Name}");
                return true;
            }
        }

        if (depth >= MaxDepth)
        {
            var flat = $".removed-{Random.Shared.NextInt64():x16}";
            Check.Result(FileCalls.RenameAt2(directory.Value, entry.Name, top.Value, flat), $"remove {description}/{entry.Name}");
            return true;
        }

        using (var child = OpenBelow(directory, entry.Name, description)) Empty(child, top, depth + 1, description);
        return RemoveEmpty(directory, entry.Name, description);
    }

    private static SafeFd OpenBelow(SafeFd directory, string name, string description) =>
        Check.Descriptor(
            FileCalls.OpenAt2(directory.Value, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV),
            $"open {description}/{name}");

    private static bool RemoveEmpty(SafeFd parent, string name, string description)
    {
        var result = FileCalls.UnlinkAt(parent.Value, name, AT_REMOVEDIR);
        if (result == -(nint)Errno.ENOENT) return false;
        Check.Result(result, $"remove directory {description}");
        return true;
    }
}
