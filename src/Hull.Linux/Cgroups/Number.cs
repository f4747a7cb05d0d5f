using System.Globalization;

namespace Hull.Linux.Cgroups;

/// <summary>Numbers as cgroup files spell them.</summary>
internal static class Number
{
    internal static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    internal static string Text(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>v2's spelling of a limit, where -1 is none.</summary>
    internal static string OrMax(long value) => value < 0 ? "max" : Text(value);

    /// <summary>A counter or limit; "max" is <see cref="ulong.MaxValue"/>, what is no number is 0.</summary>
    internal static ulong Parse(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        if (text is "max") return ulong.MaxValue;
        if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)) return value;

        // v1 prints an unset memsw limit of a kernel without swap accounting as -1.
        return text is "-1" ? ulong.MaxValue : 0;
    }

    internal static ulong Read(string directory, string file) => Parse(CgroupFile.TryRead(directory, file) ?? "");

    /// <summary>Numbers of a list such as "0-2,7" (cpuset(7), list format).</summary>
    internal static IReadOnlyList<ushort> ParseList(string text)
    {
        var numbers = new List<ushort>();
        foreach (var part in text.Trim().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var dash = part.IndexOf('-');
            var first = (ushort)Parse(dash < 0 ? part : part.AsSpan(0, dash));
            var last = dash < 0 ? first : (ushort)Parse(part.AsSpan(dash + 1));
            for (int number = first; number <= last; number++) numbers.Add((ushort)number);
        }

        return numbers;
    }

    /// <summary>Lines of "name value".</summary>
    internal static Dictionary<string, ulong> ParseTable(string? text)
    {
        var table = new Dictionary<string, ulong>(StringComparer.Ordinal);
        if (text is null) return table;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var space = line.IndexOf(' ');
            if (space > 0) table[line[..space].ToString()] = Parse(line[(space + 1)..]);
        }

        return table;
    }
}
