using Hull.Core.CommandLine;
using Hull.Cli.Contexts;
using Hull.Client;
using Hull.Core;

namespace Hull.Cli.Verbs;

/// <summary>Finds the verb that was asked for and runs it with its options.</summary>
public static class Dispatcher
{
    /// <summary>Runs a command line and answers the exit code.</summary>
    public static int Run(VerbEntry[] verbs, IReadOnlyList<string> words)
    {
        var global = new GlobalOptions();
        var flags = new FlagSet { Interspersed = false };
        global.Define(flags);
        if (words.Count == 0 || words[0] is "--help" or "-h" or "help")
        {
            Help.Print(Terminal.Output, "hull", verbs);
            Help.PrintFlags(Terminal.Output, flags);
            return words.Count == 0 ? 1 : 0;
        }

        var rest = flags.Parse(words);
        if (global.Version) rest = ["version", .. rest];
        if (rest.Count == 0) throw HullException.Invalid("a command is missing, see hull --help");
        var entry = Array.Find(verbs, e => e.Matches(rest[0])) ?? throw Unknown("hull", verbs, rest[0]);
        return Run(entry, "hull " + rest[0], rest.GetRange(1, rest.Count - 1), global);
    }

    private static int Run(VerbEntry entry, string path, List<string> words, GlobalOptions global)
    {
        if (entry.Group is { } group) return RunGroup(group(), path, words, global);
        var verb = entry.Create();
        var flags = new FlagSet();
        verb.Define(flags);
        if (words.Contains("--help") && IsHelp(flags, words))
        {
            Help.Print(Terminal.Output, entry.Summary, verb, flags);
            return 0;
        }

        try
        {
            using var call = new Invocation(flags.Parse(words), global.Endpoint);
            return verb.Run(call);
        }
        catch (HullException e) when (e.Kind == ErrorKind.InvalidArgument && e.Data["usage"] is null && IsUsageError(e))
        {
            Terminal.Flush();
            Terminal.PrintError(e.FullMessage + $"\nusage: hull {verb.Usage}");
            return verb is ICommandRunner ? 125 : 1;
        }
        catch (HullException e) when (verb is ICommandRunner)
        {
            Terminal.Flush();
            Terminal.PrintError(e);
            return ICommandRunner.ExitCodeOf(e);
        }
    }

    private static int RunGroup(VerbEntry[] verbs, string path, List<string> words, GlobalOptions global)
    {
        if (words.Count == 0 || words[0] is "--help" or "-h")
        {
            Help.Print(Terminal.Output, path, verbs);
            return words.Count == 0 ? 1 : 0;
        }

        var entry = Array.Find(verbs, e => e.Matches(words[0])) ?? throw Unknown(path, verbs, words[0]);
        return Run(entry, path + " " + words[0], words.GetRange(1, words.Count - 1), global);
    }

    /// <summary>An error for a word that is no verb, with the nearest that is.</summary>
    public static HullException Unknown(string path, VerbEntry[] verbs, string word)
    {
        var near = verbs.Where(v => !v.Hidden).MinBy(v => Spelling.Distance(word, v.Name));
        var hint = near is not null && Spelling.Distance(word, near.Name) <= 2 ? $", did you mean {path} {near.Name}" : $", see {path} --help";
        return HullException.Invalid($"unknown command '{path} {word}'{hint}");
    }

    /// <summary>Whether --help is meant for the verb and not for a command that it runs.</summary>
    private static bool IsHelp(FlagSet flags, List<string> words) =>
        flags.Interspersed || words.TakeWhile(w => w.StartsWith('-')).Contains("--help");

    /// <summary>Mistakes in the command line itself deserve the usage line; what the engine refuses does not.</summary>
    private static bool IsUsageError(HullException e) =>
        e.Message.StartsWith("unknown option", StringComparison.Ordinal)
        || e.Message.EndsWith("is missing", StringComparison.Ordinal)
        || e.Message.StartsWith("unexpected argument", StringComparison.Ordinal)
        || e.Message.Contains("arguments are needed", StringComparison.Ordinal);
}

/// <summary>A verb that runs somebody's command, whose own failures must not look like those of the command.</summary>
public interface ICommandRunner
{
    /// <summary>125 for a failure of the engine; 126 and 127 as a shell has them.</summary>
    static int ExitCodeOf(HullException failure) => failure.Kind switch
    {
        ErrorKind.CommandNotExecutable => 126,
        ErrorKind.CommandNotFound => 127,
        _ when failure.Message.Contains("executable file not found", StringComparison.Ordinal)
            || failure.Message.Contains("no such file or directory", StringComparison.OrdinalIgnoreCase) => 127,
        _ when failure.Message.Contains("permission denied", StringComparison.OrdinalIgnoreCase) => 126,
        _ => 125,
    };
}
