using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Hull.Registry.Http;

/// <summary>Serves the requests of one connection, one after the other.</summary>
internal sealed class HttpConnection(Socket socket, Stream stream, bool isTls, HttpHandler handler, BlobSender blobs, HttpLimits limits, TimeProvider clock)
{
    /// <summary>An unread rest of a body up to here is read away; a longer one costs the connection.</summary>
    private const int MaximumDrain = 256 << 10;

    private long _deadline = clock.GetTimestamp() + limits.Ticks(limits.IdleTimeout, clock);

    /// <summary>When the file that is being sent must have arrived.</summary>
    private long _latest = long.MaxValue;

    /// <summary>Whether nothing has moved for too long, or too little for too long.</summary>
    public bool IsOverdue => clock.GetTimestamp() is var now && (now > Volatile.Read(ref _deadline) || now > Volatile.Read(ref _latest));

    /// <summary>Breaks whatever the connection waits for.</summary>
    public void Abort() => socket.Dispose();

    public async Task RunAsync(CancellationToken cancellation)
    {
        var reader = new ConnectionReader(stream, Touch);
        while (await ServeOneAsync(reader, cancellation).ConfigureAwait(false) && !cancellation.IsCancellationRequested) Touch();
    }

    private void Touch() => Volatile.Write(ref _deadline, clock.GetTimestamp() + limits.Ticks(limits.IdleTimeout, clock));

    /// <summary>Answers one request; false where the connection is to be closed.</summary>
    private async Task<bool> ServeOneAsync(ConnectionReader reader, CancellationToken cancellation)
    {
        HeadParser.Head? head;
        try
        {
            head = await ReadHeadAsync(reader, cancellation).ConfigureAwait(false);
            if (head is null) return false;
        }
        catch (BadRequestException error)
        {
            await SendAsync(Plain(error), isHead: false, keepAlive: false, cancellation).ConfigureAwait(false);
            return false;
        }

        var body = Body(head, reader);
        var request = new HttpRequest(head.Method, head.Path, head.Query, head.Headers, body) { IsTls = isTls };
        HttpResponse response;
        var keepAlive = head.KeepAlive;
        try
        {
            response = await handler(request, cancellation).ConfigureAwait(false);
        }
        catch (BadRequestException error)
        {
            (response, keepAlive) = (Plain(error), false);
        }

        using (response)
        {
            // An answer before the body was asked for: the client need not send it, but may have begun to.
            keepAlive = keepAlive && (head.ExpectsContinue && !_continued && body.Length != 0 ? false : await DrainAsync(body, cancellation).ConfigureAwait(false));
            await SendAsync(response, request.IsHead, keepAlive, cancellation).ConfigureAwait(false);
        }

        return keepAlive;
    }

    private bool _continued;

    private async ValueTask<HeadParser.Head?> ReadHeadAsync(ConnectionReader reader, CancellationToken cancellation)
    {
        while (true)
        {
            var end = HeadParser.FindEnd(reader.Buffered);
            if (end >= 0)
            {
                var head = HeadParser.Parse(reader.Buffered[..end]);
                reader.Take(end);
                return head;
            }

            // A client that begins with TLS waits for an answer for ever unless it is told at once.
            if (reader.Buffered.Length > 0 && !char.IsAsciiLetterUpper((char)reader.Buffered[0])) throw new BadRequestException(400, "plain HTTP is spoken here");
            if (reader.IsFull) throw new BadRequestException(431, "the head of the request is too long");
            if (await reader.FillAsync(cancellation).ConfigureAwait(false)) continue;
            return null;
        }
    }

    private RequestBody Body(HeadParser.Head head, ConnectionReader reader)
    {
        _continued = false;
        if (head.ContentLength == 0) return RequestBody.None;
        async ValueTask Begin(CancellationToken cancellation)
        {
            _continued = true;
            if (head.ExpectsContinue) await stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), cancellation).ConfigureAwait(false);
        }

        return head.Chunked ? new ChunkedBody(reader, Begin) : new LengthBody(reader, head.ContentLength!.Value, Begin);
    }

    private static async ValueTask<bool> DrainAsync(RequestBody body, CancellationToken cancellation)
    {
        if (body.Length is 0) return true;
        try
        {
            var buffer = new byte[16 << 10];
            for (var drained = 0; drained < MaximumDrain;)
            {
                var count = await body.ReadAsync(buffer, cancellation).ConfigureAwait(false);
                if (count == 0) return true;
                drained += count;
            }
        }
        catch (BadRequestException)
        {
        }

        return false;
    }

    private async Task SendAsync(HttpResponse response, bool isHead, bool keepAlive, CancellationToken cancellation)
    {
        var head = Head(response, keepAlive);
        Touch();
        if (isHead || response.Length == 0)
        {
            await stream.WriteAsync(head, cancellation).ConfigureAwait(false);
        }
        else if (response.File is { } file)
        {
            Volatile.Write(ref _latest, clock.GetTimestamp() + limits.Ticks(limits.IdleTimeout + TimeSpan.FromSeconds(file.Count / limits.SlowestRate), clock));
            await blobs.SendAsync(stream, isTls ? null : socket, head, file, Touch, cancellation).ConfigureAwait(false);
            Volatile.Write(ref _latest, long.MaxValue);
        }
        else if (response.Feed is { } feed)
        {
            await stream.WriteAsync(head, cancellation).ConfigureAwait(false);
            await feed(new TouchingStream(stream, Touch), cancellation).ConfigureAwait(false);
        }
        else
        {
            await stream.WriteAsync((byte[])[.. head.Span, .. response.Bytes.Span], cancellation).ConfigureAwait(false);
        }

        await stream.FlushAsync(cancellation).ConfigureAwait(false);
    }

    private static ReadOnlyMemory<byte> Head(HttpResponse response, bool keepAlive)
    {
        var text = new StringBuilder(512);
        text.Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {response.Status} {Reason(response.Status)}\r\n");
        // 204 and 304 have no body and no length (RFC 9110, 8.6).
        if (response.Status is not (204 or 304)) text.Append(CultureInfo.InvariantCulture, $"Content-Length: {response.Length}\r\n");
        if (!keepAlive) text.Append("Connection: close\r\n");
        foreach (var (name, value) in response.Headers.Fields)
        {
            // Whatever came from a client into a header must not end the line and begin another.
            text.Append(name).Append(": ").Append(value.AsSpan().ContainsAny('\r', '\n') ? "" : value).Append("\r\n");
        }

        return Encoding.ASCII.GetBytes(text.Append("\r\n").ToString());
    }

    private static HttpResponse Plain(BadRequestException error) =>
        new HttpResponse(error.Status) { Bytes = Encoding.UTF8.GetBytes(error.Message + "\n") }.With("Content-Type", "text/plain; charset=utf-8");

    private static string Reason(int status) => status switch
    {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
}
