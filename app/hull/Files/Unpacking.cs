using System.Formats.Tar;
using System.Runtime.Versioning;
using Hull.Core;
using Hull.Linux.Files;

namespace Hull.Cli.Files;

/// <summary>
/// Writes an archive's entries below a path of this machine. The archive is the container's word: nothing is written through
/// a link, and nothing outside. What the user does not own by asking for it (<c>-a</c>) belongs to the user, without
/// set-user-id bits: a program that a container brings must not become root's here.
/// </summary>
/// <param name="target">Where the archive's first entry goes, whatever its name is.</param>
/// <param name="keepOwners">Keep owners and all mode bits.</param>
/// <param name="warn">Called for what is left out.</param>
internal sealed class Unpacking(string target, bool keepOwners, Action<string> warn)
{
    private readonly HashSet<string> directories = [];
    private readonly List<(string Path, TarEntry Entry)> finished = [];
    private string? top;

    /// <summary>Bytes of files so far.</summary>
    public long Copied { get; private set; }

    public void Unpack(Stream archive)
    {
        try
        {
            using var reader = new TarReader(archive, leaveOpen: true);
            while (reader.GetNextEntry() is { } entry)
            {
                if (entry.EntryType is TarEntryType.GlobalExtendedAttributes) continue;
                top ??= entry.Name.TrimEnd('/');
                Take(entry, PathOf(entry.Name));
            }
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw HullException.Invalid("the engine's archive is damaged", error);
        }

        if (top is null) throw HullException.Internal("the engine's archive is empty");
        // Last, and inner before outer: what is put in changes a directory's time, and may not be allowed by its mode.
        foreach (var (path, entry) in Enumerable.Reverse(finished)) SetMetadata(path, entry);
    }

    /// <summary>Where an entry goes: its place below the first one.</summary>
    private string PathOf(string name)
    {
        var rest = name.TrimEnd('/');
        if (top!.Length > 0)
        {
            if (rest != top && !rest.StartsWith(top + "/", StringComparison.Ordinal)) throw HullException.Invalid($"the archive names a path outside: {name}");
            rest = rest[top.Length..];
        }

        var parts = rest.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Any(part => part == ".." || (OperatingSystem.IsWindows() && part.AsSpan().IndexOfAny("\\:") >= 0))) throw HullException.Invalid($"the archive names a path outside: {name}");
        var path = target;
        for (var i = 0; i < parts.Length; i++)
        {
            // Everything above must be a directory, not a link to one that the archive made.
            RequireDirectory(path);
            if (parts[i] != ".") path = Path.Combine(path, parts[i]);
        }

        return path;
    }

    private void RequireDirectory(string path)
    {
        if (directories.Contains(path)) return;
        var info = new DirectoryInfo(path);
        // The target itself is the user's choice.
        if (!info.Exists || (info.LinkTarget is not null && path != target)) throw HullException.Invalid($"{path} is no directory: nothing is written through it");
        directories.Add(path);
    }

    private void Take(TarEntry entry, string path)
    {
        if (entry.EntryType == TarEntryType.Directory)
        {
            if (!Directory.Exists(path))
            {
                if (Exists(path)) throw HullException.Invalid($"cannot overwrite {path}, which is no directory, with a directory");
                // Open to its owner alone until all of it is there.
                if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
                else Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                finished.Add((path, entry));
            }

            return;
        }

        if (new DirectoryInfo(path) is { Exists: true, LinkTarget: null }) throw HullException.Invalid($"cannot overwrite directory {path} with what is no directory");
        switch (entry.EntryType)
        {
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                WriteFile(path, entry.DataStream);
                SetMetadata(path, entry);
                break;
            case TarEntryType.HardLink:
                File.Delete(path);
                File.Copy(PathOf(entry.LinkName), path);
                break;
            case TarEntryType.SymbolicLink:
                File.Delete(path);
                File.CreateSymbolicLink(path, entry.LinkName);
                if (keepOwners && OperatingSystem.IsLinux()) SetOwner(path, entry);
                break;
            default:
                warn($"{path} is left out: it is a device or a fifo");
                break;
        }
    }

    private void WriteFile(string path, Stream? content)
    {
        // Removed first: a link that is there is replaced, not written through.
        File.Delete(path);
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        if (content is null) return;
        content.CopyTo(file);
        Copied += file.Length;
    }

    private void SetMetadata(string path, TarEntry entry)
    {
        if (!OperatingSystem.IsWindows())
        {
            if (keepOwners && OperatingSystem.IsLinux()) SetOwner(path, entry);
            const UnixFileMode Special = UnixFileMode.SetUser | UnixFileMode.SetGroup | UnixFileMode.StickyBit;
            File.SetUnixFileMode(path, keepOwners ? entry.Mode : entry.Mode & ~Special);
        }

        if (entry.EntryType == TarEntryType.Directory) Directory.SetLastWriteTimeUtc(path, entry.ModificationTime.UtcDateTime);
        else File.SetLastWriteTimeUtc(path, entry.ModificationTime.UtcDateTime);
    }

    [SupportedOSPlatform("linux")]
    private static void SetOwner(string path, TarEntry entry)
    {
        using var parent = RootDirectory.Open(Path.GetDirectoryName(Path.GetFullPath(path))!, RootScope.Beneath);
        using var handle = parent.OpenPath(Path.GetFileName(path), follow: false);
        DescriptorMetadata.SetOwner(handle, (uint)entry.Uid, (uint)entry.Gid, path);
    }

    private static bool Exists(string path) => File.Exists(path) || new FileInfo(path).LinkTarget is not null;
}
