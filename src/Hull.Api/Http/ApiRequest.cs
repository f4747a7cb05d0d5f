using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Core;
using Hull.Protocol;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace Hull.Api.Http;

/// <summary>One request on its way through the API: what was asked, and the ways to answer.</summary>
public sealed class ApiRequest
{
    /// <summary>No JSON document of the API comes near this; a bigger one is refused.</summary>
    private const int MaximumDocument = 16 * 1024 * 1024;

    /// <summary>A document that is not there by then does not come any more.</summary>
    private static readonly TimeSpan DocumentPatience = TimeSpan.FromSeconds(60);

    private readonly HttpContext context;
    private CancellationTokenSource? disconnected;
    private HijackedConnection? hijacked;

    internal ApiRequest(HttpContext context) => this.context = context;

    public string Method => context.Request.Method;

    /// <summary>Path without the version, without slashes at its ends.</summary>
    public string Path { get; internal set; } = "";

    /// <summary>The API version the client speaks.</summary>
    public ApiVersion Version { get; internal set; } = ApiVersion.Newest;

    /// <summary>What the path's placeholders stand for.</summary>
    public IReadOnlyDictionary<string, string> Values { get; internal set; } = new Dictionary<string, string>();

    /// <summary>Who asks and what they may do.</summary>
    public AccessScope Access { get; internal set; } = AccessScope.Full;

    public HttpResponse Response => context.Response;

    public Stream Body => context.Request.Body;

    public bool HasStarted => context.Response.HasStarted;

    internal HttpContext Context => context;

    /// <summary>Holds the caller to its label; null for callers without one.</summary>
    internal ScopeGuard? Guard { get; set; }

    internal ApiListener? Listener => context.Features.Get<ApiListener>();

    internal bool Hijacked { get; private set; }

    /// <summary>Whether the answer goes on for as long as what it follows.</summary>
    internal bool IsStream { get; private set; }

