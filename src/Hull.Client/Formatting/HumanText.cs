using System.Globalization;

namespace Hull.Client.Formatting;

/// <summary>Sizes and times as people read them, in the words Docker uses.</summary>
public static class HumanText
{
    /// <summary>Three or four digits in units of 1000: <c>1.24MB</c>.</summary>
    public static string Size(long bytes)
    {
        string[] units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
        double value = bytes;
        var unit = 0;
        for (; Math.Abs(value) >= 1000 && unit < units.Length - 1; unit++) value /= 1000;
        return value.ToString("G" + (value >= 100 ? 4 : 3), CultureInfo.InvariantCulture) + units[unit];
    }

    /// <summary>A span in its largest unit: <c>3 hours</c>, <c>About a minute</c>.</summary>
    public static string Duration(TimeSpan span) => span switch
    {
        { TotalSeconds: < 1 } => "Less than a second",
        { TotalSeconds: < 2 } => "1 second",
        { TotalSeconds: < 60 } => $"{(int)span.TotalSeconds} seconds",
        { TotalMinutes: < 2 } => "About a minute",
        { TotalMinutes: < 60 } => $"{(int)span.TotalMinutes} minutes",
        { TotalHours: < 1.5 } => "About an hour",
        { TotalHours: < 48 } => $"{(int)Math.Round(span.TotalHours)} hours",
        { TotalDays: < 14 } => $"{(int)span.TotalDays} days",
        { TotalDays: < 60 } => $"{(int)(span.TotalDays / 7)} weeks",
        { TotalDays: < 730 } => $"{(int)(span.TotalDays / 30)} months",
        _ => $"{(int)(span.TotalDays / 365)} years",
    };

    /// <summary>How long ago a time was; <c>N/A</c> for none.</summary>
    public static string Ago(DateTimeOffset? time, DateTimeOffset now) => time is { } then ? Duration(now - then) + " ago" : "N/A";
}
