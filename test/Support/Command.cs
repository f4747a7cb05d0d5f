using System.Diagnostics;
using System.Text;

namespace Hull.Testing;

/// <summary>What a finished program left: its exit code and both outputs as text.</summary>
public sealed record CommandResult(string CommandLine, int ExitCode, string Output, string Error, TimeSpan Elapsed)
{
    /// <summary>Fails the test, with everything the program said, unless it ended with 0.</summary>
    public CommandResult Ok() => ExitCode == 0
        ? this
        : throw new InvalidOperationException($"{CommandLine}\nexit code {ExitCode}\nstdout: {Output}\nstderr: {Error}");

    public string Trimmed => Output.Trim();
}

/// <summary>Runs programs the way a user's shell would, with a bound on time, and keeps what they print.</summary>
public static class Command
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(60);

    public static CommandResult Run(string program, params string[] arguments) =>
        Run(program, arguments, null);

    public static CommandResult Shell(string script, TimeSpan? timeout = null) =>
        Run("/bin/sh", ["-c", script], null, timeout);

    public static CommandResult Run(string program, IEnumerable<string> arguments, string? input,
        TimeSpan? timeout = null, IReadOnlyDictionary<string, string?>? environment = null, string? directory = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory ?? "",
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) start.Environment[name] = value;

        var watch = Stopwatch.StartNew();
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        var output = ReadAll(process.StandardOutput);
        var error = ReadAll(process.StandardError);
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();

        var line = program + " " + string.Join(' ', start.ArgumentList);
        if (!process.WaitForExit(timeout ?? DefaultTimeout))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{line}\nstill running after {timeout ?? DefaultTimeout}\nstdout: {output.Text()}\nstderr: {error.Text()}");
        }

        // A daemon the program left behind may hold the pipes open: what was printed by then is what counts.
        Task.WaitAll([output.Done, error.Done], TimeSpan.FromSeconds(2));
        return new CommandResult(line, process.ExitCode, output.Text(), error.Text(), watch.Elapsed);
    }

    private static (Task Done, Func<string> Text) ReadAll(StreamReader reader)
    {
        var text = new StringBuilder();
        var done = Task.Run(() =>
        {
            var buffer = new char[8192];
            int count;
            while ((count = reader.Read(buffer, 0, buffer.Length)) > 0)
            {
                lock (text) text.Append(buffer, 0, count);
            }
        });
        return (done, () => { lock (text) return text.ToString(); });
    }
}
