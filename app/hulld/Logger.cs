using System.Text;
using System.Text.Json;
using Hull.Core;

namespace Hull.Daemon;

/// <summary>
/// Lines on standard error. As text they begin with the priority that systemd reads (sd-daemon(3)) when systemd
/// reads them; as JSON each is an object.
/// </summary>
internal sealed class Logger(TimeProvider clock)
{
    private static readonly string[] Levels = ["debug", "info", "warn", "error"];
    private readonly Stream output = Console.OpenStandardError();
    private readonly Lock turn = new();
    private readonly bool journal = Environment.GetEnvironmentVariable("JOURNAL_STREAM") is { Length: > 0 };
    private int minimum = 1;
    private bool json;

    public void Configure(DaemonConfig config)
    {
        var level = config.Debug ? "debug" : config.LogLevel ?? "info";
        minimum = Array.IndexOf(Levels, level);
        if (minimum < 0) throw HullException.Invalid($"invalid log level '{level}': expected debug, info, warn or error");
        json = config.LogFormat switch
        {
            null or "" or "text" => false,
            "json" => true,
            var other => throw HullException.Invalid($"invalid log format '{other}': expected text or json"),
        };
    }

    public void Debug(string message) => Write(0, message);

    public void Info(string message) => Write(1, message);

    public void Warn(string message) => Write(2, message);

    public void Error(string message) => Write(3, message);

    /// <summary>Takes a line that may begin with its level and a colon, as components write them.</summary>
    public void Line(string line)
    {
        for (var level = 0; level < Levels.Length; level++)
        {
            if (line.StartsWith(Levels[level] + ": ", StringComparison.Ordinal))
            {
                Write(level, line[(Levels[level].Length + 2)..]);
                return;
            }
        }

        Info(line);
    }

    private void Write(int level, string message)
    {
        if (level < minimum) return;
        var line = json ? Json(level, message) : Text(level, message);
        lock (turn)
        {
            try
            {
                output.Write(line);
            }
            catch (IOException)
            {
                // Whoever read the log is gone; the engine goes on.
            }
        }
    }

    private byte[] Text(int level, string message)
    {
        var text = message.ReplaceLineEndings(" | ");
        if (journal) return Encoding.UTF8.GetBytes($"<{level switch { 0 => 7, 1 => 6, 2 => 4, _ => 3 }}>{text}\n");
        return Encoding.UTF8.GetBytes($"{clock.GetUtcNow():yyyy-MM-dd'T'HH:mm:ss.fff'Z'} {Levels[level],-5} {text}\n");
    }

    private byte[] Json(int level, string message)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("time", clock.GetUtcNow());
            writer.WriteString("level", Levels[level]);
            writer.WriteString("msg", message);
            writer.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }
}
