using System.Runtime.InteropServices;
using Hull.Core;
using Hull.Core.Tar;

namespace Hull.Images.Archive;

/// <summary>
/// The names of a layer as a tree, while its tar passes by. Kept in a few large arrays: a name costs some fifty bytes,
/// so a layer of a hundred thousand files needs a few megabytes.
/// </summary>
internal sealed class LayerTree
{
    public const int Root = 0;
    public const int None = -1;
    private const int MostLinksFollowed = 40;

    private readonly List<Node> _nodes = [];
    private readonly List<DirectoryRecord> _directories = [];
    private readonly Dictionary<int, byte[]> _links = [];
    private byte[] _names = new byte[4096];
    private int _namesUsed;
    private int[] _buckets = new int[1024];
    private int _linked;

    public LayerTree()
    {
        Array.Fill(_buckets, None);
        _nodes.Add(new Node { Parent = Root, FirstChild = None, NextSibling = None, Type = LayerNodeType.Directory, Directory = 0 });
        _directories.Add(new DirectoryRecord { IsImplied = true });
    }

    public int Count => _nodes.Count;

    public ref Node this[int node] => ref CollectionsMarshal.AsSpan(_nodes)[node];

    public DirectoryRecord DirectoryOf(int node) => _directories[this[node].Directory];

    public ReadOnlySpan<byte> NameOf(int node) => _names.AsSpan(this[node].NameStart, this[node].NameLength);

    /// <summary>The target of a symbolic link.</summary>
    public byte[] LinkOf(int node) => _links[node];

    /// <summary>The children that are still there, in the order of their names' bytes.</summary>
    public int[] SortedChildren(int directory)
    {
        var children = new List<int>();
        for (var child = this[directory].FirstChild; child != None; child = this[child].NextSibling)
        {
            if (!this[child].IsRemoved) children.Add(child);
        }

        var sorted = children.ToArray();
        Array.Sort(sorted, (a, b) => NameOf(a).SequenceCompareTo(NameOf(b)));
        return sorted;
    }

    /// <summary>
    /// Finds the directory of a normalized path. Symbolic links of this layer are followed inside it; directories that the
    /// layer does not mention are made, as implied ones.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> where the path leads out of the layer, goes
    /// in circles or through a file.</exception>
    public int ResolveDirectory(ReadOnlySpan<byte> path, ReadOnlySpan<byte> whole)
    {
        var directory = Root;
        var followed = 0;
        var rest = path;
        while (!rest.IsEmpty)
        {
            var slash = rest.IndexOf((byte)'/');
            var name = slash < 0 ? rest : rest[..slash];
            rest = slash < 0 ? default : rest[(slash + 1)..];
            if (name.IsEmpty || name.SequenceEqual("."u8)) continue;
            if (name.SequenceEqual(".."u8))
            {
                if (directory == Root) throw HullException.Corrupted($"tar entry {TarFormat.Show(whole)} leads out of the layer through a symbolic link");
                directory = this[directory].Parent;
                continue;
            }

            var child = Find(directory, name);
            if (child == None) directory = AddDirectory(directory, name, implied: true);
            else if (this[child].Type == LayerNodeType.Directory) directory = child;
            else if (this[child].IsWhiteout) directory = MakeDirectory(child, implied: true);
            else if (this[child].Type != LayerNodeType.SymbolicLink)
                throw HullException.Corrupted($"tar entry {TarFormat.Show(whole)} lies inside something that is not a directory");
            else if (++followed > MostLinksFollowed) throw HullException.Corrupted($"tar entry {TarFormat.Show(whole)} goes through too many symbolic links");
            else
            {
                var target = _links[child];
                if (target is [(byte)'/', ..]) directory = Root;
                rest = rest.IsEmpty ? target : [.. target, (byte)'/', .. rest];
            }
        }

        return directory;
    }

    public int Find(int directory, ReadOnlySpan<byte> name)
    {
        for (var node = _buckets[Hash(directory, name)]; node != None; node = this[node].NextInBucket)
        {
            if (this[node].Parent == directory && !this[node].IsRemoved && NameOf(node).SequenceEqual(name)) return node;
        }

        return None;
    }

    /// <summary>Adds a name that is not there, or takes over the one that is; what a directory contained goes with it.</summary>
    public int Put(int directory, ReadOnlySpan<byte> name, LayerNodeType type)
    {
        var node = Find(directory, name);
        if (node == None) node = Add(directory, name);
        else if (this[node].Type == LayerNodeType.Directory)
        {
            // The children are reached through this node only; a new one starts without them.
            this[node].IsRemoved = true;
            node = Add(directory, name);
        }
        else if (this[node].Type == LayerNodeType.SymbolicLink) _links.Remove(node);

        ref var entry = ref this[node];
        (entry.Type, entry.IsWhiteout, entry.Slot, entry.IsCompact) = (type, false, 0, false);
        return node;
    }

