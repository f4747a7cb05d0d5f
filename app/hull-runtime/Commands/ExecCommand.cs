using Hull.Core;
using Hull.Oci.Runtime;
using Hull.Runtime;
using Hull.Runtime.Specs;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>exec: a further process in a container.</summary>
internal static class ExecCommand
{
    internal static Command Create() => new("exec", "[flags] <id> <program> [arguments] | exec --process <file> <id>", "start a process in a container",
        [
            new("console-socket", FlagKind.Value, "unix socket that is sent the terminal's master"),
            new("cwd", FlagKind.Value, "working directory in the container"),
            new("env", FlagKind.List, "a variable, NAME=value", 'e'),
            new("tty", FlagKind.Switch, "give it a terminal", 't'),
            new("user", FlagKind.Value, "user and group ids, uid[:gid]", 'u'),
            new("additional-gids", FlagKind.List, "a further group id", 'g'),
            new("process", FlagKind.Value, "file with the process as JSON", 'p'),
            new("detach", FlagKind.Switch, "return when it was started", 'd'),
            new("pid-file", FlagKind.Value, "file that gets its pid"),
            new("process-label", FlagKind.Value, "its SELinux label"),
            new("apparmor", FlagKind.Value, "its AppArmor profile"),
            new("no-new-privs", FlagKind.Switch, "set no_new_privs"),
            new("cap", FlagKind.List, "a capability it gets besides the container's", 'c'),
            new("preserve-fds", FlagKind.Value, "hand on this many descriptors after stderr"),
            new("cgroup", FlagKind.List, "a cgroup below the container's, or [controllers]:cgroup"),
            new("ignore-paused", FlagKind.Switch, "allow it in a paused container"),
        ],
        Run) { TakesProgram = true, FailureCode = 255 };

    private static int Run(Invocation invocation)
    {
        SelfProtection.Ensure(invocation.CommandLine);
        var flags = invocation.Flags;
        var id = flags.RequireId("exec");
        var runtime = invocation.Runtime;
        var given = flags.Get("process") is { Length: > 0 } file ? SpecReader.ReadProcess(file) : null;
        var detach = flags.Has("detach");
        using var started = runtime.Exec(id, spec => given ?? FromFlags(flags, id, spec), new ExecOptions
        {
            ConsoleSocket = flags.Get("console-socket") is { Length: > 0 } path ? path : null,
            AcceptsTerminal = !detach,
            PidFile = flags.Get("pid-file") is { Length: > 0 } pidFile ? pidFile : null,
            ExtraDescriptors = Descriptors.Preserved(flags),
            Subgroups = flags.GetAll("cgroup"),
            IgnorePaused = flags.Has("ignore-paused"),
        });
        return detach ? 0 : Foreground.Wait(started).ShellCode;
    }

    /// <summary>The container's own process with what the flags change.</summary>
    private static ProcessSpec FromFlags(FlagSet flags, string id, Spec spec)
    {
        var container = spec.Process ?? throw HullException.Invalid($"container {id} has no process to take the defaults from");
        var arguments = flags.Arguments.Skip(1).ToList();
        if (arguments is ["--", ..]) arguments.RemoveAt(0);
        if (arguments.Count == 0) throw HullException.Invalid("exec: the program is missing");
        return container with
        {
            Args = arguments,
            Terminal = flags.Has("tty"),
            ConsoleSize = null,
            Cwd = flags.Get("cwd") ?? container.Cwd,
            Env = [.. container.Env ?? [], .. flags.GetAll("env")],
            User = UserOf(flags, container.User ?? new UserSpec()),
            NoNewPrivileges = flags.Has("no-new-privs") || container.NoNewPrivileges,
            SelinuxLabel = flags.Get("process-label") ?? container.SelinuxLabel,
            ApparmorProfile = flags.Get("apparmor") ?? container.ApparmorProfile,
            Capabilities = WithCapabilities(container.Capabilities, flags.GetAll("cap")),
        };
    }

    private static UserSpec UserOf(FlagSet flags, UserSpec container)
    {
        var user = container;
        if (flags.Get("user") is { Length: > 0 } text)
        {
            var colon = text.IndexOf(':');
            user = user with
            {
                Uid = Number(colon < 0 ? text : text[..colon], "--user"),
                Gid = colon < 0 ? user.Gid : Number(text[(colon + 1)..], "--user"),
            };
        }

        var groups = flags.GetAll("additional-gids");
        return groups.Count == 0 ? user : user with { AdditionalGids = [.. groups.Select(group => Number(group, "--additional-gids"))] };
    }

    private static CapabilitiesSpec? WithCapabilities(CapabilitiesSpec? container, IReadOnlyList<string> added)
    {
        if (added.Count == 0) return container;
        var own = container ?? new CapabilitiesSpec();
        return own with
        {
            Bounding = [.. own.Bounding ?? [], .. added],
            Effective = [.. own.Effective ?? [], .. added],
            Permitted = [.. own.Permitted ?? [], .. added],
        };
    }

    private static uint Number(string text, string flag) =>
        uint.TryParse(text, System.Globalization.NumberStyles.None, null, out var value) ? value : throw HullException.Invalid($"{flag}: '{text}' is not a numeric id");
}
