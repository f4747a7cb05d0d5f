using System.Text;
using Hull.Core;

namespace Hull.Cli.Verbs;

/// <summary>The terminal, if there is one: writers that do not flush per line, colours only where they are seen.</summary>
public static class Terminal
{
    private static TextWriter? output;
    private static TextWriter? error;

    /// <summary>Buffered; the program flushes at its end and before it waits for anything.</summary>
    public static TextWriter Output => output ??= new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 8192) { AutoFlush = false };

    public static TextWriter Error => error ??= new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false), 1024) { AutoFlush = true };

    /// <summary>Whether standard output is a terminal.</summary>
    public static bool IsInteractive => !Console.IsOutputRedirected;

    /// <summary>Whether to colour: on a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb.</summary>
    public static bool UseColor => IsInteractive
        && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
        && Environment.GetEnvironmentVariable("TERM") != "dumb";

    /// <summary>Columns of the terminal; wide where there is none, so that nothing is cut in a file.</summary>
    public static int Width
    {
        get
        {
            try
            {
                return IsInteractive && Console.WindowWidth > 0 ? Console.WindowWidth : 1000;
            }
            catch (IOException)
            {
                return 1000;
            }
        }
    }

    public static string Bold(string text) => Style("1", text);

    public static string Dim(string text) => Style("2", text);

    public static string Red(string text) => Style("31", text);

    public static string Green(string text) => Style("32", text);

    public static string Yellow(string text) => Style("33", text);

    public static void PrintError(HullException failure) => PrintError(failure.FullMessage);

    public static void PrintError(string message) =>
        Error.WriteLine((!Console.IsErrorRedirected && UseColor ? "\e[31mhull:\e[0m " : "hull: ") + message);

    public static void Flush()
    {
        output?.Flush();
        error?.Flush();
    }

    private static string Style(string code, string text) => UseColor ? $"\e[{code}m{text}\e[0m" : text;
}