    /// <summary>The directory's path from the root, without a slash at either end.</summary>
    public byte[] PathOf(int node)
    {
        if (node == Root) return [];
        var path = NameOf(node).ToArray();
        for (var above = this[node].Parent; above != Root; above = this[above].Parent) path = [.. NameOf(above), (byte)'/', .. path];
        return path;
    }

    public void SetLink(int node, byte[] target) => _links[node] = target;

    /// <summary>The directory of that name; what is there as something else is replaced.</summary>
    public int PutDirectory(int directory, ReadOnlySpan<byte> name)
    {
        var node = Find(directory, name);
        if (node == None) return AddDirectory(directory, name, implied: false);
        return this[node].Type == LayerNodeType.Directory ? node : MakeDirectory(node, implied: false);
    }

    private int AddDirectory(int parent, ReadOnlySpan<byte> name, bool implied) => MakeDirectory(Add(parent, name), implied);

    private int MakeDirectory(int node, bool implied)
    {
        // A whiteout and a directory of one name: the directory is new and shows nothing of the one below.
        _links.Remove(node);
        _directories.Add(new DirectoryRecord { IsImplied = implied, IsOpaque = this[node].IsWhiteout });
        ref var entry = ref this[node];
        (entry.Type, entry.IsWhiteout, entry.Slot, entry.Directory) = (LayerNodeType.Directory, false, 0, _directories.Count - 1);
        return node;
    }

    private int Add(int directory, ReadOnlySpan<byte> name)
    {
        if (_namesUsed + name.Length > _names.Length) Array.Resize(ref _names, Math.Max(_names.Length * 2, _namesUsed + name.Length));
        name.CopyTo(_names.AsSpan(_namesUsed));
        if (++_linked > _buckets.Length) Grow();
        var bucket = Hash(directory, name);
        _nodes.Add(new Node
        {
            Parent = directory,
            NameStart = _namesUsed,
            NameLength = (ushort)name.Length,
            FirstChild = None,
            NextSibling = this[directory].FirstChild,
            NextInBucket = _buckets[bucket],
        });
        _namesUsed += name.Length;
        this[directory].FirstChild = _nodes.Count - 1;
        return _buckets[bucket] = _nodes.Count - 1;
    }

    private void Grow()
    {
        _buckets = new int[_buckets.Length * 2];
        Array.Fill(_buckets, None);
        for (var node = 1; node < _nodes.Count; node++)
        {
            var bucket = Hash(this[node].Parent, NameOf(node));
            this[node].NextInBucket = _buckets[bucket];
            _buckets[bucket] = node;
        }
    }

    private int Hash(int directory, ReadOnlySpan<byte> name)
    {
        var hash = new HashCode();
        hash.Add(directory);
        hash.AddBytes(name);
        return (int)((uint)hash.ToHashCode() & (uint)(_buckets.Length - 1));
    }

    /// <summary>A name and what it names.</summary>
    internal struct Node
    {
        public int Parent;
        public int NameStart;
        public int FirstChild;
        public int NextSibling;
        public int NextInBucket;

        /// <summary>Which <see cref="DirectoryRecord"/>, for directories.</summary>
        public int Directory;

        /// <summary>The sink's: where the inode is, 0 while there is none.</summary>
        public long Slot;

        public ushort NameLength;
        public LayerNodeType Type;
        public bool IsWhiteout;
        public bool IsRemoved;
        public bool IsCompact;
    }
}

/// <summary>What a name in a layer is; the numbers are the kernel's (FT_*), which erofs has in its directories.</summary>
internal enum LayerNodeType : byte
{
    Unknown = 0,
    Regular = 1,
    Directory = 2,
    CharacterDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    SymbolicLink = 7,
}

/// <summary>A directory's own metadata, which is written last, when all of it is known.</summary>
internal sealed class DirectoryRecord
{
    public int Mode { get; set; } = 0x1ED; // 0755

    public uint UserId { get; set; }

    public uint GroupId { get; set; }

    public UnixTime ModifiedAt { get; set; }

    public IReadOnlyList<Xattr> Xattrs { get; set; } = [];

    /// <summary>Hides what the layers below have in it.</summary>
    public bool IsOpaque { get; set; }

    /// <summary>The layer has something in it, but says nothing of the directory itself.</summary>
    public bool IsImplied { get; set; }
}
