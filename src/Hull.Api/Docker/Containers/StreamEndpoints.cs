using System.Buffers;
using System.Globalization;
using System.Text;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Logs;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>The standard streams of containers: attach and logs.</summary>
internal sealed class StreamEndpoints(IHullEngine engine, TimeProvider clock, OutputsUnderWay outputs)
{
    public void Map(Router router) => router
        .Post("containers/{id}/attach", AttachAsync)
        .Get("containers/{id}/logs", LogsAsync);

    private async Task AttachAsync(ApiRequest request)
    {
        var workload = await engine.Workloads.InspectAsync(request["id"], false, request.Disconnected).ConfigureAwait(false);
        var streams = Selection(request);
        var stream = request.Flag("stream");
        var attach = new AttachRequest(streams, request.Flag("logs"), stream, request.Query("detachKeys") is { Length: > 0 } keys ? keys : null);
        // Errors found here still get a status of their own; after the hijack there is only the stream.
        await using var attachment = await engine.Workloads.AttachAsync(workload.Id, attach, CancellationToken.None).ConfigureAwait(false);
        var type = ContentType(request, attachment.Terminal);
        await using var connection = await request.HijackAsync(type).ConfigureAwait(false);
        var pump = StreamPump.RunAsync(connection, attachment, framed: !attachment.Terminal, stream && streams.HasFlag(StreamSelection.Input));
        await outputs.CarryAsync(workload.Id, pump).ConfigureAwait(false);
    }

    private async Task LogsAsync(ApiRequest request)
    {
        var streams = Selection(request) & (StreamSelection.Output | StreamSelection.Error);
        if (streams == 0) throw HullException.Invalid("Bad parameters: you must choose at least one stream");
        var now = clock.GetUtcNow();
        var query = new LogQuery
        {
            Streams = streams,
            Follow = request.Flag("follow"),
            Tail = Tail(request.Query("tail")),
            Since = Timestamps.Parse(request.Query("since"), now),
            Until = Timestamps.Parse(request.Query("until"), now),
        };
        var workload = await engine.Workloads.InspectAsync(request["id"], false, request.Disconnected).ConfigureAwait(false);
        var format = new LogFormat(!workload.Config.Process.Terminal, request.Flag("timestamps"), request.Flag("details"));
        await using var entries = engine.Workloads.LogsAsync(workload.Id, query, request.Disconnected).GetAsyncEnumerator(request.Disconnected);
        var type = ContentType(request, workload.Config.Process.Terminal);
        await WriteLogAsync(request, entries, format, type).ConfigureAwait(false);
    }

    private static async Task WriteLogAsync(ApiRequest request, IAsyncEnumerator<LogEntry> entries, LogFormat format, string type)
    {
        var writer = request.Response.BodyWriter;
        while (true)
        {
            var next = entries.MoveNextAsync();
            if (!next.IsCompleted)
            {
                // Nothing more for now: what there is must be seen, and the header at least.
                if (!request.HasStarted) await request.StartStreamAsync(type).ConfigureAwait(false);
                await writer.FlushAsync(request.Disconnected).ConfigureAwait(false);
            }

            if (!await next.ConfigureAwait(false)) break;
            if (!request.HasStarted) await request.StartStreamAsync(type).ConfigureAwait(false);
            format.Write(writer, entries.Current);
            if (writer.UnflushedBytes > 64 * 1024) await writer.FlushAsync(request.Disconnected).ConfigureAwait(false);
        }

        if (!request.HasStarted) await request.StartStreamAsync(type).ConfigureAwait(false);
        await writer.FlushAsync(request.Disconnected).ConfigureAwait(false);
    }

    internal static string ContentType(ApiRequest request, bool terminal) =>
        !terminal && request.Version.IsAtLeast(42) ? StreamFraming.MultiplexedType : StreamFraming.RawType;

    private static StreamSelection Selection(ApiRequest request) =>
        (request.Flag("stdin") ? StreamSelection.Input : 0)
        | (request.Flag("stdout") ? StreamSelection.Output : 0)
        | (request.Flag("stderr") ? StreamSelection.Error : 0);

    /// <summary>A number of lines; anything else means all, as it does to dockerd.</summary>
    private static long? Tail(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lines) ? lines : null;
}

/// <summary>How a log entry is put on the wire.</summary>
/// <param name="Framed">In a frame that names its stream.</param>
/// <param name="Timestamps">With its time before it.</param>
/// <param name="Details">With its attributes before it.</param>
internal sealed record LogFormat(bool Framed, bool Timestamps, bool Details)
{
    public void Write(IBufferWriter<byte> writer, in LogEntry entry)
    {
        var prefix = Timestamps || Details ? Encoding.UTF8.GetBytes(Prefix(entry)) : [];
        var count = prefix.Length + entry.Bytes.Length;
        var size = count + (Framed ? StreamFraming.HeaderSize : 0);
        var span = writer.GetSpan(size);
        if (Framed)
        {
            StreamFraming.WriteHeader(span, (byte)entry.Stream, count);
            span = span[StreamFraming.HeaderSize..];
        }

        prefix.CopyTo(span);
        entry.Bytes.Span.CopyTo(span[prefix.Length..]);
        writer.Advance(size);
    }

    private string Prefix(in LogEntry entry)
    {
        var text = new StringBuilder();
        if (Timestamps)
        {
            // Nine decimals always, so that lines sort; the clock itself has seven.
            text.Append(entry.At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff", CultureInfo.InvariantCulture)).Append("00Z ");
        }

        if (Details)
        {
            text.AppendJoin(',', (entry.Attributes ?? new Dictionary<string, string>()).Select(a => Uri.EscapeDataString(a.Key) + "=" + Uri.EscapeDataString(a.Value)));
            text.Append(' ');
        }

        return text.ToString();
    }
}
