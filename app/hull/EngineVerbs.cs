using Hull.Cli.Containers;
using Hull.Cli.Contexts;
using Hull.Cli.Verbs;
using Hull.Cli.Vm;

namespace Hull.Cli;

/// <summary>Every verb that speaks to an engine.</summary>
internal static class EngineVerbs
{
    public static VerbEntry[] All() =>
    [
        .. ContainerVerbs.Common(),
        VerbEntry.ForGroup("container", "Manage containers", ContainerVerbs.Group),
        VerbEntry.ForGroup("context", "Manage named engines", ContextVerbs.All),
        VerbEntry.ForGroup("vm", "Manage full machines", VmVerbs.All, "machine"),
    ];
}
