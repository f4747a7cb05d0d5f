using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>
/// Unpacks a layer into a directory in the form overlayfs reads: a deletion is the character device 0/0, an opaque
/// directory has <c>trusted.overlay.opaque</c>. Links in paths are resolved in a tree kept in memory, so nothing is ever
/// opened through a link on disk; every name is made in a directory that is open already.
/// </summary>
internal sealed class DirectoryLayerSink : ILayerSink, IDisposable
{
    private const int OnDisk = 1;
    private const uint PermissionBits = 0xFFF;

    private readonly RootDirectory _root;
    private readonly UnpackLimits _limits;
    private readonly LayerTree _tree = new();
    private SafeFd? _parent;
    private int _parentNode = LayerTree.None;

    /// <param name="path">An empty directory.</param>
    public DirectoryLayerSink(string path, UnpackLimits limits)
    {
        (_root, _limits) = (RootDirectory.Open(path, RootScope.Beneath), limits);
        _tree[LayerTree.Root].Slot = OnDisk;
    }

    /// <summary>Bytes of file data.</summary>
    public long Size { get; private set; }

    public bool RootIsOpaque { get; private set; }

    public List<string> Implied { get; } = [];

    public void Add(ReadOnlySpan<byte> path, TarReader reader)
    {
        var entry = reader.Entry;
        if (path.IsEmpty)
        {
            if (entry.Kind != TarEntryKind.Directory) throw HullException.Corrupted("tar replaces the root directory by something else");
            Describe(LayerTree.Root, entry);
            return;
        }

        var (directoryLength, nameStart) = LayerPath.Split(path);
        var directory = _tree.ResolveDirectory(path[..directoryLength], path);
        var name = path[nameStart..];
        if (entry.Kind == TarEntryKind.Directory) AddDirectory(directory, name, entry);
        else if (entry.Kind == TarEntryKind.HardLink) AddHardLink(directory, name, entry);
        else AddFile(directory, name, reader);
    }

    public void Whiteout(ReadOnlySpan<byte> directoryPath, ReadOnlySpan<byte> name)
    {
        var directory = _tree.ResolveDirectory(directoryPath, directoryPath);
        var node = _tree.Find(directory, name);
        if (node != LayerTree.None)
        {
            if (_tree[node].Type == LayerNodeType.Directory) _tree.DirectoryOf(node).IsOpaque = true;
            return;
        }

        node = _tree.Put(directory, name, LayerNodeType.CharacterDevice);
        (_tree[node].IsWhiteout, _tree[node].Slot) = (true, OnDisk);
        var text = NativeText.Decode(name);
        Check.Result(FileCalls.MknodAt(Open(directory).Value, text, StatMode.S_IFCHR, 0, 0), $"mark {text} as removed");
    }

    public void Opaque(ReadOnlySpan<byte> directoryPath) =>
        _tree.DirectoryOf(_tree.ResolveDirectory(directoryPath, directoryPath)).IsOpaque = true;

    /// <summary>Gives all directories their metadata, the deepest first: writing into one would change its time again.</summary>
    public void Finish()
    {
        RootIsOpaque = _tree.DirectoryOf(LayerTree.Root).IsOpaque;
        var order = new List<int>();
        var pending = new Stack<int>([LayerTree.Root]);
        while (pending.TryPop(out var node))
        {
            order.Add(node);
            foreach (var child in _tree.SortedChildren(node))
            {
                if (_tree[child].Type == LayerNodeType.Directory) pending.Push(child);
            }
        }

        foreach (var node in order) Open(node);
        order.Reverse();
        foreach (var node in order) FinishDirectory(node);
        Implied.Sort(StringComparer.Ordinal);
    }

    public void Dispose()
    {
        _parent?.Dispose();
        _root.Dispose();
    }

    private void FinishDirectory(int node)
    {
        var record = _tree.DirectoryOf(node);
        var path = PathOf(node);
        if (record.IsImplied) Implied.Add(NativeText.Decode(_tree.PathOf(node)));
        using var directory = _root.OpenDirectory(path, follow: false);
        Check.Result(MetadataCalls.FchownAt(directory.Value, "", record.UserId, record.GroupId, Fcntl.AT_EMPTY_PATH), $"change the owner of {path}");
        SetXattrs(directory, record.IsOpaque ? [.. record.Xattrs, new Xattr("trusted.overlay.opaque", "y"u8.ToArray())] : record.Xattrs, path);
        Check.Result(MetadataCalls.Fchmod(directory.Value, (uint)record.Mode & PermissionBits), $"change the mode of {path}");
        var time = ToTimeSpec(record.ModifiedAt);
        Check.Result(MetadataCalls.UtimensAt(directory.Value, ".", time, time, 0), $"change the time of {path}");
    }

