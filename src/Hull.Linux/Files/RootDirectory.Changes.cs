using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Linux.Files;

/// <content>Operations that make, change and remove names.</content>
public sealed partial class RootDirectory
{
    private const int MaxLinks = 40;

    /// <summary>Creates a regular file that must not exist, and answers it open for reading and writing.</summary>
    public SafeFd CreateFileExclusive(string path, uint mode)
    {
        using var parent = OpenParent(path, out var name);
        return Check.Descriptor(
            FileCalls.OpenAt(parent.Value, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode), $"create {Describe(path)}");
    }

    /// <summary>Replaces a file's content whole, or creates it, by rename: never through a link.</summary>
    public void WriteAllBytes(string path, ReadOnlySpan<byte> content, uint mode = 0x1A4 /* 0644 */, bool durable = false)
    {
        using var parent = OpenParentForWriting(path, out var name);
        AtomicFile.Write(parent, name, content, mode, durable);
    }

    public void CreateDirectory(string path, uint mode)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.MkdirAt(parent.Value, name, mode), $"create directory {Describe(path)}");
    }

    /// <summary>
    /// Makes a directory and what is missing above it, and answers its O_PATH descriptor. Links inside the root are
    /// followed, dangling ones too: their targets are made inside the root.
    /// </summary>
    public SafeFd MkdirAll(string path, uint mode = 0x1ED /* 0755 */)
    {
        var existing = FileCalls.OpenAt2(Descriptor.Value, Inside(path), O_PATH | O_DIRECTORY, _resolve);
        if (existing != -(nint)Errno.ENOENT) return Check.Descriptor(existing, $"open directory {Describe(path)}");

        var parts = PathName.Split(path);
        var current = OpenDirectoryPath(".");
        for (int i = 0, links = 0; i < parts.Count; i++)
        {
            var prefix = string.Join('/', parts[..(i + 1)]);
            var result = FileCalls.OpenAt2(Descriptor.Value, prefix, O_PATH | O_DIRECTORY, _resolve);
            if (result == -(nint)Errno.ENOENT)
            {
                var target = TryReadLinkAt(current, parts[i]);
                if (target is not null)
                {
                    if (++links > MaxLinks) throw Check.Failure(Errno.ELOOP, $"create directory {Describe(path)}");
                    if (Scope == RootScope.Beneath && target.StartsWith('/'))
                        throw Check.Failure(Errno.EXDEV, $"create directory {Describe(path)}");
                    parts = [.. target.StartsWith('/') ? [] : parts[..i], .. PathName.Split(target), .. parts[(i + 1)..]];
                    current.Dispose();
                    current = OpenDirectoryPath(".");
                    i = -1;
                    continue;
                }

                result = MakeAndOpen(current, parts[i], mode);
            }

            current.Dispose();
            current = Check.Descriptor(result, $"create directory {Describe(path)}");
        }

        return current;
    }

    /// <summary>Makes a symbolic link; its target is text and is not looked at.</summary>
    public void CreateSymbolicLink(string target, string path)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.SymlinkAt(target, parent.Value, name), $"create link {Describe(path)}");
    }

    /// <summary>Makes a second name of an existing file; both are resolved in the root, neither is followed at its end.</summary>
    public void CreateHardLink(string existing, string path)
    {
        using var source = OpenParent(existing, out var sourceName);
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.LinkAt(source.Value, sourceName, parent.Value, name), $"link {Describe(path)} to {existing}");
    }

    /// <summary>Makes a device, fifo or socket; <paramref name="mode"/> holds S_IF* and permission bits.</summary>
    public void CreateNode(string path, uint mode, uint major = 0, uint minor = 0)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.MknodAt(parent.Value, name, mode, major, minor), $"create node {Describe(path)}");
    }

    /// <summary>Removes a name that is no directory.</summary>
    public void Unlink(string path)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.UnlinkAt(parent.Value, name), $"remove {Describe(path)}");
    }

    /// <summary>Removes an empty directory.</summary>
    public void RemoveDirectory(string path)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(FileCalls.UnlinkAt(parent.Value, name, AT_REMOVEDIR), $"remove directory {Describe(path)}");
    }

    /// <summary>Renames inside the root, replacing unless RENAME_NOREPLACE is given.</summary>
    public void Rename(string from, string to, uint flags = 0)
    {
        using var source = OpenParent(from, out var sourceName);
        using var target = OpenParent(to, out var targetName);
        Check.Result(FileCalls.RenameAt2(source.Value, sourceName, target.Value, targetName, flags),
            $"rename {Describe(from)} to {Describe(to)}");
    }

    /// <summary>Removes whatever is at the path with all below it; nothing there is no error. See <see cref="TreeRemover"/>.</summary>
    public void RemoveTree(string path)
    {
        var (directory, _) = PathName.SplitLast(path);
        var result = FileCalls.OpenAt2(Descriptor.Value, Inside(directory), O_PATH | O_DIRECTORY, _resolve);
        if (result == -(nint)Errno.ENOENT) return;
        using var parent = Check.Descriptor(result, $"open {Describe(directory)}");
        TreeRemover.Remove(parent, PathName.SplitLast(path).Name, Describe(path));
    }

    private SafeFd OpenParentForWriting(string path, out string name)
    {
        (var parent, name) = PathName.SplitLast(path);
        return OpenDirectory(parent);
    }

    private static string? TryReadLinkAt(SafeFd directory, string name)
    {
        Span<byte> buffer = stackalloc byte[4096];
        var length = FileCalls.ReadLinkAt(directory.Value, name, buffer);
        return length < 0 ? null : NativeText.Decode(buffer[..(int)length]);
    }

    /// <summary>mkdirat in an open directory, then opens what is there now: it must be a directory and no link.</summary>
    private static nint MakeAndOpen(SafeFd directory, string name, uint mode)
    {
        if (name == "..") return -(nint)Errno.ENOENT;
        var made = FileCalls.MkdirAt(directory.Value, name, mode);
        if (made < 0 && made != -(nint)Errno.EEXIST) return made;
        return FileCalls.OpenAt2(directory.Value, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    }
}
