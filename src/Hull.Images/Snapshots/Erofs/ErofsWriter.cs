using System.Buffers.Binary;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Microsoft.Win32.SafeHandles;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// Writes an uncompressed erofs image from the entries of a layer tar, front to back while they arrive. File data goes
/// straight to the image; an inode is written as soon as its header is known, small files' data right behind it; only the
/// names stay in memory. Directories come last. The same layer gives the same bytes.
/// <para>Inodes may lie anywhere, because the metadata area is declared to begin with the image, so that an inode's
/// number is its position divided by 32.</para>
/// </summary>
internal sealed class ErofsWriter : ILayerSink
{
    /// <summary>A tail longer than this gets a block of its own rather than opening a new one for inode and tail.</summary>
    private const int LongestTailForNewBlock = 2048;

    /// <summary>Entries in the map of a sparse file, at most; larger files get larger chunks.</summary>
    private const int MostChunks = 16384;

    private readonly ImageOutput _output;
    private readonly XattrTable _xattrs = new();
    private readonly LayerTree _tree = new();
    private readonly MetadataArea _metadata;
    private readonly Dictionary<long, LinkCount> _linkCounts = [];
    private readonly UnpackLimits _limits;
    private uint _inodes = 1;
    private bool _chunked;

    public ErofsWriter(SafeFileHandle file, UnpackLimits limits)
    {
        _limits = limits;
        _output = new ImageOutput(file);
        _output.Reserve(ErofsFormat.BlockSize);
        _metadata = new MetadataArea(_output);
    }

    public long Entries { get; private set; }

    /// <summary>Paths of directories that the layer has entries in without saying anything of them.</summary>
    public IReadOnlyList<byte[]> ImpliedDirectories { get; private set; } = [];

    /// <summary>Nothing of the layers below is to be seen.</summary>
    public bool RootIsOpaque { get; private set; }

    public void Add(ReadOnlySpan<byte> path, TarReader reader)
    {
        Entries++;
        var entry = reader.Entry;
        if (path.IsEmpty)
        {
            if (entry.Kind != TarEntryKind.Directory) throw HullException.Corrupted("tar replaces the root directory by something else");
            SetDirectory(LayerTree.Root, entry);
            return;
        }

        var (directoryLength, nameStart) = LayerPath.Split(path);
        var directory = _tree.ResolveDirectory(path[..directoryLength], path);
        var name = path[nameStart..];
        switch (entry.Kind)
        {
            case TarEntryKind.Directory: SetDirectory(_tree.PutDirectory(directory, name), entry); break;
            case TarEntryKind.HardLink: AddHardLink(directory, name, entry); break;
            case TarEntryKind.File when entry.Sparse is not null: AddSparseFile(Put(directory, name, LayerNodeType.Regular), reader); break;
            case TarEntryKind.File: AddFile(Put(directory, name, LayerNodeType.Regular), reader); break;
            case TarEntryKind.SymbolicLink: AddSymbolicLink(directory, name, entry); break;
            default: AddSpecial(directory, name, entry); break;
        }
    }

    public void Whiteout(ReadOnlySpan<byte> directoryPath, ReadOnlySpan<byte> name)
    {
        Entries++;
        var directory = _tree.ResolveDirectory(directoryPath, directoryPath);
        var node = _tree.Find(directory, name);
        if (node != LayerTree.None)
        {
            // The layer has something of that name itself: a file hides what is below anyway, a directory must be told to.
            if (_tree[node].Type == LayerNodeType.Directory) _tree.DirectoryOf(node).IsOpaque = true;
            return;
        }

        node = Put(directory, name, LayerNodeType.CharacterDevice);
        _tree[node].IsWhiteout = true;
        WriteInode(node, new ErofsInode { Type = LayerNodeType.CharacterDevice }, [], default);
    }

    public void Opaque(ReadOnlySpan<byte> directoryPath)
    {
        Entries++;
        _tree.DirectoryOf(_tree.ResolveDirectory(directoryPath, directoryPath)).IsOpaque = true;
    }

    /// <summary>Writes directories, shared attributes and superblock. The identity of the file system is the layer's.</summary>
    public void Finish(Digest diffId)
    {
        foreach (var (slot, links) in _linkCounts) PatchLinkCount(slot, links);
        var directories = new DirectoryWriter(_tree, _output, _metadata, _xattrs);
        var root = directories.Write(ref _inodes);
        ImpliedDirectories = directories.Implied;
        RootIsOpaque = _tree.DirectoryOf(LayerTree.Root).IsOpaque;

        var sharedBlock = 0u;
        if (!_xattrs.Shared.IsEmpty)
        {
            sharedBlock = Block(_output.Length);
            _output.Append(_xattrs.Shared);
            _output.Align();
        }

        WriteSuperblock(diffId, root, sharedBlock);
        _output.Finish();
    }

    private static uint Block(long offset)
    {
        var block = offset >> ErofsFormat.BlockBits;
        return block < ErofsFormat.NullBlock ? (uint)block : throw new HullException(ErrorKind.ResourceExhausted, "layer exceeds the 16 TiB of an erofs image");
    }

