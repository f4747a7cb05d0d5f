using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Client.Http;
using Hull.Client.Transports;
using Hull.Core;

namespace Hull.Client;

/// <summary>
/// Speaks to an engine: one blocking request at a time over one connection that is kept while it can be.
/// It starts no threads and builds no pools, because its main user is a program that lives for milliseconds.
/// Not safe for use from several threads at once.
/// </summary>
/// <param name="endpoint">The engine.</param>
/// <param name="dialer">How to connect to an engine on this machine; null for the way that works on every system.</param>
public sealed class EngineClient(EngineEndpoint endpoint, LocalDialer? dialer = null) : IDisposable
{
    /// <summary>The API version asked for: the newest one whose every field hulld serves.</summary>
    public const string ApiVersion = "1.51";

    private Connection? idle;
    private HttpReader? idleReader;

    public EngineEndpoint Endpoint { get; } = endpoint;

    /// <summary>GET, with the answer decoded.</summary>
    public T Get<T>(string path, JsonTypeInfo<T> type) => Decode(Send("GET", path), type);

    /// <summary>POST of an object, with the answer decoded.</summary>
    public TAnswer Post<TBody, TAnswer>(string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answerType) =>
        Decode(Send("POST", path, JsonSerializer.SerializeToUtf8Bytes(body, bodyType)), answerType);

    /// <summary>A request whose answer is of no interest beyond its status.</summary>
    /// <param name="method">HTTP method.</param>
    /// <param name="path">Path and query, as <paramref name="raw"/> says.</param>
    /// <param name="body">JSON, or empty.</param>
    /// <param name="raw">Whether the path is used as it is, without version prefix.</param>
    public void Call(string method, string path, ReadOnlyMemory<byte> body = default, bool raw = false)
    {
        using var answer = Send(method, path, body, raw: raw);
        Drain(answer.Content);
    }

    /// <summary>
    /// Sends a request and reads the header of the answer. A status of 400 or more is thrown as
    /// <see cref="HullException"/> with the engine's message; 304 is returned to the caller.
    /// </summary>
    /// <param name="method">HTTP method.</param>
    /// <param name="path">Path and query without version prefix, starting with a slash.</param>
    /// <param name="body">JSON, or empty.</param>
    /// <param name="headers">Further headers.</param>
    /// <param name="raw">Whether the path is used as it is, without version prefix.</param>
    public Answer Send(string method, string path, ReadOnlyMemory<byte> body = default, (string Name, string Value)[]? headers = null, bool raw = false)
    {
        var fresh = idle is null;
        try
        {
            return SendOnce(method, path, body, headers, raw);
        }
        catch (Exception e) when (!fresh && e is IOException or HullException { Kind: ErrorKind.Unavailable })
        {
            // The engine may close a kept connection at any time, as when it restarts: try a fresh one, once.
            return SendOnce(method, path, body, headers, raw);
        }
    }

