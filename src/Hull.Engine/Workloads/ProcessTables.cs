using System.Globalization;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Engine.Workloads;

/// <summary>The table of ps(1), reduced to some processes. The program is the host's; nothing runs inside the workload.</summary>
internal static class ProcessTables
{
    private const string DefaultArguments = "-ef";

    public static ProcessTable Read(string arguments, IReadOnlyList<int> pids)
    {
        var words = (arguments.Length == 0 ? DefaultArguments : arguments).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Any(word => word.Any(c => char.IsControl(c)))) throw HullException.Invalid("ps arguments must not contain control characters");
        ProcessResult result;
        try
        {
            result = ChildProcess.Run(new ChildProcessOptions("ps", words), timeout: TimeSpan.FromSeconds(10));
        }
        catch (HullException error) when (error.Kind == ErrorKind.CommandNotFound)
        {
            throw HullException.Unsupported("top needs the program ps on the host: install procps");
        }

        if (!result.Status.Succeeded) throw HullException.Invalid($"ps: {result.ErrorText.Trim().Split('\n')[0]}");
        return Parse(result.OutputText, pids.ToHashSet());
    }

    internal static ProcessTable Parse(string output, HashSet<int> pids)
    {
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0) throw HullException.Internal("ps printed nothing");
        var titles = lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var column = Array.IndexOf(titles, "PID");
        if (column < 0) throw HullException.Invalid("couldn't find PID field in ps output: ask for it, as -o pid does");
        var rows = new List<IReadOnlyList<string>>();
        foreach (var line in lines.Skip(1))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < titles.Length || !int.TryParse(fields[column], CultureInfo.InvariantCulture, out var pid) || !pids.Contains(pid)) continue;
            // The last column is the command line, which may contain spaces.
            rows.Add([.. fields[..(titles.Length - 1)], string.Join(' ', fields[(titles.Length - 1)..])]);
        }

        return new ProcessTable(titles, rows);
    }
}
