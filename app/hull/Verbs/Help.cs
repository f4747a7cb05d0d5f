using Hull.Core.CommandLine;

namespace Hull.Cli.Verbs;

/// <summary>Prints what a verb or a group of verbs does.</summary>
public static class Help
{
    public static void Print(TextWriter writer, string path, VerbEntry[] entries)
    {
        writer.WriteLine($"Usage: {path} [options] COMMAND\n\nCommands:");
        var width = entries.Where(e => !e.Hidden).Max(e => e.Name.Length);
        foreach (var entry in entries.Where(e => !e.Hidden)) writer.WriteLine($"  {entry.Name.PadRight(width)}  {entry.Summary}");
        writer.WriteLine($"\n{path} COMMAND --help says more about one of them.");
    }

    public static void Print(TextWriter writer, string summary, Verb verb, FlagSet flags)
    {
        writer.WriteLine($"Usage: hull {verb.Usage}\n\n{summary}");
        PrintFlags(writer, flags);
    }

    public static void PrintFlags(TextWriter writer, FlagSet flags)
    {
        var shown = flags.Flags.Where(f => !f.Hidden).OrderBy(f => f.Name, StringComparer.Ordinal).ToList();
        if (shown.Count == 0) return;
        writer.WriteLine("\nOptions:");
        var left = shown.Select(Spell).ToList();
        var width = Math.Min(34, left.Max(l => l.Length));
        for (var i = 0; i < shown.Count; i++) writer.WriteLine($"  {left[i].PadRight(width)}  {shown[i].Help}");
    }

    private static string Spell(Flag flag) =>
        (flag.Shorthand is { } c ? $"-{c}, " : "    ") + "--" + flag.Name + (flag.IsSwitch ? "" : " " + flag.ValueName);
}
