using Hull.Core;

namespace Hull.Cli.Containers;

/// <summary>Environment variables of the command line.</summary>
internal static class EnvironmentFile
{
    /// <summary>A bare name takes the value of this program's own variable; one that is not set stays bare.</summary>
    public static string Expand(string text) =>
        text.Contains('=', StringComparison.Ordinal) ? text
        : Environment.GetEnvironmentVariable(text) is { } value ? text + "=" + value
        : text;

    /// <summary>Lines <c>NAME=value</c> or <c>NAME</c>; blank lines and lines that begin with # are left out.</summary>
    public static IEnumerable<string> Read(string file)
    {
        if (!File.Exists(file)) throw HullException.NotFound($"file {file} does not exist");
        foreach (var raw in File.ReadLines(file))
        {
            var line = raw.TrimStart();
            if (line.Length == 0 || line[0] == '#') continue;
            var name = line.Split('=')[0];
            if (name.Length == 0 || name.Any(char.IsWhiteSpace)) throw HullException.Invalid($"{file}: '{line}' is no variable: expected NAME=value");
            if (line.Contains('=', StringComparison.Ordinal)) yield return line;
            else if (Environment.GetEnvironmentVariable(line) is { } value) yield return line + "=" + value;
        }
    }
}
