using System.Buffers.Binary;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Cli.Containers;

/// <summary><c>hull logs</c>.</summary>
internal sealed class LogsVerb : Verb
{
    private bool follow;
    private bool timestamps;
    private bool details;
    private string? since;
    private string? until;
    private string tail = "all";

    public override string Usage => "logs [options] CONTAINER";

    public override void Define(FlagSet flags) => flags
        .Switch("follow", 'f', "go on with what comes", v => follow = v)
        .Switch("timestamps", 't', "show when each line was written", v => timestamps = v)
        .Switch("details", null, "show the fields recorded with each line", v => details = v)
        .Value("since", null, "time", "lines from then on: 10m, 2026-01-31T12:00:00Z", v => since = v)
        .Value("until", null, "time", "lines before then", v => until = v)
        .Value("tail", 'n', "lines", "the last so many", v => tail = v);

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        var query = $"/containers/{Uri.EscapeDataString(call.Arguments[0])}/logs?stdout=1&stderr=1&follow={Bit(follow)}&timestamps={Bit(timestamps)}&details={Bit(details)}&tail={Uri.EscapeDataString(tail)}"
            + (since is null ? "" : "&since=" + Uri.EscapeDataString(since)) + (until is null ? "" : "&until=" + Uri.EscapeDataString(until));
        using var answer = call.Engine.Send("GET", query);
        using var output = Console.OpenStandardOutput();
        using var error = Console.OpenStandardError();
        if (answer.Header("Content-Type") == "application/vnd.docker.multiplexed-stream") Frames.Copy(answer.Content, output, error);
        else answer.Content.CopyTo(output);
        return 0;
    }

    private static int Bit(bool value) => value ? 1 : 0;
}

/// <summary>Takes the two output streams of one connection apart.</summary>
internal static class Frames
{
    public static void Copy(Stream source, Stream output, Stream error)
    {
        Span<byte> header = stackalloc byte[8];
        var buffer = new byte[32 * 1024];
        while (source.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(header[4..]);
            if (length < 0) throw HullException.Internal("the engine's stream cannot be read: a frame has no length");
            var target = header[0] is 2 or 3 ? error : output;
            while (length > 0)
            {
                var count = source.Read(buffer.AsSpan(0, Math.Min(length, buffer.Length)));
                if (count == 0) return;
                target.Write(buffer, 0, count);
                length -= count;
            }

            target.Flush();
        }
    }
}
