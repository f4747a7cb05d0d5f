using System.Buffers.Text;
using System.Text;

namespace Hull.Core.Tar;

/// <summary>
/// Where the fields of a tar header are and how they are written (POSIX.1-2024 pax, "ustar Interchange Format"; GNU
/// tar manual, "Basic Tar Format").
/// </summary>
public static class TarFormat
{
    public const int BlockSize = 512;

    public static readonly (int Offset, int Length) Name = (0, 100);
    public static readonly (int Offset, int Length) Mode = (100, 8);
    public static readonly (int Offset, int Length) UserId = (108, 8);
    public static readonly (int Offset, int Length) GroupId = (116, 8);
    public static readonly (int Offset, int Length) Size = (124, 12);
    public static readonly (int Offset, int Length) ModifiedAt = (136, 12);
    public static readonly (int Offset, int Length) Checksum = (148, 8);
    public const int TypeFlag = 156;
    public static readonly (int Offset, int Length) LinkName = (157, 100);
    public static readonly (int Offset, int Length) Magic = (257, 8);
    public static readonly (int Offset, int Length) DeviceMajor = (329, 8);
    public static readonly (int Offset, int Length) DeviceMinor = (337, 8);
    public static readonly (int Offset, int Length) Prefix = (345, 155);

    /// <summary>Length of the prefix where the header is of the star program's kind (it ends in <c>tar\0</c>).</summary>
    public const int StarPrefixLength = 131;

    public static ReadOnlySpan<byte> UstarMagic => "ustar\0"u8;

    public static ReadOnlySpan<byte> GnuMagic => "ustar  \0"u8;

    /// <summary>Bytes up to the next multiple of the block size.</summary>
    public static long Padding(long size) => -size & (BlockSize - 1);

    public static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> header, (int Offset, int Length) field) =>
        header.Slice(field.Offset, field.Length);

    /// <summary>A field's text up to its first NUL.</summary>
    public static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field)
    {
        var end = field.IndexOf((byte)0);
        return end < 0 ? field : field[..end];
    }

    /// <summary>An octal number, or with the first bit set a big-endian binary one, as GNU tar writes large values.</summary>
    public static long Number(ReadOnlySpan<byte> field, string what)
    {
        if ((field[0] & 0x80) != 0) return Binary(field, what);
        var text = field.Trim(" \0"u8);
        long value = 0;
        foreach (var c in text)
        {
            if (c is 0 or (byte)' ') break;
            if (c is < (byte)'0' or > (byte)'7' || value > long.MaxValue >> 3)
                throw HullException.Corrupted($"tar header has a malformed {what}");
            value = (value << 3) | (uint)(c - '0');
        }

        return value;
    }

    /// <summary>Whether the header's checksum is right, computed with unsigned bytes or, as some old programs did, signed ones.</summary>
    public static bool ChecksumMatches(ReadOnlySpan<byte> header)
    {
        long unsigned = 0, signed = 0;
        for (var i = 0; i < header.Length; i++)
        {
            var value = i - Checksum.Offset is >= 0 and < 8 ? (byte)' ' : header[i];
            unsigned += value;
            signed += (sbyte)value;
        }

        var stored = Number(Field(header, Checksum), "checksum");
        return stored == unsigned || stored == signed;
    }

    public static bool IsZero(ReadOnlySpan<byte> block) => block.IndexOfAnyExcept((byte)0) < 0;

    /// <summary>A decimal number of a PAX record.</summary>
    public static long Decimal(ReadOnlySpan<byte> text, string what) =>
        Utf8Parser.TryParse(text, out long value, out var used) && used == text.Length && value >= 0
            ? value
            : throw HullException.Corrupted($"tar has a malformed {what} '{Show(text)}'");

    /// <summary>Seconds with up to nine digits of fraction that count, as PAX records have times.</summary>
    public static UnixTime Time(ReadOnlySpan<byte> text)
    {
        var point = text.IndexOf((byte)'.');
        var whole = point < 0 ? text : text[..point];
        var fraction = point < 0 ? default : text[(point + 1)..];
        var negative = whole.StartsWith("-"u8);
        if (whole.Length == 0 || !Utf8Parser.TryParse(whole, out long seconds, out var used) || used != whole.Length
            || fraction.IndexOfAnyExceptInRange((byte)'0', (byte)'9') >= 0)
        {
            throw HullException.Corrupted($"tar has a malformed time '{Show(text)}'");
        }

        var nanoseconds = 0;
        for (var i = 0; i < 9; i++) nanoseconds = (nanoseconds * 10) + (i < fraction.Length ? fraction[i] - '0' : 0);
        return negative && nanoseconds > 0
            ? new UnixTime(seconds - 1, 1_000_000_000 - nanoseconds)
            : new UnixTime(seconds, nanoseconds);
    }

    /// <summary>A name for a message: what is not printable is shown as a dot.</summary>
    public static string Show(ReadOnlySpan<byte> name)
    {
        var text = new StringBuilder();
        foreach (var c in Encoding.UTF8.GetString(name.Length > 120 ? name[..120] : name))
            text.Append(char.IsControl(c) || c == '\uFFFD' ? '.' : c);
        return name.Length > 120 ? text.Append('…').ToString() : text.ToString();
    }

    private static long Binary(ReadOnlySpan<byte> field, string what)
    {
        // Two's complement; the first byte's topmost bit is the mark, the next one the sign.
        long value = (field[0] & 0x40) != 0 ? -1 : 0;
        var first = (byte)(field[0] & 0x7f);
        value = (value << 7) | first;
        for (var i = 1; i < field.Length; i++)
        {
            if (value > long.MaxValue >> 8 || value < long.MinValue >> 8)
                throw HullException.Corrupted($"tar header has a {what} that is too large");
            value = (value << 8) | field[i];
        }

        return value;
    }
}
