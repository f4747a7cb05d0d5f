using System.Globalization;
using Hull.Core;

namespace Hull.Cli.Containers;

/// <summary>Rates of networks, in bits per second as everywhere with networks.</summary>
internal static class BitRate
{
    public const long Unlimited = -1;

    /// <summary>Parses <c>800kbit</c>, <c>10mbit</c>, <c>1.5g</c>; units are powers of 1000.</summary>
    public static long Parse(string text)
    {
        if (text is "none" or "-1") return Unlimited;
        var digits = text.EndsWith("bit", StringComparison.OrdinalIgnoreCase) ? text[..^3] : text;
        var unit = digits.Length == 0 ? 0 : char.ToLowerInvariant(digits[^1]) switch { 'k' => 1_000L, 'm' => 1_000_000, 'g' => 1_000_000_000, >= '0' and <= '9' => 1, _ => 0 };
        if (unit > 1) digits = digits[..^1];
        return unit > 0 && decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number is > 0 and < 10_000_000
            ? (long)(number * unit)
            : throw HullException.Invalid($"invalid rate '{text}': expected bits per second with a unit, such as 800kbit, 10mbit or 1gbit, or none");
    }
}
