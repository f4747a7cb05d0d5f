using Hull.Cli.Verbs;
using Hull.Cli.Contexts;

namespace Hull.Cli;

/// <summary>Every verb that speaks to an engine.</summary>
internal static class EngineVerbs
{
    public static VerbEntry[] All() =>
    [
        VerbEntry.ForGroup("context", "Manage named engines", ContextVerbs.All),
    ];
}