    private void SetDirectory(int node, TarEntry entry)
    {
        var record = _tree.DirectoryOf(node);
        (record.Mode, record.UserId, record.GroupId, record.ModifiedAt, record.Xattrs, record.IsImplied) =
            (entry.Mode, entry.UserId, entry.GroupId, entry.ModifiedAt, [.. entry.Xattrs], false);
    }

    /// <summary>Takes the name; the inode it had before loses a link.</summary>
    private int Put(int directory, ReadOnlySpan<byte> name, LayerNodeType type)
    {
        var old = _tree.Find(directory, name);
        if (old != LayerTree.None && _linkCounts.TryGetValue(_tree[old].Slot, out var count)) _linkCounts[_tree[old].Slot] = count with { Count = count.Count - 1 };
        return _tree.Put(directory, name, type);
    }

    private void AddHardLink(int directory, ReadOnlySpan<byte> name, TarEntry entry)
    {
        var target = LayerPath.Normalize(entry.LinkTarget, _limits);
        var (directoryLength, nameStart) = LayerPath.Split(target);
        var source = target.Length == 0 ? LayerTree.Root
            : _tree.Find(_tree.ResolveDirectory(target.AsSpan(0, directoryLength), target), target.AsSpan(nameStart));
        if (source == LayerTree.None || _tree[source].IsWhiteout)
            throw HullException.Corrupted($"hard link {TarFormat.Show(entry.Path)} points to {TarFormat.Show(entry.LinkTarget)}, which is not in this layer");
        if (_tree[source].Type == LayerNodeType.Directory)
            throw HullException.Corrupted($"hard link {TarFormat.Show(entry.Path)} points to the directory {TarFormat.Show(entry.LinkTarget)}");
        if (source == _tree.Find(directory, name)) return;

        var (slot, compact, type) = (_tree[source].Slot, _tree[source].IsCompact, _tree[source].Type);
        var link = type == LayerNodeType.SymbolicLink ? _tree.LinkOf(source) : null;
        var node = Put(directory, name, type);
        (_tree[node].Slot, _tree[node].IsCompact) = (slot, compact);
        if (link is not null) _tree.SetLink(node, link);
        _linkCounts[slot] = new LinkCount(_linkCounts.GetValueOrDefault(slot, new LinkCount(1, compact)).Count + 1, compact);
    }

    private void AddSymbolicLink(int directory, ReadOnlySpan<byte> name, TarEntry entry)
    {
        if (entry.LinkTarget.Length is 0 || entry.LinkTarget.Length >= _limits.MaxPathLength || entry.LinkTarget.Contains((byte)0))
            throw HullException.Corrupted($"symbolic link {TarFormat.Show(entry.Path)} has an impossible target");
        var node = Put(directory, name, LayerNodeType.SymbolicLink);
        _tree.SetLink(node, entry.LinkTarget);
        var inode = Describe(entry, LayerNodeType.SymbolicLink);
        (inode.Permissions, inode.Size) = (0x1FF, entry.LinkTarget.Length);
        WriteInode(node, inode, _xattrs.Encode(entry.Xattrs), entry.LinkTarget);
    }

    private void AddSpecial(int directory, ReadOnlySpan<byte> name, TarEntry entry)
    {
        var type = entry.Kind switch
        {
            TarEntryKind.CharacterDevice => LayerNodeType.CharacterDevice,
            TarEntryKind.BlockDevice => LayerNodeType.BlockDevice,
            _ => LayerNodeType.Fifo,
        };
        var inode = Describe(entry, type);
        inode.Union = type == LayerNodeType.Fifo ? 0 : ErofsFormat.EncodeDevice(entry.DeviceMajor, entry.DeviceMinor);
        WriteInode(Put(directory, name, type), inode, _xattrs.Encode(entry.Xattrs), default);
    }

    /// <summary>An inode whose data, if any, is short and known: all of it goes right behind the inode.</summary>
    private void WriteInode(int node, ErofsInode inode, byte[] xattrs, ReadOnlySpan<byte> data)
    {
        var tail = data.Length;
        inode.XattrSize = xattrs.Length;
        if (tail > 0) inode.Layout = ErofsLayout.Inline;
        var head = inode.EncodedSize + xattrs.Length;
        if (tail > 0 && !MetadataArea.FitsBlock(head, tail))
        {
            inode.Layout = ErofsLayout.Plain;
            inode.Union = Block(_output.Reserve(ErofsFormat.BlockSize));
            _output.WriteAt((long)inode.Union << ErofsFormat.BlockBits, data);
            tail = 0;
        }

        var offset = Place(node, ref inode, xattrs, head, tail);
        if (tail > 0) _output.WriteAt(offset + head, data);
    }

