using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Files;

/// <summary>
/// Copies a tree out of a root file system with owners, modes, times, links and extended attributes, by descriptor on
/// both sides. Devices and sockets are left out: a volume is for data.
/// </summary>
internal static class TreeCopy
{
    private const int MaxDepth = 256;

    /// <summary>Copies what is at <paramref name="path"/> in the root into an existing directory; nothing there is no error.</summary>
    public static void Copy(int root, string path, string destination)
    {
        using var source = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the image's root");
        if (source.TryStat(path, follow: true) is not { IsDirectory: true }) return;
        using var from = source.OpenDirectory(path);
        using var to = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, destination, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY), $"open {destination}");
        CopyDirectory(from, to, 0);
        CopyMetadata(from, to);
    }

    private static void CopyDirectory(SafeFd from, SafeFd to, int depth)
    {
        if (depth > MaxDepth) throw HullException.Invalid("a directory of the image is nested too deeply to be copied");
        foreach (var entry in DirectoryReader.ReadAll(from, "the image")) CopyEntry(from, to, entry, depth);
    }

    private static void CopyEntry(SafeFd from, SafeFd to, DirectoryEntry entry, int depth)
    {
        using var handle = Check.Descriptor(
            FileCalls.OpenAt(from.Value, entry.Name, Fcntl.O_PATH | Fcntl.O_NOFOLLOW), $"open {entry.Name}");
        var status = handle.Stat();
        switch (status.Kind)
        {
            case FileKind.Directory:
                Check.Result(FileCalls.MkdirAt(to.Value, entry.Name, 0x1C0 /* 0700 */), $"create {entry.Name}");
                using (var child = Open(from, entry.Name, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY))
                using (var made = Open(to, entry.Name, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY))
                {
                    CopyDirectory(child, made, depth + 1);
                    CopyMetadata(child, made);
                }

                break;
            case FileKind.Regular:
                using (var file = Open(from, entry.Name, Fcntl.O_RDONLY))
                using (var made = Check.Descriptor(
                           FileCalls.OpenAt(to.Value, entry.Name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW, 0x180), $"create {entry.Name}"))
                {
                    CopyBytes(file, made, entry.Name);
                    CopyMetadata(file, made);
                }

                break;
            case FileKind.SymbolicLink:
                CopyLink(handle, to, entry.Name, status);
                break;
        }
    }

    private static SafeFd Open(SafeFd directory, string name, int flags) =>
        Check.Descriptor(FileCalls.OpenAt(directory.Value, name, flags | Fcntl.O_NOFOLLOW | Fcntl.O_NONBLOCK), $"open {name}");

    private static void CopyLink(SafeFd link, SafeFd to, string name, FileStatus status)
    {
        Span<byte> buffer = stackalloc byte[4096];
        var length = (int)Check.Result(FileCalls.ReadLinkAt(link.Value, "", buffer), $"read link {name}");
        Check.Result(FileCalls.SymlinkAt(NativeText.Decode(buffer[..length]), to.Value, name), $"create link {name}");
        Check.Result(MetadataCalls.FchownAt(to.Value, name, status.User, status.Group, Fcntl.AT_SYMLINK_NOFOLLOW), $"set the owner of {name}");
    }

    private static void CopyBytes(SafeFd from, SafeFd to, string name)
    {
        var remaining = from.Stat().Size;
        while (remaining > 0)
        {
            var count = FileCalls.CopyFileRange(from.Value, to.Value, remaining);
            if (count < 0)
            {
                CopyByHand(from, to, name);
                return;
            }

            if (count == 0) return;
            remaining -= count;
        }
    }

    /// <summary>Between file systems that copy_file_range(2) refuses.</summary>
    private static void CopyByHand(SafeFd from, SafeFd to, string name)
    {
        var buffer = new byte[128 * 1024];
        while (true)
        {
            var count = (int)Check.Result(FileCalls.Read(from.Value, buffer), $"read {name}");
            if (count == 0) return;
            to.WriteAll(buffer.AsSpan(0, count), name);
        }
    }

    /// <summary>Owner before mode: chown(2) clears set-id bits.</summary>
    private static void CopyMetadata(SafeFd from, SafeFd to)
    {
        var status = from.Stat();
        Check.Result(MetadataCalls.FchownAt(to.Value, "", status.User, status.Group, Fcntl.AT_EMPTY_PATH), $"set an owner");
        Check.Result(MetadataCalls.Fchmod(to.Value, status.Mode), $"set a mode");
        Check.Result(MetadataCalls.UtimensAt(to.Value, "", status.Accessed, status.Modified, Fcntl.AT_EMPTY_PATH), $"set times");
    }
}
