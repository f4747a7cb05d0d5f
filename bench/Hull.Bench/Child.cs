using System.Diagnostics;
using Hull.Linux.Processes;

namespace Hull.Bench;

/// <summary>Starts programs with as little around them as possible.</summary>
internal static class Child
{
    /// <summary>
    /// The most memory a run had, in MiB. A process begins with the peak of the one it was spawned from, which here is a
    /// large one; time(1) starts it from a small one.
    /// </summary>
    internal static double Peak(string program, params string[] arguments)
    {
        var result = ChildProcess.Run(new ChildProcessOptions("/usr/bin/time", ["-f", "peak %M", program, .. arguments])).RequireSuccess();
        var line = result.ErrorText.Split('\n').Last(text => text.StartsWith("peak ", StringComparison.Ordinal));
        return double.Parse(line["peak ".Length..]) / 1024;
    }

    internal static double Run(string program, params string[] arguments)
    {
        var started = Stopwatch.GetTimestamp();
        using var child = ChildProcess.Start(new ChildProcessOptions(program, arguments));
        return Collect(child, started, program, arguments);
    }

    /// <summary>Starts all and waits for all; the time until the last ended.</summary>
    internal static double RunAll(string program, IEnumerable<string[]> runs)
    {
        var started = Stopwatch.GetTimestamp();
        var children = runs.Select(arguments => (arguments, child: ChildProcess.Start(new ChildProcessOptions(program, arguments)))).ToList();
        foreach (var (arguments, child) in children)
        {
            Collect(child, started, program, arguments);
            child.Dispose();
        }

        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static double Collect(ChildProcess child, long started, string program, string[] arguments)
    {
        var status = child.Wait();
        var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return status.Succeeded ? elapsed : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {status}");
    }
}