    private void AddDirectory(int directory, ReadOnlySpan<byte> name, TarEntry entry)
    {
        var old = _tree.Find(directory, name);
        if (old != LayerTree.None && _tree[old].Type != LayerNodeType.Directory && _tree[old].Slot == OnDisk) RemoveOnDisk(directory, name);
        Describe(_tree.PutDirectory(directory, name), entry);
    }

    private void Describe(int node, TarEntry entry)
    {
        var record = _tree.DirectoryOf(node);
        (record.Mode, record.UserId, record.GroupId, record.ModifiedAt, record.Xattrs, record.IsImplied) =
            (entry.Mode, entry.UserId, entry.GroupId, entry.ModifiedAt, [.. entry.Xattrs], false);
    }

    private void AddHardLink(int directory, ReadOnlySpan<byte> name, TarEntry entry)
    {
        var target = LayerPath.Normalize(entry.LinkTarget, _limits);
        var (directoryLength, nameStart) = LayerPath.Split(target);
        var sourceDirectory = _tree.ResolveDirectory(target.AsSpan(0, directoryLength), target);
        var source = target.Length == 0 ? LayerTree.Root : _tree.Find(sourceDirectory, target.AsSpan(nameStart));
        if (source == LayerTree.None || _tree[source].IsWhiteout)
            throw HullException.Corrupted($"hard link {TarFormat.Show(entry.Path)} points to {TarFormat.Show(entry.LinkTarget)}, which is not in this layer");
        if (_tree[source].Type == LayerNodeType.Directory)
            throw HullException.Corrupted($"hard link {TarFormat.Show(entry.Path)} points to the directory {TarFormat.Show(entry.LinkTarget)}");
        if (source == _tree.Find(directory, name)) return;

        var type = _tree[source].Type;
        var link = type == LayerNodeType.SymbolicLink ? _tree.LinkOf(source) : null;
        var node = Put(directory, name, type);
        if (link is not null) _tree.SetLink(node, link);
        using var from = Open(sourceDirectory).Duplicate();
        var text = NativeText.Decode(name);
        Check.Result(FileCalls.LinkAt(from.Value, NativeText.Decode(target.AsSpan(nameStart)), Open(directory).Value, text), $"link {text}");
    }

    private void AddFile(int directory, ReadOnlySpan<byte> name, TarReader reader)
    {
        var entry = reader.Entry;
        var node = Put(directory, name, entry.Kind switch
        {
            TarEntryKind.File => LayerNodeType.Regular,
            TarEntryKind.SymbolicLink => LayerNodeType.SymbolicLink,
            TarEntryKind.CharacterDevice => LayerNodeType.CharacterDevice,
            TarEntryKind.BlockDevice => LayerNodeType.BlockDevice,
            _ => LayerNodeType.Fifo,
        });
        var parent = Open(directory);
        var text = NativeText.Decode(name);
        if (entry.Kind == TarEntryKind.File) WriteFile(parent, text, reader);
        else if (entry.Kind == TarEntryKind.SymbolicLink) MakeSymbolicLink(parent, text, node, entry);
        else MakeNode(parent, text, entry);
        var time = ToTimeSpec(entry.ModifiedAt);
        Check.Result(MetadataCalls.UtimensAt(parent.Value, text, time, time, Fcntl.AT_SYMLINK_NOFOLLOW), $"change the time of {text}");
    }

    private void WriteFile(SafeFd parent, string name, TarReader reader)
    {
        var entry = reader.Entry;
        using var file = Check.Descriptor(
            FileCalls.OpenAt(parent.Value, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW, 0x180), $"create {name}");
        long end = 0;
        while (reader.NextPiece(out var offset, out var bytes))
        {
            end = offset + bytes.Length;
            file.WriteAllAt(bytes, offset, name);
        }

        if (end < entry.Size) Check.Result(FileCalls.Truncate(file.Value, entry.Size), $"extend {name}");
        Size += entry.Size;
        Check.Result(MetadataCalls.FchownAt(file.Value, "", entry.UserId, entry.GroupId, Fcntl.AT_EMPTY_PATH), $"change the owner of {name}");
        // After the owner, whose change takes capabilities and setuid away.
        SetXattrs(file, entry.Xattrs, name);
        Check.Result(MetadataCalls.Fchmod(file.Value, (uint)entry.Mode & PermissionBits), $"change the mode of {name}");
    }

