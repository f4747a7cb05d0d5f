using Hull.Cli;
using Hull.Cli.Verbs;
using Hull.Core;

try
{
    RegistryCommand.TryServe(args);
    return Dispatcher.Run(AllVerbs.Get(), args);
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
