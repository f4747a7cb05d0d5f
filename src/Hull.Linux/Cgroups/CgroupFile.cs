using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Cgroups;

/// <summary>
/// Reads and writes the small files of cgroupfs and resctrl with one open and one read or write each. The kernel takes a
/// value by one write(2) only, so the buffered streams of the framework are no use here.
/// </summary>
internal static class CgroupFile
{
    private const uint DirectoryMode = 0x1ED; // 0755

    internal static Errno MakeDirectory(string path) => ErrnoOf(FileCalls.MkdirAt(Fcntl.AT_FDCWD, path, DirectoryMode));

    internal static Errno RemoveDirectory(string path) =>
        ErrnoOf(FileCalls.UnlinkAt(Fcntl.AT_FDCWD, path, Fcntl.AT_REMOVEDIR));

    internal static bool IsThere(string path)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH);
        if (descriptor >= 0) FileCalls.Close((int)descriptor);
        return descriptor >= 0;
    }

    /// <summary>The magic number of the file system at a path, or 0 (statfs(2), f_type).</summary>
    internal static long FileSystemType(string path)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH);
        if (descriptor < 0) return 0;
        var result = MetadataCalls.FstatFs((int)descriptor, out var status);
        FileCalls.Close((int)descriptor);
        return result < 0 ? 0 : (long)status.f_type;
    }

    internal static SafeFd? TryOpen(string path, int flags, out Errno errno)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, flags);
        errno = ErrnoOf(descriptor);
        return descriptor < 0 ? null : new SafeFd((int)descriptor);
    }

    internal static SafeFd Open(string path, int flags) =>
        TryOpen(path, flags, out var errno) ?? throw Check.Failure(errno, $"open {path}");

    /// <summary>Writes text with one write(2).</summary>
    internal static Errno TryWrite(string path, ReadOnlySpan<char> text)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY);
        if (descriptor < 0) return ErrnoOf(descriptor);
        var size = Encoding.UTF8.GetMaxByteCount(text.Length);
        var buffer = size <= 1024 ? stackalloc byte[size] : new byte[size];
        var result = FileCalls.Write((int)descriptor, buffer[..Encoding.UTF8.GetBytes(text, buffer)]);
        FileCalls.Close((int)descriptor);
        return ErrnoOf(result);
    }

    /// <summary>Writes a value or throws, naming the file and the value.</summary>
    internal static void Write(string directory, string file, ReadOnlySpan<char> text)
    {
        var path = directory + "/" + file;
        var errno = TryWrite(path, text);
        if (errno != Errno.None) throw Check.Failure(errno, $"write \"{text}\" to {path}");
    }

    internal static void Write(string directory, string file, long value) => Write(directory, file, Number.Text(value));

    /// <summary>The whole text of a file, or null with the error.</summary>
    internal static string? TryRead(string path, out Errno errno)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY);
        errno = ErrnoOf(descriptor);
        if (descriptor < 0) return null;
        var buffer = new byte[4096];
        var length = 0;
        nint count;
        while ((count = FileCalls.Read((int)descriptor, buffer.AsSpan(length))) > 0)
        {
            length += (int)count;
            if (length == buffer.Length) Array.Resize(ref buffer, buffer.Length * 4);
        }

        FileCalls.Close((int)descriptor);
        errno = ErrnoOf(count);
        return count < 0 ? null : Encoding.UTF8.GetString(buffer, 0, length);
    }

    /// <summary>The text of a file without its last line feed, or null when it cannot be read.</summary>
    internal static string? TryRead(string directory, string file) => TryRead(directory + "/" + file, out _)?.TrimEnd('\n');

    internal static string Read(string directory, string file) =>
        (TryRead(directory + "/" + file, out var errno) ?? throw Check.Failure(errno, $"read {directory}/{file}")).TrimEnd('\n');

    private static Errno ErrnoOf(nint result) => result < 0 ? (Errno)(int)-result : Errno.None;
}