    /// <summary>Sends a request whose content is written as it is made.</summary>
    public Answer SendStream(string method, string path, Action<Stream> write, string contentType, bool raw = false)
    {
        var connection = Connector.Open(Endpoint, dialer);
        try
        {
            WriteHead(connection.Stream, method, raw ? path : Version(path), null, $"Content-Type: {contentType}\r\nTransfer-Encoding: chunked\r\n");
            var content = new ChunkedStream(connection.Stream);
            try
            {
                write(content);
                content.Finish();
            }
            catch (IOException) when (content.IsBroken)
            {
                // An engine that refuses does not wait for the rest: what it said is there to be read.
            }

            return Receive(connection, new HttpReader(connection.Stream), method);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Sends a request that turns the connection into a byte stream both ways (Docker's hijack).</summary>
    public HijackedStream Hijack(string path, ReadOnlyMemory<byte> body = default, bool raw = false)
    {
        var connection = Connector.Open(Endpoint, dialer);
        try
        {
            WriteRequest(connection.Stream, "POST", raw ? path : Version(path), body, [("Connection", "Upgrade"), ("Upgrade", "tcp")]);
            var reader = new HttpReader(connection.Stream);
            var head = reader.ReadHead();
            if (head.Status >= 400) throw ErrorOf(head, new BodyStream(reader, head, false, _ => { }));
            return new HijackedStream(connection, reader, head);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A connection with nothing sent on it yet, for relaying.</summary>
    /// <param name="finishSending">Ends its sending half while the other goes on.</param>
    public Stream OpenRaw(out Action finishSending)
    {
        var connection = Connector.Open(Endpoint, dialer);
        finishSending = connection.FinishSending;
        return connection.Stream;
    }

    public void Dispose() => idle?.Dispose();

    private Answer SendOnce(string method, string path, ReadOnlyMemory<byte> body, (string, string)[]? headers, bool raw)
    {
        var connection = idle ?? Connector.Open(Endpoint, dialer);
        var reader = idleReader ?? new HttpReader(connection.Stream);
        (idle, idleReader) = (null, null);
        try
        {
            WriteRequest(connection.Stream, method, raw ? path : Version(path), body, headers);
            return Receive(connection, reader, method);
        }
        catch
        {
            // An answer without content gave the connection back before it was found to be an error.
            (idle, idleReader) = (null, null);
            connection.Dispose();
            throw;
        }
    }

    private Answer Receive(Connection connection, HttpReader reader, string method)
    {
        var head = reader.ReadHead();
        while (head.Status is >= 100 and < 200) head = reader.ReadHead();
        var content = new BodyStream(reader, head, method == "HEAD", reusable => Release(connection, reader, reusable && head["Connection"] != "close"));
        if (head.Status >= 400) throw ErrorOf(head, content);
        return new Answer(head, content);
    }

    private void Release(Connection connection, HttpReader reader, bool reusable)
    {
        if (!reusable || idle is not null) connection.Dispose();
        else (idle, idleReader) = (connection, reader);
    }

    private void WriteRequest(Stream stream, string method, string path, ReadOnlyMemory<byte> body, (string, string)[]? headers)
    {
        var length = body.Length > 0
            ? $"Content-Type: application/json\r\nContent-Length: {body.Length.ToString(CultureInfo.InvariantCulture)}\r\n"
            : method is "GET" or "HEAD" ? "" : "Content-Length: 0\r\n";
        WriteHead(stream, method, path, headers, length, body.Span);
    }

    private void WriteHead(Stream stream, string method, string path, (string Name, string Value)[]? headers, string content, ReadOnlySpan<byte> body = default)
    {
        var head = new StringBuilder(256);
        head.Append(method).Append(' ').Append(path).Append(" HTTP/1.1\r\nHost: hull\r\nUser-Agent: hull\r\n");
        if (Endpoint.Token is { } token) head.Append("Authorization: Bearer ").Append(token).Append("\r\n");
        foreach (var (name, value) in headers ?? []) head.Append(name).Append(": ").Append(value).Append("\r\n");
        head.Append(content).Append("\r\n");
        var text = Encoding.Latin1.GetBytes(head.ToString());
        // One write, so that a small request is one packet.
        var message = new byte[text.Length + body.Length];
        text.CopyTo(message, 0);
        body.CopyTo(message.AsSpan(text.Length));
        stream.Write(message);
        stream.Flush();
    }

    private static string Version(string path) => "/v" + ApiVersion + path;

    private static T Decode<T>(Answer answer, JsonTypeInfo<T> type)
    {
        using (answer)
        {
            try
            {
                return JsonSerializer.Deserialize(answer.Content, type) ?? throw HttpReader.Malformed("it is empty");
            }
            catch (JsonException e)
            {
                throw HullException.Internal("the engine's answer cannot be read", e);
            }
            finally
            {
                Drain(answer.Content);
            }
        }
    }

    private static void Drain(Stream content)
    {
        var scratch = new byte[1024];
        while (content.Read(scratch, 0, scratch.Length) > 0)
        {
            // Read to its end, so that the connection can be used again.
        }
    }

    private static HullException ErrorOf(HttpHead head, Stream content)
    {
        var text = new StreamReader(content).ReadToEnd();
        var message = text;
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("message", out var value))
                message = value.GetString() ?? text;
        }
        catch (JsonException)
        {
            // Not JSON: something else than an engine answered; its text is what there is to show.
        }

        if (message.Trim().Length == 0) message = $"the engine answered with status {head.Status} and no reason";
        return new HullException(ErrorMapping.FromHttpStatus(head.Status), message.Trim());
    }
}
