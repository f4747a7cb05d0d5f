using System.Text;

namespace Hull.Core.Tar;

/// <summary>
/// Reads tar archives of the ustar, PAX, GNU and v7 kinds front to back, as layers come. Every length is checked
/// against <see cref="UnpackLimits"/> before anything is allocated for it; where the archive contradicts itself it is
/// refused rather than guessed at.
/// </summary>
public sealed class TarReader
{
    private readonly TarInput _input;
    private readonly UnpackLimits _limits;
    private readonly PaxRecords _global = new();
    private readonly PaxRecords _pax = new();
    private long _entries;
    private long _remaining;
    private long _padding;
    private int _region;
    private long _regionDone;

    public TarReader(Stream stream, UnpackLimits? limits = null) =>
        (_input, _limits) = (new TarInput(stream), limits ?? UnpackLimits.Default);

    /// <summary>The entry that <see cref="Next"/> moved to.</summary>
    public TarEntry Entry { get; } = new();

    /// <summary>Bytes of the archive read so far.</summary>
    public long Position => _input.Position;

    /// <summary>The archive ended with blocks of zeros, as it should; one that was cut between entries, or whose writer was careless, does not.</summary>
    public bool HasEndMark { get; private set; }

    /// <summary>Moves to the next entry, past what was not read of this one's data. False at the end of the archive.</summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> or <see cref="ErrorKind.ResourceExhausted"/>.</exception>
    public bool Next()
    {
        _input.Skip(_remaining + _padding);
        (_remaining, _padding, _region, _regionDone) = (0, 0, 0, 0);
        Entry.Clear();
        _pax.Clear();
        _pax.CopyFrom(_global);
        byte[]? longName = null, longLink = null;
        while (true)
        {
            var header = _input.TakeBlock();
            if (header.IsEmpty || IsEnd(header)) return false;
            if (!TarFormat.ChecksumMatches(header)) throw HullException.Corrupted($"tar has a header with a wrong checksum at byte {_input.Position - TarFormat.BlockSize}");
            if (++_entries > _limits.MaxEntries) throw new HullException(ErrorKind.ResourceExhausted, $"tar has more than {_limits.MaxEntries} entries");
            switch ((char)header[TarFormat.TypeFlag])
            {
                case 'x' or 'X': _pax.Read(ExtendedData(header), _limits); break;
                case 'g':
                    var data = ExtendedData(header);
                    _global.Read(data, _limits);
                    _pax.Read(data, _limits);
                    break;
                case 'L': longName = LongText(header); break;
                case 'K': longLink = LongText(header); break;
                default:
                    ReadEntry(header, longName, longLink);
                    return true;
            }
        }
    }

    /// <summary>
    /// The next piece of the entry's data and where in the file it belongs; false when there is no more. The span is
    /// good until the next call.
    /// </summary>
    public bool NextPiece(out long offset, out ReadOnlySpan<byte> bytes)
    {
        offset = 0;
        bytes = default;
        if (_remaining == 0) return false;
        if (Entry.Sparse is not { } regions)
        {
            offset = Entry.Size - _remaining;
            bytes = _input.TakeSome(_remaining);
        }
        else
        {
            var region = regions[_region];
            offset = region.Offset + _regionDone;
            bytes = _input.TakeSome(region.Length - _regionDone);
            _regionDone += bytes.Length;
            if (_regionDone == region.Length) (_region, _regionDone) = (_region + 1, 0);
        }

        _remaining -= bytes.Length;
        return true;
    }

    /// <summary>Reads the entry's data, which must be small, into memory.</summary>
    public byte[] ReadAll(int most)
    {
        if (Entry.Size > most) throw new HullException(ErrorKind.ResourceExhausted, $"tar entry {TarFormat.Show(Entry.Path)} has {Entry.Size} bytes, at most {most} are allowed");
        var bytes = new byte[Entry.Size];
        while (NextPiece(out var offset, out var piece)) piece.CopyTo(bytes.AsSpan((int)offset));
        return bytes;
    }

    /// <summary>Reads what follows the last entry, so that whoever hashes the stream has seen all of it.</summary>
    public void Drain() => _input.Drain();

    private bool IsEnd(ReadOnlySpan<byte> header)
    {
        if (!TarFormat.IsZero(header)) return false;
        HasEndMark = true;
        var second = _input.TakeBlock();
        return second.IsEmpty || TarFormat.IsZero(second)
            ? true
            : throw HullException.Corrupted("tar goes on after a block of zeros");
    }

