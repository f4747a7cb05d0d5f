using System.Formats.Tar;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Archives;

/// <param name="Path">Directory below which the archive is unpacked.</param>
/// <param name="NoOverwriteDirNonDir">Refuse to replace a directory by a file or the other way round.</param>
/// <param name="CopyOwner">Keep the owners of the archive instead of giving entries to root.</param>
/// <param name="Owners">The user namespace whose ids the archive has; null for this process's.</param>
public sealed record ExtractRequest(string Path, bool NoOverwriteDirNonDir, bool CopyOwner, OwnerMap? Owners = null);

/// <summary>
/// Unpacks an archive below a directory of a root file system. Each name is resolved by the kernel below that directory
/// in one step: neither <c>..</c> nor a link, whoever made it and when, leads outside. The archive is plain: codecs are the
/// caller's affair.
/// </summary>
public static class ArchiveWriter
{
    public static async Task ExtractAsync(int root, ExtractRequest request, Stream archive, CancellationToken cancellationToken)
    {
        using var top = RootDirectory.FromDescriptor(SafeFd.Borrow(root).Duplicate(), "the container");
        var path = ArchiveReader.Clean(request.Path, out _);
        var status = top.TryStat(path, follow: true) ?? throw HullException.NotFound($"could not find the file {request.Path} in the container");
        if (!status.IsDirectory) throw HullException.Invalid($"extraction point {request.Path} is not a directory");
        using var target = top.OpenRoot(path);
        var reader = new TarReader(archive, leaveOpen: true);
        await using (reader.ConfigureAwait(false))
        {
            try
            {
                // Times of directories last: putting something in changes them.
                var directories = new List<(string Path, DateTimeOffset Time)>();
                while (await reader.GetNextEntryAsync(copyData: false, cancellationToken).ConfigureAwait(false) is { } entry)
                    ExtractAs(target, entry, request, directories);
                foreach (var (name, time) in Enumerable.Reverse(directories)) SetTime(target, name, time);
            }
            catch (Exception error) when (error is InvalidDataException or EndOfStreamException or FormatException)
            {
                throw HullException.Invalid("the archive is damaged or is no tar archive", error);
            }
        }
    }

    /// <summary>In a root that is mapped, what is made has to belong to somebody the mapping knows from the first moment on.</summary>
    private static void ExtractAs(RootDirectory target, TarEntry entry, ExtractRequest request, List<(string, DateTimeOffset)> directories)
    {
        if (request.Owners is not { } owners)
        {
            Extract(target, entry, request, directories);
            return;
        }

        using (FileOwner.Assume(owners.UserOutside(0), owners.GroupOutside(0))) Extract(target, entry, request, directories);
    }

    private static void Extract(RootDirectory target, TarEntry entry, ExtractRequest request, List<(string, DateTimeOffset)> directories)
    {
        if (entry.EntryType is TarEntryType.GlobalExtendedAttributes) return;
        var name = PathName.Clean(entry.Name).TrimStart('/');
        if (name.Length == 0 || name == ".") return;
        if (name.Split('/').Contains("..")) throw HullException.Invalid($"the archive names a path outside: {entry.Name}");
        var (parent, _) = PathName.SplitLast(name);
        if (parent.Length > 0 && parent != ".") target.MkdirAll(parent).Dispose();
        MakeRoom(target, name, entry.EntryType == TarEntryType.Directory, request);
        Make(target, name, entry);
        if (entry.EntryType == TarEntryType.HardLink) return;
        var (user, group) = request.CopyOwner ? ((uint)entry.Uid, (uint)entry.Gid) : (0u, 0u);
        SetOwner(target, name, request.Owners?.UserOutside(user) ?? user, request.Owners?.GroupOutside(group) ?? group);
        if (entry.EntryType != TarEntryType.SymbolicLink) SetMode(target, name, (uint)entry.Mode & 0xFFF);
        if (entry.EntryType == TarEntryType.Directory) directories.Add((name, entry.ModificationTime));
        else SetTime(target, name, entry.ModificationTime);
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

    private static void Make(RootDirectory target, string name, TarEntry entry)
    {
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                if (target.TryStat(name) is null) target.CreateDirectory(name, 0x1C0 /* 0700 */);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                WriteFile(target, name, entry.DataStream);
                break;
            case TarEntryType.SymbolicLink:
                target.CreateSymbolicLink(entry.LinkName, name);
                break;
            case TarEntryType.HardLink:
                target.CreateHardLink(PathName.Clean(entry.LinkName).TrimStart('/'), name);
                break;
            case TarEntryType.Fifo:
                target.CreateNode(name, StatMode.S_IFIFO | 0x180);
                break;
            case TarEntryType.CharacterDevice or TarEntryType.BlockDevice:
                var device = (PosixTarEntry)entry;
                target.CreateNode(name, (entry.EntryType == TarEntryType.BlockDevice ? StatMode.S_IFBLK : StatMode.S_IFCHR) | 0x180,
                    (uint)device.DeviceMajor, (uint)device.DeviceMinor);
                break;
            default:
                throw HullException.Invalid($"the archive holds an entry of unknown type '{(char)entry.EntryType}': {entry.Name}");
        }
    }

    private static void WriteFile(RootDirectory target, string name, Stream? content)
    {
        using var file = target.CreateFileExclusive(name, 0x180 /* 0600 */);
        if (content is null) return;
        var buffer = new byte[128 * 1024];
        int count;
        while ((count = content.Read(buffer)) > 0) file.WriteAll(buffer.AsSpan(0, count), name);
    }

    private static void SetOwner(RootDirectory target, string name, uint user, uint group)
    {
        using var handle = target.OpenPath(name, follow: false);
        DescriptorMetadata.SetOwner(handle, user, group, name);
    }

    private static void SetMode(RootDirectory target, string name, uint mode)
    {
        using var handle = target.OpenPath(name, follow: false);
        DescriptorMetadata.SetMode(handle, mode, name);
    }

    private static void SetTime(RootDirectory target, string name, DateTimeOffset time)
    {
        if (target.TryStat(name) is null) return;
        using var handle = target.OpenPath(name, follow: false);
        var spec = new TimeSpec { tv_sec = time.ToUnixTimeSeconds(), tv_nsec = time.Ticks % TimeSpan.TicksPerSecond * 100 };
        _ = MetadataCalls.UtimensAt(handle.Value, "", spec, spec, Fcntl.AT_EMPTY_PATH);
    }
}
