using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Api.Http;

namespace Hull.Api.Docker;

/// <summary>An answer of JSON documents, one per line, each sent as soon as it is known.</summary>
internal sealed class JsonLines(ApiRequest request) : IAsyncDisposable
{
    private readonly SemaphoreSlim turn = new(1);

    public Task StartAsync(string contentType = "application/json") => request.StartStreamAsync(contentType);

    /// <summary>Writes one document; may be called from several threads.</summary>
    public async Task WriteAsync<T>(T value, JsonTypeInfo<T> type)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(value, type);
        await turn.WaitAsync(request.Disconnected).ConfigureAwait(false);
        try
        {
            var writer = request.Response.BodyWriter;
            var span = writer.GetSpan(line.Length + 2);
            line.CopyTo(span);
            "\r\n"u8.CopyTo(span[line.Length..]);
            writer.Advance(line.Length + 2);
            await writer.FlushAsync(request.Disconnected).ConfigureAwait(false);
        }
        finally
        {
            turn.Release();
        }
    }

    public ValueTask DisposeAsync()
    {
        turn.Dispose();
        return ValueTask.CompletedTask;
    }
}
