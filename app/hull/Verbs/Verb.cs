using Hull.Core.CommandLine;
using Hull.Core;

namespace Hull.Cli.Verbs;

/// <summary>
/// A word of the command line that does something. An instance lives for one invocation: options are taken into
/// its fields by <see cref="Define"/>'s flags, then <see cref="Run"/> does the work. Verbs block: a command line
/// program that lives for milliseconds has no use for a thread pool.
/// </summary>
public abstract class Verb
{
    /// <summary>
    /// What follows the program's name in help, such as <c>rm [options] CONTAINER...</c>. The names of arguments are what shells
    /// complete them by.
    /// </summary>
    public abstract string Usage { get; }

    /// <summary>Declares the options.</summary>
    public virtual void Define(FlagSet flags)
    {
    }

    /// <summary>Does the work and answers the exit code. Failures are thrown as <see cref="HullException"/>.</summary>
    public abstract int Run(Invocation call);
}

/// <summary>A verb as listed in help. The verb itself, with its options, exists only once it is called.</summary>
/// <param name="Name">The word.</param>
/// <param name="Summary">One line for the list of verbs.</param>
/// <param name="Create">Makes the verb.</param>
/// <param name="Aliases">Other words for it, not listed.</param>
public sealed record VerbEntry(string Name, string Summary, Func<Verb> Create, params string[] Aliases)
{
    /// <summary>Verbs of a group (<c>hull network ls</c>); null for a verb proper.</summary>
    public Func<VerbEntry[]>? Group { get; init; }

    /// <summary>Left out of help.</summary>
    public bool Hidden { get; init; }

    public bool Matches(string word) => Name == word || Array.IndexOf(Aliases, word) >= 0;

    /// <summary>An entry that only leads to others.</summary>
    public static VerbEntry ForGroup(string name, string summary, Func<VerbEntry[]> group, params string[] aliases) =>
        new(name, summary, () => throw HullException.Invalid($"hull {name} needs a command, see hull {name} --help"), aliases) { Group = group };
}
