using System.Globalization;
using Hull.Core;

namespace Hull.Engine.Workloads;

/// <summary>Names of signals (signal(7)); those of x86 and ARM.</summary>
public static class Signals
{
    private static readonly string[] s_names =
    [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    public const int Kill = 9;
    private const int RealTimeMinimum = 34;
    private const int RealTimeMaximum = 64;

    /// <summary>A name with or without <c>SIG</c>, or a number; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static int Parse(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= RealTimeMaximum) return number;
        var name = text.ToUpperInvariant();
        if (name.StartsWith("SIG", StringComparison.Ordinal)) name = name[3..];
        var index = name.Length == 0 ? -1 : Array.IndexOf(s_names, name);
        if (index > 0) return index;
        if (name is "IOT") return 6;
        if (name is "POLL") return 29;
        if (name is "CLD") return 17;
        if (name.StartsWith("RTMIN", StringComparison.Ordinal) && Offset(name[5..]) is { } up and <= 30) return RealTimeMinimum + up;
        if (name.StartsWith("RTMAX", StringComparison.Ordinal) && Offset(name[5..], '-') is { } down and <= 30) return RealTimeMaximum - down;
        throw HullException.Invalid($"invalid signal: {text}");
    }

    private static int? Offset(string text, char sign = '+')
    {
        if (text.Length == 0) return 0;
        return text[0] == sign && int.TryParse(text.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var offset) ? offset : null;
    }
}
