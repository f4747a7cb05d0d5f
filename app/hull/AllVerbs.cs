using Hull.Cli.Completion;
using Hull.Cli.Images;
using Hull.Cli.Verbs;

namespace Hull.Cli;

/// <summary>Every verb of the program.</summary>
internal static class AllVerbs
{
    public static VerbEntry[] Get() => [.. EngineVerbs.All(), .. ImageVerbs.All(), RegistryCommand.Entry, .. CompletionVerbs.All(Get)];
}