    private ReadOnlySpan<byte> ExtendedData(ReadOnlySpan<byte> header)
    {
        var size = TarFormat.Number(TarFormat.Field(header, TarFormat.Size), "size");
        if (size < 0) throw HullException.Corrupted("tar has an extended header of a negative size");
        if (size > _limits.MaxExtendedHeader)
            throw new HullException(ErrorKind.ResourceExhausted, $"tar has an extended header of {size} bytes, at most {_limits.MaxExtendedHeader} are allowed");
        var data = _input.TakeAll((int)size);
        _input.Skip(TarFormat.Padding(size));
        return data;
    }

    private byte[] LongText(ReadOnlySpan<byte> header)
    {
        var text = TarFormat.Text(ExtendedData(header));
        return text.Length <= _limits.MaxPathLength * 2 ? text.ToArray() : throw TooLong();
    }

    private void ReadEntry(ReadOnlySpan<byte> header, byte[]? longName, byte[]? longLink)
    {
        var flag = (char)header[TarFormat.TypeFlag];
        var name = _pax.Sparse.Name ?? _pax.Path ?? longName ?? HeaderName(header);
        if (name.Length > _limits.MaxPathLength * 2) throw TooLong();
        Entry.Path = name;
        Entry.Kind = KindOf(flag, name);
        Entry.LinkTarget = Entry.Kind is TarEntryKind.HardLink or TarEntryKind.SymbolicLink
            ? _pax.LinkPath ?? longLink ?? TarFormat.Text(TarFormat.Field(header, TarFormat.LinkName)).ToArray()
            : [];
        Entry.Mode = (int)(Number(header, TarFormat.Mode, "mode") & 0xFFF);
        Entry.UserId = Id(_pax.UserId ?? Number(header, TarFormat.UserId, "user id"));
        Entry.GroupId = Id(_pax.GroupId ?? Number(header, TarFormat.GroupId, "group id"));
        Entry.ModifiedAt = _pax.ModifiedAt ?? new UnixTime(Number(header, TarFormat.ModifiedAt, "time"), 0);
        foreach (var (key, value) in _pax.Xattrs) Entry.Xattrs.Add(new Xattr(key, value));
        if (Entry.Kind is TarEntryKind.CharacterDevice or TarEntryKind.BlockDevice)
        {
            Entry.DeviceMajor = Device(Number(header, TarFormat.DeviceMajor, "device number"), 0xFFF);
            Entry.DeviceMinor = Device(Number(header, TarFormat.DeviceMinor, "device number"), 0xFFFFF);
        }

        if (Entry.Kind == TarEntryKind.File) ReadSize(header, flag);
    }

    /// <summary>Only regular files have data; a size on anything else is what programs that fill all fields write.</summary>
    private void ReadSize(ReadOnlySpan<byte> header, char flag)
    {
        var stored = _pax.Size ?? Number(header, TarFormat.Size, "size");
        if (stored < 0) throw HullException.Corrupted($"tar entry {TarFormat.Show(Entry.Path)} has a negative size");
        _remaining = stored;
        _padding = TarFormat.Padding(stored);
        Entry.Size = stored;
        if (flag == 'S') ReadGnuSparse(header);
        else if (_pax.Sparse.IsSparse) ReadPaxSparse();
        if (Entry.Size > _limits.MaxFileSize)
            throw new HullException(ErrorKind.ResourceExhausted, $"tar entry {TarFormat.Show(Entry.Path)} has {Entry.Size} bytes, at most {_limits.MaxFileSize} are allowed");
    }

    private void ReadPaxSparse()
    {
        Entry.Size = _pax.Sparse.RealSize ?? throw HullException.Corrupted("tar has a sparse file without a size");
        var regions = _pax.Sparse.MapInData ? ReadMapFromData() : _pax.Sparse.Regions;
        Entry.Sparse = SparseRecords.Check(regions, Entry.Size, _remaining);
    }

    /// <summary>Form 1.0: decimal numbers, one a line, count first; padded to a whole block.</summary>
    private List<SparseRegion> ReadMapFromData()
    {
        var regions = new List<SparseRegion>();
        var line = new byte[21];
        var block = ReadOnlySpan<byte>.Empty;
        var count = NextLine(ref block, line);
        for (var i = 0L; i < count; i++)
        {
            var offset = NextLine(ref block, line);
            SparseRecords.Add(regions, offset, NextLine(ref block, line), _limits);
        }

        return regions;
    }

