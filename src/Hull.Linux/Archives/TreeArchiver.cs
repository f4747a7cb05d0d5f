using Hull.Core;
using Hull.Core.Tar;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Archives;

/// <summary>Puts entries of a tree on disk into a tar, by descriptor; hard links among them stay links.</summary>
/// <param name="owners">The user namespace whose ids the archive gets; null for this process's.</param>
public sealed class TreeArchiver(RootDirectory root, Stream output, OwnerMap? owners = null)
{
    private const int BufferSize = 256 << 10;

    private readonly TarWriter _writer = new(output);
    private readonly Dictionary<(uint, uint, ulong), byte[]> _linked = [];
    private readonly TarEntry _entry = new();
    private byte[]? _buffer;

    /// <summary>
    /// Adds what is at the path (empty: the root), without what is below. Sockets, which a tar cannot hold, are left out.
    /// </summary>
    public void Add(string path, FileStatus status) => Add(path, path, status);

    /// <summary>As <see cref="Add(string, FileStatus)"/>, under another name.</summary>
    public void Add(string path, string newName, FileStatus status)
    {
        if (status.Kind is FileKind.Socket or FileKind.Unknown) return;
        _entry.Clear();
        var name = Bytes(newName);
        (_entry.Path, _entry.Mode) = (name, (int)status.Mode);
        (_entry.UserId, _entry.GroupId) = (owners?.UserInside(status.User) ?? status.User, owners?.GroupInside(status.Group) ?? status.Group);
        _entry.ModifiedAt = new UnixTime(status.Modified.tv_sec, (int)status.Modified.tv_nsec);
        _entry.Kind = KindOf(status.Kind);
        if (!status.IsDirectory && status.Links > 1 && !_linked.TryAdd((status.Device.Major, status.Device.Minor, status.Inode), name))
        {
            _entry.Kind = TarEntryKind.HardLink;
            _entry.LinkTarget = _linked[(status.Device.Major, status.Device.Minor, status.Inode)];
            _writer.Begin(_entry);
            return;
        }

        AddXattrs(path);
        if (status.IsDirectory) _entry.Path = name.Length == 0 ? "./"u8.ToArray() : name is [.., (byte)'/'] ? name : [.. name, (byte)'/'];
        else if (status.IsSymbolicLink) (_entry.LinkTarget, _entry.Mode) = (Bytes(root.ReadLink(path)), 0x1FF);
        else if (_entry.Kind is TarEntryKind.CharacterDevice or TarEntryKind.BlockDevice)
            (_entry.DeviceMajor, _entry.DeviceMinor) = status.Represents;
        if (status.IsRegular) AddFile(path, status);
        else _writer.Begin(_entry);
    }

    /// <summary>Adds an empty file of that name: a whiteout.</summary>
    public void AddMark(string path)
    {
        _entry.Clear();
        (_entry.Path, _entry.Kind) = (Bytes(path), TarEntryKind.File);
        _writer.Begin(_entry);
    }

    public void Finish() => _writer.Finish();

    private void AddFile(string path, FileStatus status)
    {
        // O_NONBLOCK: what is no fifo now may be one when it is opened.
        using var file = root.OpenFile(path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW | Fcntl.O_NONBLOCK);
        if (!file.Stat().IsRegular) throw HullException.Conflict($"{path} changed while it was read");
        _entry.Size = status.Size;
        _writer.Begin(_entry);
        var buffer = _buffer ??= new byte[BufferSize];
        for (long done = 0; done < status.Size;)
        {
            var wanted = buffer.AsSpan(0, (int)Math.Min(buffer.Length, status.Size - done));
            var count = (int)Check.Result(FileCalls.Read(file.Value, wanted), $"read {path}");
            if (count == 0)
            {
                // Somebody cut the file meanwhile. The header is written: zeros take the place.
                wanted.Clear();
                count = wanted.Length;
            }

            _writer.Write(wanted[..count]);
            done += count;
        }
    }

    private void AddXattrs(string path)
    {
        foreach (var name in root.ListExtendedAttributes(path.Length == 0 ? "." : path))
        {
            if (name.StartsWith("trusted.overlay.", StringComparison.Ordinal) || name.StartsWith("user.overlay.", StringComparison.Ordinal)
                || name == "security.selinux") continue;
            if (root.GetExtendedAttribute(path.Length == 0 ? "." : path, name) is { } value) _entry.Xattrs.Add(new Xattr(name, value));
        }
    }

    private static byte[] Bytes(string text) => NativeText.ToBytes(text)[..^1];

    private static TarEntryKind KindOf(FileKind kind) => kind switch
    {
        FileKind.Directory => TarEntryKind.Directory,
        FileKind.SymbolicLink => TarEntryKind.SymbolicLink,
        FileKind.CharacterDevice => TarEntryKind.CharacterDevice,
        FileKind.BlockDevice => TarEntryKind.BlockDevice,
        FileKind.Fifo => TarEntryKind.Fifo,
        _ => TarEntryKind.File,
    };
}
