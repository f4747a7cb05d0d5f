using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Runtime;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>create, run, start, kill and delete.</summary>
internal static class LifecycleCommands
{
    /// <summary>Flags of every command that makes a container.</summary>
    internal static readonly Flag[] BundleFlags =
    [
        new("bundle", FlagKind.Value, "the bundle's directory, the working directory unless given", 'b'),
        new("console-socket", FlagKind.Value, "unix socket that is sent the terminal's master"),
        new("pid-file", FlagKind.Value, "file that gets the pid of init"),
        new("no-pivot", FlagKind.Switch, "change the root without pivot_root"),
        new("no-new-keyring", FlagKind.Switch, "keep the caller's session keyring"),
        new("preserve-fds", FlagKind.Value, "hand on this many descriptors after stderr"),
    ];

    internal static Command Create() => new("create", "[flags] <id>", "make a container whose program waits for start", BundleFlags, invocation =>
    {
        SelfProtection.Ensure(invocation.CommandLine);
        using var init = invocation.Runtime.Create(invocation.Flags.RequireId("create"), CreateOptionsOf(invocation, acceptsTerminal: false));
        return 0;
    });

    internal static Command Run() => new("run", "[flags] <id>", "make and start a container",
        [
            .. BundleFlags,
            new("detach", FlagKind.Switch, "return when the container was started", 'd'),
            new("keep", FlagKind.Switch, "do not delete the container when it has ended"),
            new("no-subreaper", FlagKind.Switch, "do not collect orphans of the container"),
        ],
        invocation =>
        {
            SelfProtection.Ensure(invocation.CommandLine);
            var id = invocation.Flags.RequireId("run");
            var detach = invocation.Flags.Has("detach");
            var runtime = invocation.Runtime;
            if (!detach && !invocation.Flags.Has("no-subreaper")) _ = ProcessCalls.Prctl(Prctl.PR_SET_CHILD_SUBREAPER, 1);
            using var init = runtime.Run(id, CreateOptionsOf(invocation, acceptsTerminal: !detach));
            if (detach) return 0;
            var status = Foreground.Wait(init);
            if (!invocation.Flags.Has("keep")) runtime.Delete(id, force: true);
            return status.ShellCode;
        });

    internal static Command Start() => new("start", "<id>", "execute the program of a created container", [], invocation =>
    {
        invocation.Runtime.Start(invocation.Flags.RequireId("start"));
        return 0;
    });

    internal static Command Kill() => new("kill", "[flags] <id> [signal]", "send a signal to init, SIGTERM unless another is named",
        [new("all", FlagKind.Switch, "send it to every process of the container", 'a')],
        invocation =>
        {
            var id = invocation.Flags.RequireId("kill");
            var signal = SignalName.Parse(invocation.Flags.Arguments.Count > 1 ? invocation.Flags.Arguments[1] : "SIGTERM");
            invocation.Runtime.Kill(id, signal, invocation.Flags.Has("all"));
            return 0;
        });

    internal static Command Delete() => new("delete", "[flags] <id>", "remove a container",
        [new("force", FlagKind.Switch, "kill it first where it runs", 'f')],
        invocation =>
        {
            invocation.Runtime.Delete(invocation.Flags.RequireId("delete"), invocation.Flags.Has("force"));
            return 0;
        });

    internal static CreateOptions CreateOptionsOf(Invocation invocation, bool acceptsTerminal) => new()
    {
        Bundle = invocation.Flags.Get("bundle") ?? Environment.CurrentDirectory,
        ConsoleSocket = invocation.Flags.Get("console-socket") is { Length: > 0 } path ? path : null,
        AcceptsTerminal = acceptsTerminal,
        PidFile = invocation.Flags.Get("pid-file") is { Length: > 0 } file ? file : null,
        NoPivot = invocation.Flags.Has("no-pivot"),
        NoNewKeyring = invocation.Flags.Has("no-new-keyring"),
        ExtraDescriptors = Descriptors.Preserved(invocation.Flags),
        ExtraEnvironment = Descriptors.ListenEnvironment(),
    };
}