    /// <summary>
    /// Cancelled when the client has gone or the server stops. For requests whose connection becomes a byte stream,
    /// use the stream's own.
    /// </summary>
    public CancellationToken Disconnected
    {
        get
        {
            if (disconnected is not null) return disconnected.Token;
            var input = context.Features.Get<ConnectionInput>()?.Ended ?? CancellationToken.None;
            disconnected = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, input);
            return disconnected.Token;
        }
    }

    /// <summary>The value of a placeholder.</summary>
    public string this[string placeholder] => Values[placeholder];

    /// <summary>A header, or null.</summary>
    public string? Header(string name) => context.Request.Headers[name] is { Count: > 0 } values ? values[0] : null;

    /// <summary>A query parameter, or null where it is absent.</summary>
    public string? Query(string name) => context.Request.Query.TryGetValue(name, out var values) ? values[0] : null;

    /// <summary>All values of a repeated query parameter.</summary>
    public IReadOnlyList<string> QueryAll(string name) =>
        context.Request.Query.TryGetValue(name, out var values) ? [.. values.Where(v => v is not null).Cast<string>()] : [];

    /// <summary>A switch as the API reads it: absent, empty, 0, no, false and none are off.</summary>
    public bool Flag(string name, bool absent = false) => Query(name) is not { } text
        ? absent
        : text.Trim().ToLowerInvariant() is not ("" or "0" or "no" or "false" or "none");

    /// <summary>A whole number; throws where the parameter is something else.</summary>
    public long? Number(string name)
    {
        var text = Query(name);
        if (string.IsNullOrEmpty(text)) return null;
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw HullException.Invalid($"invalid value '{text}' for {name}: expected a whole number");
    }

    /// <summary>The <c>filters</c> parameter.</summary>
    public FilterArguments Filters()
    {
        var filters = FilterArguments.Parse(Query("filters"));
        return Access.Label is { } label ? filters.With("label", label) : filters;
    }

    /// <summary>Whether there is content to read.</summary>
    public bool HasBody => context.Request.ContentLength is > 0 || context.Request.Headers.TransferEncoding.Count > 0;

    /// <summary>Reads a JSON document; an absent one is <paramref name="absent"/>, or an error where that is null.</summary>
    public async Task<T> ReadJsonAsync<T>(JsonTypeInfo<T> type, T? absent = null) where T : class
    {
        if (!HasBody) return await AbsentAsync(absent).ConfigureAwait(false);
        var content = await ReadAllAsync().ConfigureAwait(false);
        if (content.Length == 0) return await AbsentAsync(absent).ConfigureAwait(false);
        try
        {
            var body = JsonSerializer.Deserialize(content.Span, type) ?? absent ?? throw HullException.Invalid("the request's body is null");
            if (Guard is not null) await Guard.AdmitAsync(content, body).ConfigureAwait(false);
            return body;
        }
        catch (JsonException e)
        {
            throw HullException.Invalid("the request's body cannot be read", e);
        }
        catch (InvalidOperationException e)
        {
            // A value of another type than the converter of a list expects.
            throw HullException.Invalid("the request's body cannot be read", e);
        }
    }

    /// <summary>Reads and discards what is left of the content.</summary>
    public async Task DrainAsync()
    {
        if (HasBody) await Body.CopyToAsync(Stream.Null, Disconnected).ConfigureAwait(false);
    }

    public Task WriteJsonAsync<T>(T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(value, type);
        return WriteAsync(content, "application/json", status);
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> content, string contentType, int status = StatusCodes.Status200OK)
    {
        Response.StatusCode = status;
        Response.ContentType = contentType;
        Response.ContentLength = content.Length;
        if (Method == "HEAD") return;
        await Response.BodyWriter.WriteAsync(content).ConfigureAwait(false);
    }

    /// <summary>Answers with a status alone.</summary>
    public void Status(int status) => Response.StatusCode = status;

    /// <summary>Sends the header now, before any content is known.</summary>
    public async Task StartStreamAsync(string contentType)
    {
        IsStream = true;
        Response.StatusCode = StatusCodes.Status200OK;
        Response.ContentType = contentType;
        await Response.StartAsync().ConfigureAwait(false);
        await Response.BodyWriter.FlushAsync().ConfigureAwait(false);
    }

    /// <summary>
    /// Turns the connection into a byte stream, with 101 where the client asked for an upgrade, else with 200. Kestrel
    /// knows upgrades only for requests without content, and exec starts with one; so the header is written here.
    /// </summary>
    public async Task<HijackedConnection> HijackAsync(string contentType, params (string Name, string Value)[] headers)
    {
        await DrainAsync().ConfigureAwait(false);
        var transport = context.Features.Get<IConnectionTransportFeature>()?.Transport as GatedTransport
            ?? throw HullException.Internal("the connection has no transport to take over");
        Hijacked = IsStream = true;
        foreach (var (name, value) in headers) Response.Headers[name] = value;
        Response.ContentType = contentType;
        var upgrade = context.Request.Headers.Upgrade.Count > 0;
        Response.Headers.Connection = upgrade ? "Upgrade" : "close";
        if (upgrade) Response.Headers.Upgrade = "tcp";
        var connection = new HijackedConnection(new DuplexStream(transport.Inner), context.Features.Get<IConnectionSocketFeature>()?.Socket);
        hijacked = connection;
        await connection.WriteHeadAsync(Response, upgrade ? "101 UPGRADED" : "200 OK").ConfigureAwait(false);
        // Whatever the server would answer when this request ends, the stream has been answer enough.
        transport.Close();
        Response.Headers.Connection = "close";
        return connection;
    }

    private async Task<T> AbsentAsync<T>(T? absent) where T : class
    {
        var body = absent ?? throw HullException.Invalid("the request has no body");
        if (Guard is not null) await Guard.AdmitAsync(default, body).ConfigureAwait(false);
        return body;
    }

    /// <summary>Ends an answer that would go on for as long as what it follows.</summary>
    internal void EndStream()
    {
        hijacked?.End();
        context.Abort();
    }

    internal void Release() => disconnected?.Dispose();

    private async Task<ReadOnlyMemory<byte>> ReadAllAsync()
    {
        var reading = ReadDocumentAsync();
        try
        {
            return reading.IsCompleted ? await reading.ConfigureAwait(false) : await reading.WaitAsync(DocumentPatience, Disconnected).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            Response.Headers.Connection = "close";
            throw new HullException(ErrorKind.Timeout, $"the request's body did not come within {DocumentPatience.TotalSeconds:0} seconds", e);
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadDocumentAsync()
    {
        if (context.Request.ContentLength is > MaximumDocument) throw TooBig();
        using var content = new MemoryStream((int)(context.Request.ContentLength ?? 0));
        var buffer = new byte[8192];
        int count;
        while ((count = await Body.ReadAsync(buffer, Disconnected).ConfigureAwait(false)) > 0)
        {
            if (content.Length + count > MaximumDocument) throw TooBig();
            content.Write(buffer, 0, count);
        }

        return content.GetBuffer().AsMemory(0, (int)content.Length);
    }

    private static HullException TooBig() => HullException.Invalid($"the request's body is too big: at most {MaximumDocument >> 20} MiB");
}
