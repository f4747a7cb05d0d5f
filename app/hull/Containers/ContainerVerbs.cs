using Hull.Cli.Files;
using Hull.Cli.Verbs;

namespace Hull.Cli.Containers;

/// <summary>The verbs for containers, both at the top and below <c>hull container</c>.</summary>
internal static class ContainerVerbs
{
    public static VerbEntry[] Common() =>
    [
        new("run", "Make and run a container", () => new RunVerb()),
        new("create", "Make a container", () => new CreateVerb()),
        new("start", "Start containers", () => new StartVerb()),
        new("stop", "Stop containers", () => new StopVerb("stop")),
        new("restart", "Restart containers", () => new StopVerb("restart")),
        new("kill", "Send a signal to containers", () => new KillVerb()),
        new("pause", "Freeze containers", () => new EachVerb("pause", c => $"/containers/{c}/pause")),
        new("unpause", "Thaw containers", () => new EachVerb("unpause", c => $"/containers/{c}/unpause")),
        new("rm", "Remove containers", () => new RemoveVerb()),
        new("ps", "List containers", () => new PsVerb()),
        new("exec", "Run a further command in a container", () => new ExecVerb()),
        new("attach", "Connect the terminal to a container", () => new AttachVerb()),
        new("logs", "Show what a container printed", () => new LogsVerb()),
        new("wait", "Wait until containers end and print their exit codes", () => new WaitVerb()),
        new("cp", "Copy files between a container and this machine", () => new CopyVerb()),
        new("diff", "Show what a container changed in its files", () => new ChangesVerb()),
        new("port", "Show where published ports are reached", () => new PortVerb()),
        new("export", "Write a container's files as an archive", () => new ExportVerb()),
        new("commit", "Make an image of a container", () => new CommitVerb()),
        new("update", "Change limits, ports, mounts and policies of containers", () => new UpdateVerb()),
        new("stats", "Show what containers use", () => new StatsVerb()),
        new("top", "Show the processes of a container, or what everything uses", () => new TopVerb()),
        new("rename", "Rename a container", () => new RenameVerb()),
    ];

    /// <summary><c>hull container</c>: the same, with Docker's further words.</summary>
    public static VerbEntry[] Group() =>
    [
        .. Common().Select(v => v.Name == "ps" ? new VerbEntry("ls", v.Summary, v.Create, "ps", "list") : v),
        new("inspect", "Show everything about containers", () => new InspectVerb("container inspect [options] CONTAINER...", ("container", "/containers/{}/json"))),
        new("prune", "Remove containers that do not run", () => new PruneVerb("container prune", "/containers/prune", "ContainersDeleted")),
    ];
}
