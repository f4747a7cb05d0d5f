using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Cli;

/// <summary><c>hull registry serve</c>: becomes the program hull-registry that lies beside this one.</summary>
internal static class RegistryCommand
{
    private const string Program = "hull-registry";

    /// <summary>The group, for help; <see cref="TryServe"/> does the work.</summary>
    public static VerbEntry Entry => VerbEntry.ForGroup("registry", "Serve images to others",
        () => [new VerbEntry("serve", "Serve images over the OCI distribution protocol", () => throw HullException.Internal("the registry is served by its own program"))]);

    /// <summary>Hands the command line over, options and all: they are the registry's own. Returns where something else is meant.</summary>
    public static void TryServe(IReadOnlyList<string> words)
    {
        if (words is not ["registry", "serve", ..]) return;
        var beside = Path.Combine(Path.GetDirectoryName(Environment.ProcessPath) ?? "/", Program);
        ProgramReplacement.Execute(beside, [.. words.Skip(2)]);
    }
}
