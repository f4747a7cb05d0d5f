using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Linux.Syscalls;
using Hull.Runtime;

namespace Hull.RuntimeCli.CommandLine;

/// <summary>A command: its name, its flags, and what it does.</summary>
internal sealed record Command(string Name, string Usage, string Help, IReadOnlyList<Flag> Flags, Func<Invocation, int> Run)
{
    /// <summary>Whether flags end at the second argument, because what follows is another program's command line.</summary>
    internal bool TakesProgram { get; init; }

    /// <summary>What it exits with where no better code fits; exec has 255, which no program it starts is likely to have.</summary>
    internal int FailureCode { get; init; } = 1;
}

/// <summary>One call of the program: global flags, the command's flags, and the runtime they ask for.</summary>
internal sealed class Invocation(FlagSet global, FlagSet flags, IReadOnlyList<string> commandLine)
{
    internal static readonly IReadOnlyList<Flag> GlobalFlags =
    [
        new("debug", FlagKind.Switch, "log each step"),
        new("log", FlagKind.Value, "file that gets debug lines and warnings in place of stderr, and errors besides"),
        new("log-format", FlagKind.Value, "text or json"),
        new("root", FlagKind.Value, "directory of the containers' state"),
        new("criu", FlagKind.Value, "the criu of checkpoint and restore, looked up in $PATH unless it is a path"),
        new("systemd-cgroup", FlagKind.Switch, "let systemd make cgroups; cgroupsPath is slice:prefix:name"),
        new("cgroup-manager", FlagKind.Value, "cgroupfs or systemd"),
        new("rootless", FlagKind.Value, "true, false or auto"),
        new("help", FlagKind.Switch, "show help", 'h'),
        new("version", FlagKind.Switch, "print the version", 'v'),
    ];

    internal FlagSet Global { get; } = global;

    internal FlagSet Flags { get; } = flags;

    internal IReadOnlyList<string> CommandLine { get; } = commandLine;

    internal ContainerRuntime Runtime => new(new RuntimeOptions
    {
        Root = Path.GetFullPath(Global.Get("root") ?? DefaultRoot),
        CgroupDriver = Global.Has("systemd-cgroup") || Global.Get("cgroup-manager") == "systemd" ? CgroupDriver.Systemd : CgroupDriver.Cgroupfs,
        Rootless = Global.Get("rootless") switch
        {
            null or "auto" => null,
            "true" or "1" => true,
            "false" or "0" => false,
            var other => throw HullException.Invalid($"--rootless: '{other}' is neither true, false nor auto"),
        },
        Debug = Global.Has("debug") ? message => Report("debug", message) : null,
        Warn = message => Report("warning", message),
    });

    /// <summary>Says something that is no error, in the log if there is one, else on stderr.</summary>
    private void Report(string level, string message)
    {
        var isJson = Global.Get("log-format") == "json";
        if (Global.Get("log") is { Length: > 0 } path) Output.Log(path, isJson, level, message, TimeProvider.System);
        else Output.WriteError(Output.Line(isJson, level, message, TimeProvider.System));
    }

    private static string DefaultRoot =>
        ProcessCalls.GetEffectiveUser() != 0 && Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } directory
            ? directory + "/hull-runtime"
            : "/run/hull-runtime";
}
