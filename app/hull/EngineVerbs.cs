using Hull.Cli.Containers;
using Hull.Cli.Contexts;
using Hull.Cli.Engine;
using Hull.Cli.Groups;
using Hull.Cli.Networks;
using Hull.Cli.Verbs;
using Hull.Cli.Volumes;
using Hull.Cli.Vm;

namespace Hull.Cli;

/// <summary>Every verb that speaks to an engine.</summary>
internal static class EngineVerbs
{
    public static VerbEntry[] All() =>
    [
        .. ContainerVerbs.Common(),
        VerbEntry.ForGroup("container", "Manage containers", ContainerVerbs.Group),
        new("inspect", "Show everything about containers, images, networks or volumes", () => new InspectVerb("inspect [options] CONTAINER|IMAGE|NETWORK|VOLUME...",
            ("container", "/containers/{}/json"), ("image", "/images/{}/json"), ("network", "/networks/{}"), ("volume", "/volumes/{}"))),
        new("fork", "Duplicate a running virtual machine, memory and disk included", () => new ForkVerb()),
        VerbEntry.ForGroup("snapshot", "Keep a running virtual machine as it is, and go back", SavedVerbs.All),
        .. EngineInformationVerbs.Common(),
        VerbEntry.ForGroup("group", "Manage groups of containers that share resources", GroupVerbs.All),
        VerbEntry.ForGroup("network", "Manage networks", NetworkVerbs.All),
        VerbEntry.ForGroup("volume", "Manage volumes", VolumeVerbs.All),
        VerbEntry.ForGroup("system", "Manage the engine", EngineInformationVerbs.Group),
        VerbEntry.ForGroup("context", "Manage named engines", ContextVerbs.All),
        VerbEntry.ForGroup("vm", "Manage full machines", VmVerbs.All, "machine"),
    ];
}
