using System.Buffers.Binary;
using Hull.Core.Tar;
using Hull.Images.Archive;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>
/// Writes the directories of a finished tree. Every one gets its place first, since its entries, <c>..</c> among them,
/// name inodes by where they are; then the entries are written.
/// </summary>
internal sealed class DirectoryWriter(LayerTree tree, ImageOutput output, MetadataArea metadata, XattrTable xattrs)
{
    private static readonly Xattr OpaqueMark = new("trusted.overlay.opaque", "y"u8.ToArray());

    private readonly List<Placed> _placed = [];
    private readonly byte[] _block = new byte[ErofsFormat.BlockSize];
    private readonly byte[] _rootArea = new byte[ErofsFormat.BlockSize - ErofsFormat.RootOffset];

    /// <summary>The directories the layer says nothing of.</summary>
    public List<byte[]> Implied { get; } = [];

    /// <summary>Writes all; answers what belongs directly behind the superblock: the root's inode.</summary>
    public byte[] Write(ref uint inodes)
    {
        Place(ref inodes);
        foreach (var directory in _placed) WriteEntries(directory);
        return _rootArea;
    }

    private void Place(ref uint inodes)
    {
        // A stack of its own: layers may nest directories deeper than a thread's stack goes.
        var pending = new Stack<int>([LayerTree.Root]);
        while (pending.TryPop(out var node))
        {
            var children = tree.SortedChildren(node);
            if (tree.DirectoryOf(node).IsImplied) Implied.Add(tree.PathOf(node));
            _placed.Add(PlaceOne(node, children, ref inodes));
            for (var i = children.Length - 1; i >= 0; i--)
            {
                if (tree[children[i]].Type == LayerNodeType.Directory) pending.Push(children[i]);
            }
        }
    }

    private Placed PlaceOne(int node, int[] children, ref uint inodes)
    {
        var record = tree.DirectoryOf(node);
        var isRoot = node == LayerTree.Root;
        var encoded = xattrs.Encode(record.IsOpaque ? [.. record.Xattrs, OpaqueMark] : record.Xattrs);
        var (whole, tail) = Measure(children);
        var inode = new ErofsInode
        {
            Type = LayerNodeType.Directory,
            Permissions = record.Mode,
            UserId = record.UserId,
            GroupId = record.GroupId,
            ModifiedAt = record.ModifiedAt,
            Size = whole + tail,
            LinkCount = 2 + (uint)children.Count(child => tree[child].Type == LayerNodeType.Directory),
            Number = isRoot ? 1 : ++inodes,
            Layout = ErofsLayout.Inline,
            XattrSize = encoded.Length,
        };
        var head = inode.EncodedSize + encoded.Length;
        if (!(isRoot ? head + tail <= _rootArea.Length : MetadataArea.FitsBlock(head, tail))) inode.Layout = ErofsLayout.Plain;
        var inline = inode.Layout == ErofsLayout.Inline ? tail : 0;
        if (isRoot && head > _rootArea.Length)
            throw Core.HullException.Unsupported($"the layer's root directory has {encoded.Length} bytes of extended attributes, too many for an erofs image");

        var offset = isRoot ? ErofsFormat.RootOffset : metadata.Allocate(head, inline);
        var blocks = ErofsFormat.BlocksFor(inode.Size - inline);
        if (blocks > 0) inode.Union = checked((uint)(output.Reserve(blocks << ErofsFormat.BlockBits) >> ErofsFormat.BlockBits));
        tree[node].Slot = offset / ErofsFormat.SlotSize;
        WriteHead(offset, isRoot, inode, encoded);
        return new Placed(node, children, offset + head, (long)inode.Union << ErofsFormat.BlockBits, inline > 0);
    }

    private void WriteHead(long offset, bool isRoot, ErofsInode inode, byte[] encoded)
    {
        var head = new byte[inode.EncodedSize + encoded.Length];
        inode.Write(head);
        encoded.CopyTo(head, inode.EncodedSize);
        if (isRoot) head.CopyTo(_rootArea, 0);
        else output.WriteAt(offset, head);
    }

    /// <summary>Bytes of the full blocks of entries, and of the last one.</summary>
    private (long Whole, int Tail) Measure(int[] children)
    {
        long whole = 0;
        var used = 0;
        foreach (var entry in Entries(children))
        {
            var size = ErofsFormat.DirentSize + NameLength(entry);
            if (used + size > ErofsFormat.BlockSize) (whole, used) = (whole + ErofsFormat.BlockSize, 0);
            used += size;
        }

        return (whole, used);
    }

    private void WriteEntries(Placed directory)
    {
        var batch = new List<int>();
        var (used, position) = (0, directory.Blocks);
        foreach (var entry in Entries(directory.Children))
        {
            var size = ErofsFormat.DirentSize + NameLength(entry);
            if (used + size > ErofsFormat.BlockSize)
            {
                output.WriteAt(position, Encode(directory.Node, batch));
                batch.Clear();
                (used, position) = (0, position + ErofsFormat.BlockSize);
            }

            batch.Add(entry);
            used += size;
        }

        var last = Encode(directory.Node, batch)[..used];
        if (!directory.TailIsInline) output.WriteAt(position, last);
        else if (directory.Node == LayerTree.Root) last.CopyTo(_rootArea.AsSpan((int)(directory.Tail - ErofsFormat.RootOffset)));
        else output.WriteAt(directory.Tail, last);
    }

    /// <summary>One block: the fixed parts of all entries, then their names.</summary>
    private ReadOnlySpan<byte> Encode(int node, List<int> batch)
    {
        var block = _block.AsSpan();
        block.Clear();
        var nameOffset = batch.Count * ErofsFormat.DirentSize;
        for (var i = 0; i < batch.Count; i++)
        {
            var target = batch[i] switch { Self => node, Parent => tree[node].Parent, var child => child };
            var entry = block[(i * ErofsFormat.DirentSize)..];
            BinaryPrimitives.WriteInt64LittleEndian(entry, tree[target].Slot);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], (ushort)nameOffset);
            entry[10] = (byte)tree[target].Type;
            var name = NameOf(batch[i]);
            name.CopyTo(block[nameOffset..]);
            nameOffset += name.Length;
        }

        return block;
    }

    private const int Self = -1;
    private const int Parent = -2;

    /// <summary>The children with <c>.</c> and <c>..</c> where their names sort to.</summary>
    private IEnumerable<int> Entries(int[] children)
    {
        var (self, parent) = (false, false);
        foreach (var child in children)
        {
            if (!self && Compare(child, "."u8) > 0)
            {
                self = true;
                yield return Self;
            }

            if (!parent && Compare(child, ".."u8) > 0)
            {
                parent = true;
                yield return Parent;
            }

            yield return child;
        }

        if (!self) yield return Self;
        if (!parent) yield return Parent;
    }

    private int Compare(int child, ReadOnlySpan<byte> name) => tree.NameOf(child).SequenceCompareTo(name);

    private ReadOnlySpan<byte> NameOf(int entry) => entry switch { Self => "."u8, Parent => ".."u8, _ => tree.NameOf(entry) };

    private int NameLength(int entry) => NameOf(entry).Length;

    /// <param name="Tail">Where inline entries go.</param>
    /// <param name="Blocks">Where blocks of entries go.</param>
    private sealed record Placed(int Node, int[] Children, long Tail, long Blocks, bool TailIsInline);
}
