using System.Runtime.Versioning;
using Hull.Linux.Terminals;

namespace Hull.Cli.Verbs;

/// <summary>Raw mode of the terminal that this program runs in, on each system in its own way.</summary>
internal static class TerminalMode
{
    public static bool IsInputTerminal => !Console.IsInputRedirected;

    /// <summary>Enters raw mode; disposing restores. Null where standard input is no terminal.</summary>
    public static IDisposable? EnterRaw()
    {
        if (!IsInputTerminal) return null;
        if (OperatingSystem.IsLinux()) return RawTerminal.Enter(0);
        return OperatingSystem.IsWindows() ? new ConsoleKeys() : new SttyMode();
    }

    /// <summary>Columns and rows; zeros where there is no terminal.</summary>
    public static (int Columns, int Rows) Size()
    {
        if (Console.IsOutputRedirected) return (0, 0);
        try
        {
            return (Console.WindowWidth, Console.WindowHeight);
        }
        catch (IOException)
        {
            return (0, 0);
        }
    }

    /// <summary>On Windows the console gives Ctrl+C as a key once it is asked to.</summary>
    [SupportedOSPlatform("windows")]
    private sealed class ConsoleKeys : IDisposable
    {
        private readonly bool before = Console.TreatControlCAsInput;

        public ConsoleKeys() => Console.TreatControlCAsInput = true;

        public void Dispose() => Console.TreatControlCAsInput = before;
    }

    /// <summary>On macOS and the BSDs termios differs from system to system; stty(1) knows it.</summary>
    private sealed class SttyMode : IDisposable
    {
        public SttyMode() => Run("raw", "-echo");

        public void Dispose() => Run("sane");

        private static void Run(params string[] arguments)
        {
            // Hull.Linux.Processes is not there on these systems.
#pragma warning disable RS0030
            using var process = System.Diagnostics.Process.Start("stty", arguments);
            process.WaitForExit();
#pragma warning restore RS0030
        }
    }
}
