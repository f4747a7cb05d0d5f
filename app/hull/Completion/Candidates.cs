using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Cli.Completion;

/// <summary>Finds what may stand at the end of a command line.</summary>
/// <param name="verbs">Verbs at the top.</param>
/// <param name="global">Takes the options before the verb, so that the engine they choose is asked.</param>
/// <param name="names">Names of a kind of thing: <c>container</c>, <c>image</c>, <c>network</c>, <c>volume</c>, <c>context</c>, <c>machine</c>.</param>
internal sealed class Candidates(VerbEntry[] verbs, GlobalOptions global, Func<string, IEnumerable<(string Text, string Summary)>> names)
{
    /// <param name="words">What follows <c>hull</c>; the last word is the unfinished one, possibly empty.</param>
    public IEnumerable<(string Text, string Summary)> Of(IReadOnlyList<string> words)
    {
        if (words.Count == 0) words = [""];
        var flags = new FlagSet { Interspersed = false };
        global.Define(flags);
        return Among(verbs, flags, words).Where(candidate => candidate.Item1.StartsWith(words[^1], StringComparison.Ordinal));
    }

    private IEnumerable<(string, string)> Among(VerbEntry[] entries, FlagSet flags, IReadOnlyList<string> words)
    {
        var (arguments, valued) = Take(flags, words);
        if (valued is not null) return OfFlag(valued);
        if (arguments.Count == 0)
        {
            return words[^1].StartsWith('-') ? Spell(flags)
                : entries.Where(entry => !entry.Hidden).Select(entry => (entry.Name, entry.Summary));
        }

        var word = arguments[0];
        if (Array.Find(entries, entry => entry.Matches(word)) is not { } found) return [];
        IReadOnlyList<string> rest = [.. arguments.Skip(1), words[^1]];
        if (found.Group is { } group) return Among(group(), new FlagSet { Interspersed = false }, rest);
        return OfVerb(found.Create(), rest);
    }

    private IEnumerable<(string, string)> OfVerb(Verb verb, IReadOnlyList<string> words)
    {
        var flags = new FlagSet();
        verb.Define(flags);
        var (arguments, valued) = Take(flags, words);
        if (valued is not null) return OfFlag(valued);
        // What follows the first argument of a verb that runs a command is the command's.
        if (!flags.Interspersed && arguments.Count > 0) return [];
        if (words[^1].StartsWith('-')) return Spell(flags);
        return OfArgument(verb.Usage, arguments.Count, words[^1]).Where(one => !arguments.Contains(one.Item1));
    }

    /// <summary>Goes by the argument's name in the usage: <c>CONTAINER</c>, <c>IMAGE|VOLUME</c>, or words to choose from.</summary>
    private IEnumerable<(string, string)> OfArgument(string usage, int index, string unfinished)
    {
        var line = usage.Split('\n')[0];
        // Verbs in front are lower case too, but choices are written with a bar.
        List<string> placeholders = [.. line.Split(' ').Where(word => word != "[options]" && (word.Any(char.IsAsciiLetterUpper) || word.Contains('|', StringComparison.Ordinal)))];
        if (placeholders.Count == 0) return [];
        var last = placeholders[^1];
        var placeholder = index < placeholders.Count ? placeholders[index] : last.EndsWith("...", StringComparison.Ordinal) ? last : "";
        // A name, then a colon and a path that the shell knows nothing of; or a file of this machine.
        if (line.Contains("CONTAINER:", StringComparison.Ordinal))
            return unfinished.AsSpan().IndexOfAny('/', '.', ':') >= 0 ? [] : names("container").Select(one => (one.Text + ":", one.Summary));
        return placeholder.Split('|').SelectMany(word => OfKind(new string([.. word.TrimStart('[').TakeWhile(char.IsAsciiLetter)])));
    }

    private IEnumerable<(string, string)> OfKind(string word) => word switch
    {
        "CONTAINER" or "IMAGE" or "NETWORK" or "VOLUME" or "CONTEXT" or "MACHINE" => names(word.ToLowerInvariant()),
        _ => word.Length > 0 && word.All(char.IsAsciiLetterLower) ? [(word, "")] : [],
    };

    /// <summary>The finished words' arguments, and the option whose value is the unfinished word.</summary>
    private static (List<string> Arguments, Flag? Valued) Take(FlagSet flags, IReadOnlyList<string> words)
    {
        List<string> finished = [.. words.Take(words.Count - 1)];
        try
        {
            return (flags.Parse(finished), null);
        }
        catch (HullException) when (finished.Count > 0)
        {
            // The last of them wants a value, or does not exist.
            var last = finished[^1];
            var valued = last.StartsWith("--", StringComparison.Ordinal) ? flags.Flags.FirstOrDefault(flag => flag.Name == last[2..])
                : last.Length > 1 && last[0] == '-' ? flags.Flags.FirstOrDefault(flag => flag.Shorthand == last[^1]) : null;
            return valued is { IsSwitch: false } ? ([], valued) : throw HullException.Invalid("the words so far are no command line");
        }
    }

    private IEnumerable<(string, string)> OfFlag(Flag flag) => flag.Name switch
    {
        "network" or "net" => names("network"),
        "volumes-from" or "link" or "depends-on" => names("container"),
        "volume" => names("volume").Select(one => (one.Text + ":", one.Summary)),
        "context" => names("context"),
        "isolation" or "default-isolation" => [("container", ""), ("vm", "")],
        "restart" => [("no", ""), ("on-failure", ""), ("always", ""), ("unless-stopped", "")],
        "health-on-failure" => [("none", ""), ("restart", ""), ("stop", ""), ("kill", "")],
        "pull" => [("always", ""), ("missing", ""), ("never", "")],
        "log-driver" => [("json-file", ""), ("local", ""), ("journald", ""), ("syslog", ""), ("none", "")],
        _ => [],
    };

    private static IEnumerable<(string, string)> Spell(FlagSet flags) => flags.Flags.Where(flag => !flag.Hidden)
        .OrderBy(flag => flag.Name, StringComparer.Ordinal).Select(flag => ("--" + flag.Name, flag.Help)).Append(("--help", "say more about the command"));
}
