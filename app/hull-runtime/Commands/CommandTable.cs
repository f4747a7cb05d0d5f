using Hull.Core;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>All commands. Each is made only when it is asked for.</summary>
internal static class CommandTable
{
    internal static readonly string[] Names =
    [
        "checkpoint", "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps", "restore", "resume", "run", "spec",
        "start", "state", "update",
    ];

    internal static Command Find(string name) => name switch
    {
        "create" => LifecycleCommands.Create(),
        "run" => LifecycleCommands.Run(),
        "start" => LifecycleCommands.Start(),
        "kill" => LifecycleCommands.Kill(),
        "delete" => LifecycleCommands.Delete(),
        "exec" => ExecCommand.Create(),
        "state" => QueryCommands.State(),
        "list" => QueryCommands.List(),
        "features" => QueryCommands.Features(),
        "spec" => SpecCommand.Create(),
        "pause" => ResourceCommands.Pause(),
        "resume" => ResourceCommands.Resume(),
        "ps" => ResourceCommands.Ps(),
        "update" => ResourceCommands.Update(),
        "events" => ResourceCommands.Events(),
        "checkpoint" => CheckpointCommands.Checkpoint(),
        "restore" => CheckpointCommands.Restore(),
        _ => throw HullException.Invalid($"No help topic for '{name}': the commands are {string.Join(", ", Names)}"),
    };
}
