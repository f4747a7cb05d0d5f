using System.Buffers.Text;

namespace Hull.Core.Tar;

/// <summary>
/// GNU tar's three PAX forms of sparse files (GNU tar manual, "Storing Sparse Files"): 0.0 repeats offset and
/// numbytes, 0.1 has them in one list, 1.0 puts the list in front of the data.
/// </summary>
internal sealed class SparseRecords
{
    private readonly List<SparseRegion> _regions = [];
    private long? _offset;
    private long _major;
    private long _minor;

    public byte[]? Name { get; private set; }

    /// <summary>Size with the holes.</summary>
    public long? RealSize { get; private set; }

    public bool IsSparse { get; private set; }

    /// <summary>Form 1.0: the list is at the start of the entry's data.</summary>
    public bool MapInData => IsSparse && _major == 1 && _minor == 0;

    public void Clear()
    {
        _regions.Clear();
        (_offset, _major, _minor, Name, RealSize, IsSparse) = (null, 0, 0, null, null, false);
    }

    public void Set(string key, ReadOnlySpan<byte> value, UnpackLimits limits)
    {
        IsSparse = true;
        switch (key)
        {
            case "GNU.sparse.major": _major = TarFormat.Decimal(value, "sparse version"); break;
            case "GNU.sparse.minor": _minor = TarFormat.Decimal(value, "sparse version"); break;
            case "GNU.sparse.name":
                Name = value.Contains((byte)0) ? throw HullException.Corrupted("tar has a name with a NUL byte in a PAX header") : value.ToArray();
                break;
            case "GNU.sparse.size" or "GNU.sparse.realsize": RealSize = TarFormat.Decimal(value, "sparse size"); break;
            case "GNU.sparse.offset": _offset = TarFormat.Decimal(value, "sparse offset"); break;
            case "GNU.sparse.numbytes" when _offset is { } offset:
                Add(offset, TarFormat.Decimal(value, "sparse length"), limits);
                _offset = null;
                break;
            case "GNU.sparse.map":
                ReadList(value, limits);
                break;
        }
    }

    public IReadOnlyList<SparseRegion> Regions => [.. _regions];

    private void ReadList(ReadOnlySpan<byte> list, UnpackLimits limits)
    {
        _regions.Clear();
        while (list.Length > 0)
        {
            var offset = NextInList(ref list);
            Add(offset, NextInList(ref list), limits);
        }
    }

    private static long NextInList(ref ReadOnlySpan<byte> list)
    {
        if (!Utf8Parser.TryParse(list, out long value, out var used) || value < 0 || (used < list.Length && list[used] != ','))
            throw HullException.Corrupted("tar has a malformed sparse map");
        list = used < list.Length ? list[(used + 1)..] : default;
        return value;
    }

    private void Add(long offset, long length, UnpackLimits limits) => Add(_regions, offset, length, limits);

    public static void Add(List<SparseRegion> regions, long offset, long length, UnpackLimits limits)
    {
        if (regions.Count >= limits.MaxSparseRegions)
            throw new HullException(ErrorKind.ResourceExhausted, $"tar has a sparse file of more than {limits.MaxSparseRegions} pieces");
        regions.Add(new SparseRegion(offset, length));
    }

    /// <summary>Pieces must ascend, not overlap, and end within the file; their sum is what the archive stores.</summary>
    public static IReadOnlyList<SparseRegion> Check(IReadOnlyList<SparseRegion> regions, long realSize, long storedSize)
    {
        long end = 0, sum = 0;
        var kept = new List<SparseRegion>(regions.Count);
        foreach (var (offset, length) in regions)
        {
            if (offset < end || length < 0 || offset > realSize || length > realSize - offset)
                throw HullException.Corrupted("tar has a sparse map whose pieces overlap or lie outside the file");
            end = offset + length;
            sum += length;
            if (length > 0) kept.Add(new SparseRegion(offset, length));
        }

        return sum == storedSize ? kept : throw HullException.Corrupted($"tar has a sparse map of {sum} bytes over {storedSize} bytes of data");
    }
}
