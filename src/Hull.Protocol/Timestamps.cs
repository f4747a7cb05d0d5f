using System.Globalization;

namespace Hull.Protocol;

/// <summary>Times as the API writes them: RFC 3339 in UTC, with as many decimals as are not zero.</summary>
public static class Timestamps
{
    /// <summary>What stands for "never".</summary>
    public const string Zero = "0001-01-01T00:00:00Z";

    public static string Format(DateTimeOffset? time) => time is { } value
        ? value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture)
        : Zero;

    public static long UnixNanoseconds(DateTimeOffset time) => (time.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) * 100;

    public static DateTimeOffset FromUnixNanoseconds(long nanoseconds) => DateTimeOffset.UnixEpoch.AddTicks(nanoseconds / 100);

    /// <summary>
    /// A time as clients send it in <c>since</c> and <c>until</c>: seconds since 1970 with or without decimals, a
    /// duration before <paramref name="now"/> (<c>10m</c>), or RFC 3339 with parts left out.
    /// </summary>
    public static DateTimeOffset? Parse(string? text, DateTimeOffset now)
    {
        if (string.IsNullOrEmpty(text) || text == "0") return null;
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
        {
            if (seconds is < -62135596800m or > 253402300799m) throw Invalid(text);
            return DateTimeOffset.UnixEpoch.AddTicks((long)(seconds * TimeSpan.TicksPerSecond));
        }

        if (GoDuration.TryParse(text, out var ago)) return now - ago;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : throw Invalid(text);
    }

    private static Core.HullException Invalid(string text) => Core.HullException.Invalid(
        $"invalid time '{text}': expected seconds since 1970, a duration such as 10m, or a date such as 2026-01-31T12:00:00Z");
}

/// <summary>Durations as Go and its users write them: <c>1h30m</c>, <c>1.5s</c>, <c>100ms</c>.</summary>
public static class GoDuration
{
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var total = 0m;
        var at = text.StartsWith('-') || text.StartsWith('+') ? 1 : 0;
        if (at == text.Length) return false;
        while (at < text.Length)
        {
            var start = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '.')) at++;
            if (at - start > 18 || !decimal.TryParse(text.AsSpan(start, at - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
            start = at;
            while (at < text.Length && !char.IsAsciiDigit(text[at]) && text[at] != '.') at++;
            var ticks = text[start..at] switch
            {
                "ns" => 0.01m,
                "us" or "µs" or "μs" => TimeSpan.TicksPerMicrosecond,
                "ms" => TimeSpan.TicksPerMillisecond,
                "s" => TimeSpan.TicksPerSecond,
                "m" => TimeSpan.TicksPerMinute,
                "h" => TimeSpan.TicksPerHour,
                _ => -1m,
            };
            if (ticks < 0) return false;
            total += number * ticks;
            if (total > long.MaxValue / 2) return false;
        }

        duration = TimeSpan.FromTicks((long)(text[0] == '-' ? -total : total));
        return true;
    }

    public static TimeSpan Parse(string text) => TryParse(text, out var duration)
        ? duration
        : throw Core.HullException.Invalid($"invalid duration '{text}': expected a number with a unit, such as 30s or 1m30s");
}
