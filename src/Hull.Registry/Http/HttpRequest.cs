namespace Hull.Registry.Http;

/// <summary>A request whose head has been read. The body is read by whoever handles it.</summary>
public sealed class HttpRequest(string method, string path, IReadOnlyDictionary<string, string> query, HttpHeaders headers, RequestBody body)
{
    public string Method { get; } = method;

    /// <summary>The path of the target, percent-decoded.</summary>
    public string Path { get; } = path;

    /// <summary>The parameters of the target's query, decoded; of a repeated one the first.</summary>
    public IReadOnlyDictionary<string, string> Query { get; } = query;

    public HttpHeaders Headers { get; } = headers;

    public RequestBody Body { get; } = body;

    /// <summary>Whether only the head of the answer is wanted.</summary>
    public bool IsHead => Method == "HEAD";

    /// <summary>Whether the request came over TLS.</summary>
    public bool IsTls { get; init; }
}

/// <summary>The body of a request, to be read once from front to end.</summary>
public abstract class RequestBody
{
    /// <summary>Bytes announced by Content-Length; null for a chunked body.</summary>
    public abstract long? Length { get; }

    /// <summary>Reads some bytes; 0 is the end. Throws <see cref="IOException"/> where the client went away before it.</summary>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation);

    public static RequestBody None { get; } = new EmptyBody();

    private sealed class EmptyBody : RequestBody
    {
        public override long? Length => 0;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation) => ValueTask.FromResult(0);
    }
}
