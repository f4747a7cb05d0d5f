using Hull.Core;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>checkpoint and restore.</summary>
internal static class CheckpointCommands
{
    internal static Command Checkpoint() => new("checkpoint", "[flags] <id>", "save a running container", [],
        _ => throw HullException.Unsupported("checkpoint: saving processes through criu is not implemented"));

    internal static Command Restore() => new("restore", "[flags] <id>", "continue a saved container", [],
        _ => throw HullException.Unsupported("restore: restoring processes through criu is not implemented"));
}
