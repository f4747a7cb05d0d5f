using System.Globalization;
using System.Text;

namespace Hull.Core.Tar;

/// <summary>
/// Writes tar archives in the PAX form, with an extended header only where a plain one has no room. The same entries give
/// the same bytes.
/// </summary>
public sealed class TarWriter(Stream output)
{
    private const long LargestOctal = (1L << 33) - 1;
    private const long LargestId = (1L << 21) - 1;
    private const int EndBlocks = 2;

    private readonly byte[] _header = new byte[TarFormat.BlockSize];
    private long _open;

    /// <summary>Begins an entry; exactly <see cref="TarEntry.Size"/> bytes of a regular file have to follow by <see cref="Write(ReadOnlySpan{byte})"/>.</summary>
    public void Begin(TarEntry entry)
    {
        if (_open != 0) throw new InvalidOperationException("the last entry's data is not complete");
        var records = ExtendedRecords(entry);
        if (records.Length > 0)
        {
            WriteHeader('x', "PaxHeaders/0"u8, default, 0x1A4, 0, 0, records.Length, default, entry);
            WritePadded(records);
        }

        var size = entry.Kind == TarEntryKind.File ? entry.Size : 0;
        WriteHeader(TypeFlag(entry.Kind), entry.Path, entry.LinkTarget, entry.Mode,
            entry.UserId, entry.GroupId, size, entry.ModifiedAt, entry);
        _open = size;
        if (size == 0) return;
        _padding = (int)TarFormat.Padding(size);
    }

    private int _padding;

    /// <summary>Data of the entry that was begun.</summary>
    public void Write(ReadOnlySpan<byte> data)
    {
        if (data.Length > _open) throw new InvalidOperationException("more data than the entry's size");
        output.Write(data);
        _open -= data.Length;
        if (_open > 0) return;
        output.Write(stackalloc byte[_padding]);
        _padding = 0;
    }

    /// <summary>An entry with its data in memory.</summary>
    public void Write(TarEntry entry, ReadOnlySpan<byte> data)
    {
        entry.Size = data.Length;
        Begin(entry);
        if (data.Length > 0) Write(data);
    }

    /// <summary>The mark at the end.</summary>
    public void Finish() => output.Write(new byte[EndBlocks * TarFormat.BlockSize]);

    private static byte[] ExtendedRecords(TarEntry entry)
    {
        var records = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        if (entry.Path.Length > TarFormat.Name.Length || !Ascii.IsValid(entry.Path)) records["path"] = entry.Path;
        if (entry.LinkTarget.Length > TarFormat.LinkName.Length || !Ascii.IsValid(entry.LinkTarget)) records["linkpath"] = entry.LinkTarget;
        if (entry.Kind == TarEntryKind.File && entry.Size > LargestOctal) records["size"] = Decimal(entry.Size);
        if (entry.UserId > LargestId) records["uid"] = Decimal(entry.UserId);
        if (entry.GroupId > LargestId) records["gid"] = Decimal(entry.GroupId);
        if (entry.ModifiedAt.Nanoseconds != 0 || entry.ModifiedAt.Seconds is < 0 or > LargestOctal) records["mtime"] = Time(entry.ModifiedAt);
        foreach (var xattr in entry.Xattrs) records["SCHILY.xattr." + xattr.Name] = xattr.Value;
        if (records.Count == 0) return [];
        var bytes = new MemoryStream();
        foreach (var (key, value) in records) WriteRecord(bytes, Encoding.UTF8.GetBytes(key), value);
        return bytes.ToArray();
    }

    private static void WriteRecord(MemoryStream bytes, byte[] key, byte[] value)
    {
        // The length counts its own digits.
        var rest = key.Length + value.Length + 3;
        var length = rest + 1;
        while (rest + length.ToString(CultureInfo.InvariantCulture).Length != length) length = rest + length.ToString(CultureInfo.InvariantCulture).Length;
        bytes.Write(Decimal(length));
        bytes.WriteByte((byte)' ');
        bytes.Write(key);
        bytes.WriteByte((byte)'=');
        bytes.Write(value);
        bytes.WriteByte((byte)'\n');
    }

    private static byte[] Decimal(long value) => Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture));

    private static byte[] Time(UnixTime time)
    {
        var (seconds, nanoseconds, sign) = time.Seconds < 0 && time.Nanoseconds > 0
            ? (-(time.Seconds + 1), 1_000_000_000 - time.Nanoseconds, "-")
            : (Math.Abs(time.Seconds), time.Nanoseconds, time.Seconds < 0 ? "-" : "");
        var fraction = nanoseconds == 0 ? "" : "." + nanoseconds.ToString("D9", CultureInfo.InvariantCulture).TrimEnd('0');
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{sign}{seconds}{fraction}"));
    }

    private void WriteHeader(char flag, ReadOnlySpan<byte> name, ReadOnlySpan<byte> link, int mode, uint user, uint group,
        long size, UnixTime time, TarEntry entry)
    {
        var header = _header.AsSpan();
        header.Clear();
        Text(name, TarFormat.Name);
        Text(link, TarFormat.LinkName);
        Octal(mode, TarFormat.Mode);
        Octal(Math.Min(user, LargestId), TarFormat.UserId);
        Octal(Math.Min(group, LargestId), TarFormat.GroupId);
        Octal(size > LargestOctal ? 0 : size, TarFormat.Size);
        Octal(Math.Clamp(time.Seconds, 0, LargestOctal), TarFormat.ModifiedAt);
        header[TarFormat.TypeFlag] = (byte)flag;
        TarFormat.UstarMagic.CopyTo(header[TarFormat.Magic.Offset..]);
        "00"u8.CopyTo(header[(TarFormat.Magic.Offset + 6)..]);
        if (entry.Kind is TarEntryKind.CharacterDevice or TarEntryKind.BlockDevice && flag != 'x')
        {
            Octal(entry.DeviceMajor, TarFormat.DeviceMajor);
            Octal(entry.DeviceMinor, TarFormat.DeviceMinor);
        }

        var sum = 8 * ' ';
        foreach (var b in header) sum += b;
        header.Slice(TarFormat.Checksum.Offset, 8).Fill((byte)' ');
        Octal(sum, (TarFormat.Checksum.Offset, 7));
        output.Write(header);
    }

    private void Text(ReadOnlySpan<byte> text, (int Offset, int Length) field) =>
        text[..Math.Min(text.Length, field.Length)].CopyTo(_header.AsSpan(field.Offset));

    /// <summary>Zero-padded digits and a NUL.</summary>
    private void Octal(long value, (int Offset, int Length) field)
    {
        for (var i = field.Length - 2; i >= 0; i--, value >>= 3) _header[field.Offset + i] = (byte)('0' + (value & 7));
        _header[field.Offset + field.Length - 1] = 0;
    }

    private void WritePadded(ReadOnlySpan<byte> data)
    {
        output.Write(data);
        output.Write(stackalloc byte[(int)TarFormat.Padding(data.Length)]);
    }

    private static char TypeFlag(TarEntryKind kind) => kind switch
    {
        TarEntryKind.File => '0',
        TarEntryKind.HardLink => '1',
        TarEntryKind.SymbolicLink => '2',
        TarEntryKind.CharacterDevice => '3',
        TarEntryKind.BlockDevice => '4',
        TarEntryKind.Directory => '5',
        _ => '6',
    };
}
