namespace Hull.Cli.Containers;

/// <summary>How long something is ago, in the unit that says enough.</summary>
internal static class Ago
{
    public static string Since(long unixSeconds) =>
        Duration(TimeProvider.System.GetUtcNow() - DateTimeOffset.FromUnixTimeSeconds(unixSeconds)) + " ago";

    public static string Duration(TimeSpan time)
    {
        var (seconds, minutes, hours) = ((long)time.TotalSeconds, (long)time.TotalMinutes, (long)Math.Round(time.TotalHours));
        return seconds < 1 ? "Less than a second"
            : seconds < 60 ? Plural(seconds, "second")
            : minutes == 1 ? "About a minute"
            : minutes < 60 ? Plural(minutes, "minute")
            : hours == 1 ? "About an hour"
            : hours < 48 ? Plural(hours, "hour")
            : hours < 24 * 14 ? Plural(hours / 24, "day")
            : hours < 24 * 60 ? Plural(hours / 24 / 7, "week")
            : hours < 24 * 730 ? Plural(hours / 24 / 30, "month")
            : Plural(hours / 24 / 365, "year");
    }

    private static string Plural(long count, string unit) => count == 1 ? $"1 {unit}" : $"{count} {unit}s";
}
