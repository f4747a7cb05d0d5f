using Hull.Core;
using Hull.RuntimeCli.CommandLine;
using Hull.RuntimeCli.Commands;

namespace Hull.RuntimeCli;

/// <summary>The OCI runtime: a drop-in for runc's command line.</summary>
internal static class Program
{
    /// <summary>What the program is called by: runc where a link of that name leads to it.</summary>
    internal static string Name { get; } = Environment.GetCommandLineArgs() is [{ Length: > 0 } path, ..] ? Path.GetFileName(path) : "hull-runtime";

    internal static int Main(string[] arguments)
    {
        FlagSet? global = null;
        var failureCode = 1;
        try
        {
            global = FlagSet.Parse(Name, Invocation.GlobalFlags, arguments, 0, stopAtArgument: true);
            if (global.Has("version") || global.Arguments is ["version", ..]) return Help.Version();
            if (global.Has("help") || global.Arguments.Count == 0 || global.Arguments[0] is "help" or "h") return Help.Global();
            var command = CommandTable.Find(global.Arguments[0]);
            failureCode = command.FailureCode;
            var flags = ParseCommand(command, global.Arguments);
            if (flags.Has("help")) return Help.Of(command);
            return command.Run(new Invocation(global, flags, [Name, .. arguments]));
        }
        catch (HullException error)
        {
            var code = ErrorMapping.ToExitCode(error.Kind);
            return Fail(global, error.FullMessage, code == 1 ? failureCode : code);
        }
        catch (Exception error)
        {
            // A defect; callers parse one line, not a stack trace.
            return Fail(global, $"internal error: {error.GetType().Name}: {error.Message.ReplaceLineEndings(" ")}", failureCode);
        }
    }

    private static FlagSet ParseCommand(Command command, List<string> arguments)
    {
        IReadOnlyList<Flag> known = [.. command.Flags, new Flag("help", FlagKind.Switch, "show help", 'h')];
        if (!command.TakesProgram) return FlagSet.Parse(command.Name, known, arguments, 1, stopAtArgument: false);

        // exec [flags] <id> [flags] <program> [its own flags]: the id is one argument, and the rest is the program's.
        var flags = FlagSet.Parse(command.Name, known, arguments, 1, stopAtArgument: true);
        return flags;
    }

    private static int Fail(FlagSet? global, string message, int exitCode)
    {
        Output.WriteError(Output.TextLine("error", message, TimeProvider.System));
        if (global?.Get("log") is { Length: > 0 } path) Output.Log(path, global.Get("log-format") == "json", "error", message, TimeProvider.System);
        return exitCode;
    }
}