    private void AddFile(int node, TarReader reader)
    {
        var inode = Describe(reader.Entry, LayerNodeType.Regular);
        var xattrs = _xattrs.Encode(reader.Entry.Xattrs);
        inode.Size = reader.Entry.Size;
        inode.XattrSize = xattrs.Length;
        var head = inode.EncodedSize + xattrs.Length;
        var tail = (int)(inode.Size & (ErofsFormat.BlockSize - 1));
        if (tail > 0 && (_metadata.FitsCurrent(head, tail) || (tail <= LongestTailForNewBlock && MetadataArea.FitsBlock(head, tail))))
            inode.Layout = ErofsLayout.Inline;
        else tail = 0;

        // The place of the inode first: it may open a block, and the data's blocks must be consecutive.
        var offset = _metadata.Allocate(head, tail);
        var whole = inode.Size - tail;
        if (whole > 0) inode.Union = Block(_output.Length);
        PlaceAt(offset, node, ref inode, xattrs);
        while (whole > 0 && reader.NextPiece(out var position, out var bytes))
        {
            var count = (int)Math.Min(bytes.Length, inode.Size - tail - position);
            _output.Append(bytes[..count]);
            whole -= count;
            if (count < bytes.Length) _output.WriteAt(offset + head, bytes[count..]);
        }

        while (reader.NextPiece(out var position, out var bytes)) _output.WriteAt(offset + head + position - (inode.Size - tail), bytes);
        _output.Align();
    }

    private void AddSparseFile(int node, TarReader reader)
    {
        _chunked = true;
        var inode = Describe(reader.Entry, LayerNodeType.Regular);
        var xattrs = _xattrs.Encode(reader.Entry.Xattrs);
        var bits = 0;
        while (ErofsFormat.BlocksFor(reader.Entry.Size) >> bits > MostChunks) bits++;
        inode.Size = reader.Entry.Size;
        inode.XattrSize = xattrs.Length;
        inode.Layout = ErofsLayout.Chunked;
        inode.Union = (uint)(bits & ErofsFormat.ChunkBitsMask);
        var map = new SparseData(_output, inode.Size, bits);
        var head = inode.EncodedSize + xattrs.Length;
        var offset = _metadata.Allocate(head, 0, map.TableSize);
        PlaceAt(offset, node, ref inode, xattrs);
        while (reader.NextPiece(out var position, out var bytes)) map.Write(position, bytes);
        _output.Align();
        _output.WriteAt(offset + head, map.Table());
    }

    private long Place(int node, ref ErofsInode inode, byte[] xattrs, int head, int tail)
    {
        var offset = _metadata.Allocate(head, tail);
        PlaceAt(offset, node, ref inode, xattrs);
        return offset;
    }

    private void PlaceAt(long offset, int node, ref ErofsInode inode, byte[] xattrs)
    {
        inode.Number = ++_inodes;
        inode.LinkCount = 1;
        Span<byte> encoded = stackalloc byte[ErofsFormat.ExtendedInodeSize];
        encoded.Clear();
        inode.Write(encoded);
        _output.WriteAt(offset, encoded[..inode.EncodedSize]);
        if (xattrs.Length > 0) _output.WriteAt(offset + inode.EncodedSize, xattrs);
        _tree[node].Slot = offset / ErofsFormat.SlotSize;
        _tree[node].IsCompact = inode.IsCompact;
    }

    private void PatchLinkCount(long slot, LinkCount links)
    {
        var (offset, size) = ErofsInode.LinkCountField(links.IsCompact);
        if (links is { IsCompact: true, Count: > ushort.MaxValue }) throw new HullException(ErrorKind.ResourceExhausted, "layer has a file with more than 65535 hard links");
        Span<byte> value = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(value, links.Count);
        _output.WriteAt((slot * ErofsFormat.SlotSize) + offset, value[..size]);
    }

    private void WriteSuperblock(Digest diffId, ReadOnlySpan<byte> root, uint sharedBlock)
    {
        Span<byte> block = stackalloc byte[ErofsFormat.BlockSize - ErofsFormat.SuperOffset];
        block.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(block, ErofsFormat.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(block[8..], ErofsFormat.CompatChecksum | ErofsFormat.CompatMtime);
        block[12] = ErofsFormat.BlockBits;
        BinaryPrimitives.WriteUInt16LittleEndian(block[14..], ErofsFormat.RootOffset / ErofsFormat.SlotSize);
        BinaryPrimitives.WriteUInt64LittleEndian(block[16..], _inodes);
        BinaryPrimitives.WriteUInt32LittleEndian(block[36..], Block(_output.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(block[44..], sharedBlock);
        Convert.FromHexString(diffId.Hex.AsSpan(0, 32)).CopyTo(block[48..]);
        BinaryPrimitives.WriteUInt32LittleEndian(block[80..], _chunked ? ErofsFormat.IncompatChunkedFile : 0);

        // The checksum is over the rest of the first block too, and there the root's inode is.
        root.CopyTo(block[ErofsFormat.SuperSize..]);
        BinaryPrimitives.WriteUInt32LittleEndian(block[4..], ErofsFormat.Crc32C(block));
        _output.WriteAt(ErofsFormat.SuperOffset, block);
    }

    private static ErofsInode Describe(TarEntry entry, LayerNodeType type) => new()
    {
        Type = type,
        Permissions = entry.Mode,
        UserId = entry.UserId,
        GroupId = entry.GroupId,
        ModifiedAt = entry.ModifiedAt,
    };

    private readonly record struct LinkCount(uint Count, bool IsCompact);
}
