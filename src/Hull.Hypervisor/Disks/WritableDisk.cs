using System.Globalization;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// The disk that takes what a container in a machine writes: a sparse ext4 image. One is formatted per size and kept;
/// each machine gets a copy of the few hundred KiB that are not holes.
/// </summary>
/// <param name="directory">Where the formatted images are kept.</param>
public sealed class WritableDisk(string directory)
{
    /// <summary>Bytes a container may write unless told otherwise; only what is written takes space.</summary>
    public const long DefaultBytes = 20L << 30;

    /// <summary>Makes a new disk at <paramref name="path"/>; one that is there stays as it is.</summary>
    /// <param name="source">A disk of that size to copy; null copies the one that is kept.</param>
    public void Create(string path, long bytes = DefaultBytes, string? source = null)
    {
        if (File.Exists(path)) return;
        source ??= Formatted(bytes);
        var incoming = path + ".new";
        SparseFile.Copy(source, incoming);
        File.Move(incoming, path, overwrite: true);
    }

    private string Formatted(long bytes)
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"ext4-3-{bytes}.img"));
        if (File.Exists(path)) return path;
        using var exclusive = FileLock.Acquire(Path.Combine(directory, "lock"));
        if (File.Exists(path)) return path;
        var incoming = path + ".new";
        File.Delete(incoming);
        using (var file = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, incoming, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_EXCL, 0x180), $"create {incoming}"))
        {
            Check.Result(FileCalls.Truncate(file.Value, bytes), $"size {incoming}");
        }

        // The two directories of an overlay, so that no guest has to make them.
        var content = path + ".content";
        foreach (var name in (string[])["upper", "work"]) Directory.CreateDirectory(Path.Combine(content, name));
        // A small journal keeps the file system consistent over a power failure; blocks for root alone make no sense here, nor do
        // the four MiB of tables by which it could be enlarged: every machine would write a copy of them.
        ChildProcess.Run(new ChildProcessOptions("mke2fs", "-q", "-t", "ext4", "-F", "-O", "^resize_inode", "-m", "0", "-J", "size=8",
            "-d", content, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", incoming), timeout: TimeSpan.FromMinutes(1)).RequireSuccess();
        Directory.Delete(content, recursive: true);
        File.Move(incoming, path);
        return path;
    }
}
