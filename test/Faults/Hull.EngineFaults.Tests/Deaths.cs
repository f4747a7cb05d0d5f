using System.Text;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>kill -9 for programs of one engine, found by what their command lines name.</summary>
internal static class Deaths
{
    public static void KillShim(EngineDaemon engine, string id) => Kill(words => words.Length > 1 && Path.GetFileName(words[0]) == "hull-shim" && words[1].EndsWith("/i/" + id[..32], StringComparison.Ordinal)
        && words[1].StartsWith(engine.Path, StringComparison.Ordinal));

    /// <summary>Whatever OCI runtime is at work for this engine now; answers their command lines.</summary>
    public static IReadOnlyList<string> KillRuntimes(EngineDaemon engine) => Kill(words => Path.GetFileName(words[0]) is "hull-runtime" && words.Any(word => word.StartsWith(engine.Path, StringComparison.Ordinal)));

    /// <summary>Processes that name the engine's directory, but for the engine itself.</summary>
    public static IEnumerable<string> Remaining(EngineDaemon engine) =>
        Processes().Where(one => one.Words.Any(word => word.Contains(engine.Path, StringComparison.Ordinal))).Select(one => $"{one.Pid}: {string.Join(' ', one.Words)}");

    private static List<string> Kill(Func<string[], bool> wanted)
    {
        var found = new List<string>();
        foreach (var (pid, words) in Processes())
        {
            if (!wanted(words)) continue;
            found.Add(string.Join(' ', words));
            try
            {
                using var process = System.Diagnostics.Process.GetProcessById(pid);
                process.Kill();
            }
            catch (Exception error) when (error is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It ended on its own.
            }
        }

        return found;
    }

    private static IEnumerable<(int Pid, string[] Words)> Processes()
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var pid)) continue;
            string[] words;
            try
            {
                words = Encoding.UTF8.GetString(File.ReadAllBytes(directory + "/cmdline")).Split('\0');
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                continue;
            }

            if (words[0].Length > 0) yield return (pid, words);
        }
    }
}
