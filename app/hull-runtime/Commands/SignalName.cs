using Hull.Core;

namespace Hull.RuntimeCli.Commands;

/// <summary>Signals by number, by name, and by name without SIG.</summary>
internal static class SignalName
{
    private static readonly string[] s_names =
    [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
        "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    internal static int Parse(string text)
    {
        if (int.TryParse(text, out var number)) return number is >= 0 and <= 64 ? number : throw Unknown(text);
        var name = text.ToUpperInvariant();
        if (name.StartsWith("SIG", StringComparison.Ordinal)) name = name[3..];
        var index = Array.IndexOf(s_names, name);
        if (index > 0) return index;
        return name switch
        {
            "POLL" => 29,
            "IOT" => 6,
            "CLD" => 17,
            "RTMIN" => 34,
            "RTMAX" => 64,
            _ when name.StartsWith("RTMIN+", StringComparison.Ordinal) && int.TryParse(name[6..], out var offset) && offset is >= 0 and <= 30 => 34 + offset,
            _ when name.StartsWith("RTMAX-", StringComparison.Ordinal) && int.TryParse(name[6..], out var offset) && offset is >= 0 and <= 30 => 64 - offset,
            _ => throw Unknown(text),
        };
    }

    private static HullException Unknown(string text) => HullException.Invalid($"unknown signal '{text}'");
}
