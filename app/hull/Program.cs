using System.CommandLine;
using Hull.Cli;
using Hull.Core;

// Each area lists its commands in its own file. Only the command that was asked for is built: a tree of all
// of them would cost more time than a whole `hull run`.
CommandEntry[] entries =
[
];

try
{
    var command = CommandLine.Build(entries, args);
    return await command.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }).ConfigureAwait(false);
}
catch (HullException error)
{
    Console.Error.WriteLine("hull: " + error.FullMessage);
    return ErrorMapping.ToExitCode(error.Kind);
}
catch (OperationCanceledException)
{
    return ErrorMapping.ToExitCode(ErrorKind.Cancelled);
}
