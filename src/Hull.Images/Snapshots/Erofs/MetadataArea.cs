namespace Hull.Images.Snapshots.Erofs;

/// <summary>Finds places for inodes and what directly follows them: into one block after the other, each opened when needed.</summary>
internal sealed class MetadataArea(ImageOutput output)
{
    private long _block;
    private int _used = ErofsFormat.BlockSize;

    /// <summary>Whether inode and inline data can share a block, as they must.</summary>
    public static bool FitsBlock(int head, int tail) => head + tail <= ErofsFormat.BlockSize;

    /// <summary>Whether they fit into the block that is open.</summary>
    public bool FitsCurrent(int head, int tail) => _used + head + tail <= ErofsFormat.BlockSize;

    /// <summary>
    /// A place for an inode with its attributes (<paramref name="head"/> bytes) and inline data or a chunk map behind it.
    /// What is longer than a block gets blocks of its own.
    /// </summary>
    public long Allocate(int head, int tail, int table = 0)
    {
        var size = head + tail + table;
        if (size > ErofsFormat.BlockSize) return output.Reserve(ErofsFormat.BlocksFor(size) << ErofsFormat.BlockBits);
        if (_used + size > ErofsFormat.BlockSize) (_block, _used) = (output.Reserve(ErofsFormat.BlockSize), 0);
        var offset = _block + _used;
        _used = (_used + size + ErofsFormat.SlotSize - 1) & -ErofsFormat.SlotSize;
        return offset;
    }
}