    private long NextLine(ref ReadOnlySpan<byte> block, byte[] line)
    {
        for (var length = 0; ; length++)
        {
            if (block.IsEmpty)
            {
                if (_remaining < TarFormat.BlockSize) throw HullException.Corrupted("tar has a sparse map longer than its data");
                block = _input.Take(TarFormat.BlockSize);
                _remaining -= TarFormat.BlockSize;
            }

            var c = block[0];
            block = block[1..];
            if (c == '\n') return TarFormat.Decimal(line.AsSpan(0, length), "sparse map");
            if (length == line.Length) throw HullException.Corrupted("tar has a malformed sparse map");
            line[length] = c;
        }
    }

    /// <summary>GNU tar's old form: four pieces in the header, 21 in every block that follows.</summary>
    private void ReadGnuSparse(ReadOnlySpan<byte> header)
    {
        const int firstPiece = 386, piecesInHeader = 4, moreInHeader = 482, realSize = 483;
        const int piecesInBlock = 21, moreInBlock = 504;
        Entry.Size = TarFormat.Number(header.Slice(realSize, 12), "sparse size");
        if (Entry.Size < 0) throw HullException.Corrupted("tar has a sparse file of a negative size");
        var regions = new List<SparseRegion>();
        var more = header[moreInHeader] != 0;
        AddPieces(header.Slice(firstPiece, piecesInHeader * 24), regions);
        while (more)
        {
            var block = _input.Take(TarFormat.BlockSize);
            more = block[moreInBlock] != 0;
            AddPieces(block[..(piecesInBlock * 24)], regions);
        }

        Entry.Sparse = SparseRecords.Check(regions, Entry.Size, _remaining);
    }

    private void AddPieces(ReadOnlySpan<byte> table, List<SparseRegion> regions)
    {
        for (; table.Length > 0; table = table[24..])
        {
            if (table[0] == 0 && table[12] == 0) return;
            SparseRecords.Add(regions, TarFormat.Number(table[..12], "sparse offset"), TarFormat.Number(table[12..24], "sparse length"), _limits);
        }
    }

    private static byte[] HeaderName(ReadOnlySpan<byte> header)
    {
        var name = TarFormat.Text(TarFormat.Field(header, TarFormat.Name));
        if (!TarFormat.Field(header, TarFormat.Magic).StartsWith(TarFormat.UstarMagic)) return name.ToArray();
        var prefix = TarFormat.Field(header, TarFormat.Prefix);
        if (header[508..].SequenceEqual("tar\0"u8)) prefix = prefix[..TarFormat.StarPrefixLength];
        prefix = TarFormat.Text(prefix);
        return prefix.IsEmpty ? name.ToArray() : [.. prefix, (byte)'/', .. name];
    }

    private static TarEntryKind KindOf(char flag, byte[] name) => flag switch
    {
        '\0' when name is [.., (byte)'/'] => TarEntryKind.Directory,
        '0' or '\0' or '7' or 'S' => TarEntryKind.File,
        '1' => TarEntryKind.HardLink,
        '2' => TarEntryKind.SymbolicLink,
        '3' => TarEntryKind.CharacterDevice,
        '4' => TarEntryKind.BlockDevice,
        '5' => TarEntryKind.Directory,
        '6' => TarEntryKind.Fifo,
        _ => throw HullException.Corrupted($"tar entry {TarFormat.Show(name)} is of the unknown type '{(char.IsAsciiLetterOrDigit(flag) ? flag : '?')}'"),
    };

    private static long Number(ReadOnlySpan<byte> header, (int Offset, int Length) field, string what) =>
        TarFormat.Number(TarFormat.Field(header, field), what);

    private uint Id(long value) => value is >= 0 and < uint.MaxValue
        ? (uint)value
        : throw HullException.Corrupted($"tar entry {TarFormat.Show(Entry.Path)} has the impossible owner {value}");

    private uint Device(long value, long most) => value >= 0 && value <= most
        ? (uint)value
        : throw HullException.Corrupted($"tar entry {TarFormat.Show(Entry.Path)} has the impossible device number {value}");

    private HullException TooLong() =>
        new(ErrorKind.ResourceExhausted, $"tar has a name longer than {_limits.MaxPathLength} bytes");
}
