using System.Text;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Runtime.Resources;

/// <summary>What <c>ps</c> prints.</summary>
public static class ProcessListing
{
    /// <summary>A JSON array of pids.</summary>
    public static string Json(IReadOnlyList<int> processes) => processes.Count == 0 ? "[]" : $"[{string.Join(',', processes)}]";

    /// <summary>Lines of the host's ps(1) with these arguments (none is -ef) that are of these processes, below its heading.</summary>
    public static string Table(IReadOnlyList<int> processes, IReadOnlyList<string> arguments)
    {
        IReadOnlyList<string> options = arguments.Count == 0 ? ["-ef"] : arguments;
        var output = ChildProcess.Run(new ChildProcessOptions("ps", options)).RequireSuccess().OutputText;
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var heading = lines.Length > 0 ? Fields(lines[0]) : [];
        var column = Array.IndexOf(heading, "PID");
        if (column < 0) throw HullException.Invalid("ps prints no column PID with these options: add -o pid");
        var text = new StringBuilder(lines[0]).Append('\n');
        foreach (var line in lines.AsSpan(1))
        {
            var fields = Fields(line);
            if (fields.Length > column && int.TryParse(fields[column], out var pid) && processes.Contains(pid)) text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    private static string[] Fields(string line) => line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
}
