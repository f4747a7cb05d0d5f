using System.CommandLine;

namespace Hull.Cli;

/// <summary>A command of the first level: its name, and how to build it once it is known to be wanted.</summary>
internal sealed record CommandEntry(string Name, string Description, Func<Command> Create);

/// <summary>The root command, its global options, and the choice of the one command to build.</summary>
internal static class CommandLine
{
    /// <summary>Directory of the image store; commands that act on it without an engine read it.</summary>
    public static readonly Option<string> Root = new("--root")
    {
        Description = "Directory of Hull's state (HULL_ROOT, else /var/lib/hull)",
        HelpName = "directory",
        Recursive = true,
    };

    /// <summary>Address of the engine.</summary>
    public static readonly Option<string> Host = new("--host", "-H")
    {
        Description = "Address of the engine (HULL_HOST, else unix:///run/hull/hull.sock)",
        HelpName = "address",
    };

    /// <summary>The state directory a parsed command line asks for.</summary>
    public static string StateDirectory(ParseResult result) =>
        result.GetValue(Root) is { Length: > 0 } given ? Path.GetFullPath(given)
        : Environment.GetEnvironmentVariable("HULL_ROOT") is { Length: > 0 } configured ? Path.GetFullPath(configured)
        : "/var/lib/hull";

    /// <summary>
    /// The root command with the command named in <paramref name="arguments"/>; with all of them, as names only,
    /// where none is named (help, a typing error, completion).
    /// </summary>
    public static RootCommand Build(IReadOnlyList<CommandEntry> entries, IReadOnlyList<string> arguments)
    {
        var root = new RootCommand("Runs OCI images as containers or as virtual machines") { Root, Host };
        var wanted = FirstCommand(arguments);
        if (entries.FirstOrDefault(entry => entry.Name == wanted) is { } chosen)
        {
            root.Subcommands.Add(chosen.Create());
            return root;
        }

        foreach (var entry in entries.OrderBy(entry => entry.Name, StringComparer.Ordinal))
            root.Subcommands.Add(new Command(entry.Name, entry.Description));
        return root;
    }

    private static string? FirstCommand(IReadOnlyList<string> arguments)
    {
        for (var i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] is "--root" or "--host" or "-H") i++;
            else if (!arguments[i].StartsWith('-')) return arguments[i];
        }

        return null;
    }
}
