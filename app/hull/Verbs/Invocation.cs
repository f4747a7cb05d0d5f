using Hull.Core.CommandLine;
using Hull.Client;
using Hull.Core;

namespace Hull.Cli.Verbs;

/// <summary>What a running verb has at hand: its arguments, the engine and the terminal.</summary>
public sealed class Invocation(IReadOnlyList<string> arguments, Func<EngineEndpoint> endpoint) : IDisposable
{
    private EngineClient? engine;

    /// <summary>What remained after the options.</summary>
    public IReadOnlyList<string> Arguments { get; } = arguments;

    /// <summary>Standard output; <see cref="Terminal"/> says whether it is one.</summary>
    public TextWriter Output => Terminal.Output;

    public TextWriter Error => Terminal.Error;

    /// <summary>Where the engine is; throws where the chosen context does not exist.</summary>
    public EngineEndpoint Endpoint => endpoint();

    /// <summary>The engine, connected at its first request.</summary>
    public EngineClient Engine => engine ??= new EngineClient(endpoint(), LocalSocket.Dialer);

    /// <summary>The argument at a place; throws <see cref="ErrorKind.InvalidArgument"/> naming what is missing.</summary>
    public string Argument(int index, string name) => index < Arguments.Count
        ? Arguments[index]
        : throw HullException.Invalid($"{name} is missing");

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> unless the number of arguments is within the bounds.</summary>
    public void Expect(int minimum, int maximum = int.MaxValue)
    {
        if (Arguments.Count < minimum)
            throw HullException.Invalid(minimum == 1 ? "an argument is missing" : $"{minimum} arguments are needed, {Arguments.Count} given");
        if (Arguments.Count > maximum)
            throw HullException.Invalid($"unexpected argument '{Arguments[maximum]}'");
    }

    /// <summary>
    /// Does something for each argument, prints the argument as done, and goes on after a failure:
    /// the exit code is 1 when any failed.
    /// </summary>
    public int ForEach(Action<string> action, bool print = true)
    {
        Expect(1);
        var code = 0;
        foreach (var argument in Arguments)
        {
            try
            {
                action(argument);
                if (print) Output.WriteLine(argument);
            }
            catch (HullException e)
            {
                Output.Flush();
                Terminal.PrintError(e);
                code = ErrorMapping.ToExitCode(e.Kind);
            }
        }

        return code;
    }

    public void Dispose() => engine?.Dispose();
}
