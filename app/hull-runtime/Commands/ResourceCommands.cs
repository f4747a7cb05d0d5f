using Hull.Core;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>pause, resume, ps, update and events.</summary>
internal static class ResourceCommands
{
    internal static Command Pause() => new("pause", "<id>", "stop all processes of a container", [], invocation =>
    {
        invocation.Runtime.Pause(invocation.Flags.RequireId("pause"));
        return 0;
    });

    internal static Command Resume() => new("resume", "<id>", "continue a paused container", [], invocation =>
    {
        invocation.Runtime.Resume(invocation.Flags.RequireId("resume"));
        return 0;
    });

    internal static Command Ps() => new("ps", "<id> [ps options]", "print the processes of a container", [],
        _ => throw HullException.Unsupported("ps"));

    internal static Command Update() => new("update", "[flags] <id>", "change the limits of a container", [],
        _ => throw HullException.Unsupported("update"));

    internal static Command Events() => new("events", "[flags] <id>", "print statistics and out-of-memory events", [],
        _ => throw HullException.Unsupported("events"));
}
