using System.Globalization;

namespace Hull.Engine.Machines;

/// <summary>When a process started: with its number, what tells it from any other since boot (proc_pid_stat(5), field 22).</summary>
internal static class ProcessStart
{
    /// <summary>Clock ticks since boot; null where there is no such process, or only a zombie of it.</summary>
    public static ulong? Of(int processId)
    {
        string text;
        try
        {
            text = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"));
        }
        catch (IOException)
        {
            return null;
        }

        // The name in parentheses may hold anything, so what is counted stands after the last one that closes.
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return fields[0] is "Z" or "X" ? null : ulong.Parse(fields[19], CultureInfo.InvariantCulture);
    }
}
