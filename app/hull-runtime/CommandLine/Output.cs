using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime.Parsing;

namespace Hull.RuntimeCli.CommandLine;

/// <summary>Standard output, standard error and the log file, without the start-up cost of System.Console.</summary>
internal static class Output
{
    internal static void Write(string text) => Write(Encoding.UTF8.GetBytes(text));

    internal static void Write(ReadOnlySpan<byte> bytes)
    {
        using var stdout = SafeFd.Borrow(1);
        stdout.WriteAll(bytes, "the output");
    }

    internal static void WriteError(string text)
    {
        using var stderr = SafeFd.Borrow(2);
        _ = FileCalls.Write(stderr.Value, Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Appends an error to the log as runc does, so that its callers find the reason there.</summary>
    internal static void Log(string path, bool json, string level, string message, TimeProvider clock)
    {
        var line = Encoding.UTF8.GetBytes(Line(json, level, message, clock));
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x1A4);
        if (result < 0) return;
        using var file = new SafeFd((int)result);
        _ = FileCalls.Write(file.Value, line);
    }

    internal static string TextLine(string level, string message, TimeProvider clock) =>
        $"time=\"{clock.GetUtcNow():yyyy-MM-ddTHH:mm:ssZ}\" level={level} msg=\"{message.Replace("\\", "\\\\").Replace("\"", "\\\"")}\"\n";

    internal static string Line(bool json, string level, string message, TimeProvider clock) =>
        json ? JsonLine(level, message, clock) : TextLine(level, message, clock);

    private static string JsonLine(string level, string message, TimeProvider clock) =>
        Encoding.UTF8.GetString(new DocumentWriter().BeginObject().Member("level", level).Member("msg", message)
            .Member("time", clock.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ")).EndObject().ToBytes()) + "\n";
}
