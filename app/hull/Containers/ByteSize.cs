using System.Globalization;
using Hull.Core;

namespace Hull.Cli.Containers;

/// <summary>Sizes as people write and read them.</summary>
internal static class ByteSize
{
    /// <summary>Parses <c>512</c>, <c>64k</c>, <c>1.5g</c>; units are powers of 1024, as with Docker.</summary>
    public static long Parse(string text)
    {
        var digits = text.TrimEnd();
        if (digits.EndsWith("ib", StringComparison.OrdinalIgnoreCase)) digits = digits[..^2];
        else if (digits.EndsWith('b') || digits.EndsWith('B')) digits = digits[..^1];
        var shift = digits.Length == 0 ? -1 : char.ToLowerInvariant(digits[^1]) switch
        {
            'k' => 10,
            'm' => 20,
            'g' => 30,
            't' => 40,
            >= '0' and <= '9' => 0,
            _ => -1,
        };
        if (shift > 0) digits = digits[..^1];
        return shift >= 0 && decimal.TryParse(digits.Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number < 1L << 52
            ? (long)(number * (1L << shift))
            : throw HullException.Invalid($"invalid size '{text}': expected a number with a unit, such as 512m or 2g");
    }

    /// <summary>In units of 1000: 1.5kB.</summary>
    public static string Decimal(double bytes) => Format(bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB"], 3);

    /// <summary>In units of 1024: 1.5KiB.</summary>
    public static string Binary(double bytes) => Format(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4);

    private static string Format(double value, double step, ReadOnlySpan<string> units, int digits)
    {
        var unit = 0;
        while (value >= step && unit < units.Length - 1)
        {
            value /= step;
            unit++;
        }

        return value.ToString("G" + digits, CultureInfo.InvariantCulture) + units[unit];
    }
}
