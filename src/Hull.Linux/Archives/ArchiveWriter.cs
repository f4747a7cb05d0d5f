using Hull.Core;
using Hull.Core.Tar;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Archives;

/// <param name="Path">Directory below which the archive is unpacked.</param>
/// <param name="NoOverwriteDirNonDir">Refuse to replace a directory by a file or the other way round.</param>
/// <param name="CopyOwner">Keep the owners of the archive instead of giving entries to root.</param>
/// <param name="Owners">The user namespace whose ids the archive has; null for this process's.</param>
/// <param name="RequireEnd">Refuse an archive without a mark at its end: it may have been cut between two entries.</param>
public sealed record ExtractRequest(string Path, bool NoOverwriteDirNonDir, bool CopyOwner, OwnerMap? Owners = null, bool RequireEnd = false);

/// <summary>
/// Unpacks an archive below a directory of a root file system. Each name is resolved by the kernel below that directory
/// in one step: neither <c>..</c> nor a link, whoever made it and when, leads outside. The archive is plain: codecs are the
/// caller's affair.
/// </summary>
public static class ArchiveWriter
{
    /// <exception cref="HullException"><see cref="ErrorKind.InvalidArgument"/> where the archive is damaged or names what it may not.</exception>
    public static void Extract(int root, ExtractRequest request, Stream archive, CancellationToken cancellation)
    {
        using var top = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var path = ArchiveReader.Clean(request.Path, out _);
        var status = top.TryStat(path, follow: true) ?? throw HullException.NotFound($"could not find the file {request.Path} in the container");
        if (!status.IsDirectory) throw HullException.Invalid($"extraction point {request.Path} is not a directory");
        using var target = top.OpenRoot(path);
        if (request.Owners is not { } owners)
        {
            ExtractAll(target, request, archive, cancellation);
            return;
        }

        // In a root that is mapped, what is made has to belong to somebody the mapping knows from the first moment on.
        using (FileOwner.Assume(owners.UserOutside(0), owners.GroupOutside(0))) ExtractAll(target, request, archive, cancellation);
    }

    private static void ExtractAll(RootDirectory target, ExtractRequest request, Stream archive, CancellationToken cancellation)
    {
        // Times of directories last: putting something in changes them.
        var directories = new List<(string Path, UnixTime Time)>();
        var reader = new TarReader(archive);
        while (Next(reader))
        {
            cancellation.ThrowIfCancellationRequested();
            Extract(target, reader, request, directories);
        }

        if (request.RequireEnd && !reader.HasEndMark) throw HullException.Invalid("the archive is not whole: it has no mark at its end");
        foreach (var (name, time) in Enumerable.Reverse(directories)) SetTime(target, name, time);
    }

