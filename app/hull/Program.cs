using System.CommandLine;
using Hull.Cli;
using Hull.Cli.Images;
using Hull.Cli.Verbs;
using Hull.Core;

// Each area lists its commands in its own file. Only the command that was asked for is built: a tree of all
// of them would cost more time than a whole `hull run`.
CommandEntry[] entries =
[
];

try
{
    RegistryCommand.TryServe(args);
    if (Dispatcher.TryRun([.. EngineVerbs.All(), .. ImageVerbs.All(), RegistryCommand.Entry], args) is { } code) return code;
    var command = CommandLine.Build(entries, args);
    return await command.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }).ConfigureAwait(false);
}
catch (HullException error)
{
    Terminal.PrintError(error);
    return ErrorMapping.ToExitCode(error.Kind);
}
catch (OperationCanceledException)
{
    return ErrorMapping.ToExitCode(ErrorKind.Cancelled);
}
catch (IOException error)
{
    // The reader of our output went away, or a connection broke: neither deserves a stack trace.
    Terminal.PrintError(error.Message);
    return 1;
}
finally
{
    Terminal.Flush();
}