    private void MakeSymbolicLink(SafeFd parent, string name, int node, TarEntry entry)
    {
        if (entry.LinkTarget.Length is 0 || entry.LinkTarget.Length >= _limits.MaxPathLength || entry.LinkTarget.Contains((byte)0))
            throw HullException.Corrupted($"symbolic link {TarFormat.Show(entry.Path)} has an impossible target");
        _tree.SetLink(node, entry.LinkTarget);
        Check.Result(FileCalls.SymlinkAt(NativeText.Decode(entry.LinkTarget), parent.Value, name), $"create link {name}");
        Check.Result(MetadataCalls.FchownAt(parent.Value, name, entry.UserId, entry.GroupId, Fcntl.AT_SYMLINK_NOFOLLOW), $"change the owner of {name}");
    }

    private static void MakeNode(SafeFd parent, string name, TarEntry entry)
    {
        var type = entry.Kind switch
        {
            TarEntryKind.CharacterDevice => StatMode.S_IFCHR,
            TarEntryKind.BlockDevice => StatMode.S_IFBLK,
            _ => StatMode.S_IFIFO,
        };
        Check.Result(FileCalls.MknodAt(parent.Value, name, type | 0x180, entry.DeviceMajor, entry.DeviceMinor), $"create node {name}");
        using var node = Check.Descriptor(FileCalls.OpenAt(parent.Value, name, Fcntl.O_PATH | Fcntl.O_NOFOLLOW), $"open {name}");
        DescriptorMetadata.SetOwner(node, entry.UserId, entry.GroupId, name);
        DescriptorMetadata.SetMode(node, (uint)entry.Mode & PermissionBits, name);
    }

    /// <summary>What Linux has no place for, such as another system's attributes, is left out, as everywhere.</summary>
    private static void SetXattrs(SafeFd file, IReadOnlyList<Xattr> xattrs, string name)
    {
        foreach (var xattr in xattrs)
        {
            var result = MetadataCalls.FsetXattr(file.Value, xattr.Name, xattr.Value);
            if (result != -(nint)Errno.EOPNOTSUPP) Check.Result(result, $"set attribute {xattr.Name} of {name}");
        }
    }

    private int Put(int directory, ReadOnlySpan<byte> name, LayerNodeType type)
    {
        var old = _tree.Find(directory, name);
        if (old != LayerTree.None && _tree[old].Slot == OnDisk) RemoveOnDisk(directory, name);
        var node = _tree.Put(directory, name, type);
        _tree[node].Slot = OnDisk;
        return node;
    }

    private void RemoveOnDisk(int directory, ReadOnlySpan<byte> name)
    {
        var text = NativeText.Decode(name);
        // The directory that is open may be inside what goes.
        Forget();
        TreeRemover.Remove(Open(directory), text, text);
    }

    /// <summary>The directory, made where it is only in the tree so far. Good until the next call.</summary>
    private SafeFd Open(int node)
    {
        if (node == _parentNode) return _parent!;
        if (_tree[node].Slot != OnDisk)
        {
            var name = NativeText.Decode(_tree.NameOf(node));
            var above = Open(_tree[node].Parent);
            var made = FileCalls.MkdirAt(above.Value, name, 0x1C0);
            if (made == -(nint)Errno.EEXIST)
            {
                // A deletion of that name, which became a directory.
                Check.Result(FileCalls.UnlinkAt(above.Value, name), $"replace {name}");
                made = FileCalls.MkdirAt(above.Value, name, 0x1C0);
            }

            Check.Result(made, $"create directory {name}");
            _tree[node].Slot = OnDisk;
        }

        Forget();
        _parent = _root.OpenDirectory(PathOf(node), follow: false);
        _parentNode = node;
        return _parent;
    }

    private void Forget()
    {
        _parent?.Dispose();
        (_parent, _parentNode) = (null, LayerTree.None);
    }

    private string PathOf(int node) => node == LayerTree.Root ? "." : NativeText.Decode(_tree.PathOf(node));

    private static TimeSpec ToTimeSpec(UnixTime time) => new() { tv_sec = time.Seconds, tv_nsec = time.Nanoseconds };
}
