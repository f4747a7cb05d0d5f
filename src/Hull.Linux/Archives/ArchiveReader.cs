using System.Formats.Tar;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;

namespace Hull.Linux.Archives;

/// <summary>What is at a path of a root file system.</summary>
/// <param name="Mode">Type and permissions, as stat(2) has them.</param>
/// <param name="LinkTarget">Where a symbolic link leads, as a path of the root; else empty.</param>
public sealed record ArchivedPath(string Name, long Size, uint Mode, DateTimeOffset ModifiedAt, string LinkTarget);

/// <summary>Reads paths of a root file system as tar archives. Every step is by descriptor below the root.</summary>
public static class ArchiveReader
{
    private const int MaxDepth = 512;

    /// <summary>What is at the path; the last component itself, not what it links to.</summary>
    public static ArchivedPath Stat(int root, string path)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var clean = Clean(path, out var wantsDirectory);
        FileStatus status;
        try
        {
            status = directory.Stat(clean, follow: wantsDirectory);
        }
        catch (HullException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP)
        {
            throw HullException.NotFound($"could not find the file {path} in the container", error);
        }

        if (wantsDirectory && !status.IsDirectory) throw HullException.Invalid($"{path} is not a directory");
        var target = status.IsSymbolicLink ? ResolveLink(directory, clean) : "";
        return new ArchivedPath(NameOf(path), status.Size, TypeBits(status.Kind) | status.Mode, ToTime(status.Modified), target);
    }

    /// <summary>Writes what is at the path, named by its last component.</summary>
    public static async Task WriteAsync(int root, string path, Stream destination, CancellationToken cancellationToken, OwnerMap? owners = null)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var clean = Clean(path, out var wantsDirectory);
        var writer = new TarWriter(destination, TarEntryFormat.Pax, leaveOpen: true);
        await using (writer.ConfigureAwait(false))
        {
            var walk = new Walk(writer, directory, owners, null);
            using var handle = directory.OpenPath(clean, follow: wantsDirectory);
            await WriteEntryAsync(walk, clean, handle.Stat(), NameOf(path), 0, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes the whole root; other file systems mounted in it are left out, as their content is not its own.</summary>
    public static async Task WriteTreeAsync(int root, Stream destination, CancellationToken cancellationToken, OwnerMap? owners = null)
    {
        using var directory = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var writer = new TarWriter(destination, TarEntryFormat.Pax, leaveOpen: true);
        await using (writer.ConfigureAwait(false))
        {
            var walk = new Walk(writer, directory, owners, directory.Stat(".").MountId);
            await WriteChildrenAsync(walk, ".", "", 0, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>One archive in the making.</summary>
    /// <param name="OnlyMount">The mount whose content is meant; null for all.</param>
    private sealed record Walk(TarWriter Writer, RootDirectory Root, OwnerMap? Owners, ulong? OnlyMount)
    {
        /// <summary>Names of files that have several.</summary>
        public Dictionary<(ulong, (uint, uint)), string> Links { get; } = [];
    }

    private static async Task WriteChildrenAsync(Walk walk, string path, string name, int depth, CancellationToken cancellationToken)
    {
        if (depth > MaxDepth) throw HullException.Invalid($"{path} is nested too deeply");
        foreach (var entry in walk.Root.List(path).OrderBy(entry => entry.Name, StringComparer.Ordinal))
        {
            var child = path + "/" + entry.Name;
            // It may have gone since the directory was read.
            if (walk.Root.TryStat(child) is not { } status) continue;
            var crosses = walk.OnlyMount is { } mount && status.MountId != mount;
            await WriteEntryAsync(walk, child, status, name.Length == 0 ? entry.Name : name + "/" + entry.Name, depth + 1, cancellationToken,
                descend: !crosses).ConfigureAwait(false);
        }
    }

    private static async Task WriteEntryAsync(Walk walk, string path, FileStatus status, string name, int depth, CancellationToken cancellationToken,
        bool descend = true)
    {
        var (writer, root, links) = (walk.Writer, walk.Root, walk.Links);
        // Sockets have no place in an archive.
        if (status.Kind is FileKind.Socket or FileKind.Unknown) return;
        var linked = status is { Links: > 1, IsDirectory: false } && !links.TryAdd((status.Inode, status.Device), name);
        var entry = new PaxTarEntry(linked ? TarEntryType.HardLink : TypeOf(status.Kind), status.IsDirectory ? name.TrimEnd('/') + "/" : name)
        {
            Mode = (UnixFileMode)(status.Mode & 0xFFF),
            Uid = (int)(walk.Owners?.UserInside(status.User) ?? status.User),
            Gid = (int)(walk.Owners?.GroupInside(status.Group) ?? status.Group),
            ModificationTime = ToTime(status.Modified),
        };
        if (linked) entry.LinkName = links[(status.Inode, status.Device)];
        else if (status.IsSymbolicLink) entry.LinkName = root.ReadLink(path);
        else if (status.Kind is FileKind.BlockDevice or FileKind.CharacterDevice)
            (entry.DeviceMajor, entry.DeviceMinor) = ((int)status.Represents.Major, (int)status.Represents.Minor);
        if (status.IsRegular && !linked)
        {
            // O_NONBLOCK: what is no fifo now may be one when it is opened.
            using var file = root.OpenFile(path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW | Fcntl.O_NONBLOCK);
            if (!file.Stat().IsRegular) throw HullException.Conflict($"{path} changed while it was read");
            var content = new FixedLengthStream(file.Duplicate().ToStream(FileAccess.Read), status.Size);
            await using (content.ConfigureAwait(false))
            {
                entry.DataStream = content;
                await writer.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
            }

            return;
        }

        await writer.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
        if (status.IsDirectory && descend)
            await WriteChildrenAsync(walk, path, name.TrimEnd('/'), depth, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The path below the root; a trailing slash or <c>/.</c> asks for what a link leads to.</summary>
    internal static string Clean(string path, out bool wantsDirectory)
    {
        wantsDirectory = path.EndsWith('/') || path.EndsWith("/.", StringComparison.Ordinal) || path is "" or ".";
        var clean = PathName.Clean(path).TrimStart('/');
        return clean.Length == 0 ? "." : clean;
    }

    private static string NameOf(string path)
    {
        var clean = path.TrimEnd('/');
        if (clean.EndsWith("/.", StringComparison.Ordinal)) return ".";
        var slash = clean.LastIndexOf('/');
        var name = clean[(slash + 1)..];
        return name.Length == 0 ? "/" : name;
    }

    /// <summary>Where a link leads, as a path of the root; what it says where that is nothing.</summary>
    private static string ResolveLink(RootDirectory root, string path)
    {
        var text = root.ReadLink(path);
        var (directory, _) = PathName.SplitLast(path);
        return text.StartsWith('/') ? text : "/" + PathName.Clean(directory + "/" + text).TrimStart('/');
    }

    private static DateTimeOffset ToTime(TimeSpec time) =>
        DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(time.tv_sec, 0, 253402300799)).AddTicks(time.tv_nsec / 100);

    private static TarEntryType TypeOf(FileKind kind) => kind switch
    {
        FileKind.Directory => TarEntryType.Directory,
        FileKind.SymbolicLink => TarEntryType.SymbolicLink,
        FileKind.CharacterDevice => TarEntryType.CharacterDevice,
        FileKind.BlockDevice => TarEntryType.BlockDevice,
        FileKind.Fifo => TarEntryType.Fifo,
        _ => TarEntryType.RegularFile,
    };

    private static uint TypeBits(FileKind kind) => kind switch
    {
        FileKind.Directory => StatMode.S_IFDIR,
        FileKind.SymbolicLink => StatMode.S_IFLNK,
        FileKind.CharacterDevice => StatMode.S_IFCHR,
        FileKind.BlockDevice => StatMode.S_IFBLK,
        FileKind.Fifo => StatMode.S_IFIFO,
        FileKind.Socket => StatMode.S_IFSOCK,
        _ => StatMode.S_IFREG,
    };
}

/// <summary>
/// Exactly so many bytes of a file that may grow or shrink while it is read: an archive says the length first. What is
/// missing is zeros, what is more is left out.
/// </summary>
internal sealed class FixedLengthStream(Stream inner, long length) : Stream
{
    private long _read;

    public override bool CanRead => true;

    /// <summary>TarWriter takes length and position from a stream that says so, and refuses others where the archive cannot seek either.</summary>
    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _read;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var wanted = (int)Math.Min(buffer.Length, length - _read);
        if (wanted == 0) return 0;
        var count = inner.Read(buffer[..wanted]);
        if (count == 0) buffer[..wanted].Clear();
        _read += count == 0 ? wanted : count;
        return count == 0 ? wanted : count;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