    /// <summary>A bad archive is the fault of who sent it.</summary>
    private static bool Next(TarReader reader)
    {
        try
        {
            return reader.Next();
        }
        catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted)
        {
            throw HullException.Invalid("the archive is damaged or is no tar archive", error);
        }
    }

    private static void Extract(RootDirectory target, TarReader reader, ExtractRequest request, List<(string, UnixTime)> directories)
    {
        var entry = reader.Entry;
        var written = NativeText.Decode(entry.Path);
        if (PathName.Climbs(written)) throw HullException.Invalid($"the archive names a path outside: {TarFormat.Show(entry.Path)}");
        var name = PathName.Clean(written).TrimStart('/');
        if (name.Length == 0) return;
        var (parent, _) = PathName.SplitLast(name);
        if (parent.Length > 0 && parent != ".") target.MkdirAll(parent).Dispose();
        var isDirectory = entry.Kind == TarEntryKind.Directory;
        MakeRoom(target, name, isDirectory, request);
        Make(target, name, reader);
        if (entry.Kind == TarEntryKind.HardLink) return;
        var (user, group) = request.CopyOwner ? (entry.UserId, entry.GroupId) : (0u, 0u);
        using (var handle = target.OpenPath(name, follow: false))
        {
            DescriptorMetadata.SetOwner(handle, request.Owners?.UserOutside(user) ?? user, request.Owners?.GroupOutside(group) ?? group, name);
            if (entry.Kind != TarEntryKind.SymbolicLink) DescriptorMetadata.SetMode(handle, (uint)entry.Mode, name);
        }

        // After the owner: the kernel takes file capabilities away when that changes.
        foreach (var xattr in entry.Xattrs) SetXattr(target, name, xattr);
        if (isDirectory) directories.Add((name, entry.ModifiedAt));
        else SetTime(target, name, entry.ModifiedAt);
    }

    /// <summary>What is in the way goes, unless the caller wants no directory replaced by a file or the other way round.</summary>
    private static void MakeRoom(RootDirectory target, string name, bool directory, ExtractRequest request)
    {
        if (target.TryStat(name) is not { } existing) return;
        if (directory && existing.IsDirectory) return;
        if (request.NoOverwriteDirNonDir && (directory || existing.IsDirectory))
        {
            throw HullException.Invalid(existing.IsDirectory
                ? $"cannot overwrite directory \"{name}\" with non-directory" : $"cannot overwrite non-directory \"{name}\" with directory");
        }

        if (existing.IsDirectory) target.RemoveTree(name);
        else target.Unlink(name);
    }

    private static void Make(RootDirectory target, string name, TarReader reader)
    {
        var entry = reader.Entry;
        switch (entry.Kind)
        {
            case TarEntryKind.Directory:
                if (target.TryStat(name) is null) target.CreateDirectory(name, 0x1C0 /* 0700 */);
                break;
            case TarEntryKind.File:
                WriteFile(target, name, reader);
                break;
            case TarEntryKind.SymbolicLink:
                target.CreateSymbolicLink(NativeText.Decode(entry.LinkTarget), name);
                break;
            case TarEntryKind.HardLink:
                target.CreateHardLink(PathName.Clean(NativeText.Decode(entry.LinkTarget)).TrimStart('/'), name);
                break;
            case TarEntryKind.Fifo:
                target.CreateNode(name, StatMode.S_IFIFO | 0x180);
                break;
            default:
                target.CreateNode(name, (entry.Kind == TarEntryKind.BlockDevice ? StatMode.S_IFBLK : StatMode.S_IFCHR) | 0x180,
                    entry.DeviceMajor, entry.DeviceMinor);
                break;
        }
    }

    private static void WriteFile(RootDirectory target, string name, TarReader reader)
    {
        using var file = target.CreateFileExclusive(name, 0x180 /* 0600 */);
        while (reader.NextPiece(out var offset, out var piece)) file.WriteAllAt(piece, offset, name);
        // Holes at the end have no piece.
        if (reader.Entry.Sparse is not null) Check.Result(FileCalls.Truncate(file.Value, reader.Entry.Size), $"set the size of {name}");
    }

    /// <summary>
    /// overlayfs steers by its own attributes, and labels belong to this machine's policy: neither comes from an archive. What
    /// the file system cannot hold is left out, as tar(1) does.
    /// </summary>
    private static void SetXattr(RootDirectory target, string name, Xattr xattr)
    {
        if (xattr.Name.StartsWith("trusted.", StringComparison.Ordinal) || xattr.Name.StartsWith("user.overlay.", StringComparison.Ordinal)
            || xattr.Name == "security.selinux") return;
        try
        {
            target.SetExtendedAttribute(name, xattr.Name, xattr.Value);
        }
        catch (HullException error) when (error.Errno is Errno.EOPNOTSUPP)
        {
        }
    }

    private static void SetTime(RootDirectory target, string name, UnixTime time)
    {
        if (target.TryStat(name) is null) return;
        using var handle = target.OpenPath(name, follow: false);
        var spec = new TimeSpec { tv_sec = time.Seconds, tv_nsec = time.Nanoseconds };
        _ = MetadataCalls.UtimensAt(handle.Value, "", spec, spec, Fcntl.AT_EMPTY_PATH);
    }
}
