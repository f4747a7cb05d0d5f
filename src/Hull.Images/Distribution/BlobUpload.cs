using System.Net;
using System.Net.Http.Headers;
using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Distribution;

/// <summary>
/// Sends one blob (distribution-spec, "Pushing blobs"): POST opens a session, one PUT carries everything. Where the
/// connection breaks, the session says how much arrived and a PATCH carries the rest; where the registry finds one
/// request too large (413), chunks do.
/// </summary>
internal sealed class BlobUpload(RegistryClient client, Descriptor descriptor, Func<long, Stream> open, string scope, IProgress<long>? sent)
{
    private Uri _session = null!;
    private long _offset;
    private long _chunk = long.MaxValue;

    private string What => $"push of blob {descriptor.Digest.Short}";

    /// <summary><paramref name="start"/> is where sessions are opened, or a session that is open already.</summary>
    public async Task RunAsync(Uri start, CancellationToken cancellation)
    {
        var origin = new Uri(start.GetLeftPart(UriPartial.Path));
        var isOpen = !origin.AbsolutePath.EndsWith("/blobs/uploads/", StringComparison.Ordinal);
        if (isOpen) _session = start;
        for (var failures = 0; ;)
        {
            try
            {
                if (!isOpen) await OpenAsync(start, cancellation).ConfigureAwait(false);
                isOpen = true;
                var before = _offset;
                if (await SendAsync(cancellation).ConfigureAwait(false)) return;
                if (_offset > before) failures = 0;
            }
            catch (HullException error) when (error.Kind == ErrorKind.Unavailable && failures + 1 < client.Options.Attempts)
            {
                await Task.Delay(client.Backoff(++failures), cancellation).ConfigureAwait(false);
                isOpen = await AskOffsetAsync(cancellation).ConfigureAwait(false);
            }
        }
    }

    private async Task OpenAsync(Uri start, CancellationToken cancellation)
    {
        using var response = await client.ExpectAsync(new RegistryRequest(HttpMethod.Post, start, scope) { Content = _ => new ByteArrayContent([]) },
            What, cancellation, HttpStatusCode.Accepted).ConfigureAwait(false);
        _offset = 0;
        Follow(response, start);
        if (_chunk != long.MaxValue && response.Headers.TryGetValues("OCI-Chunk-Min-Length", out var values) && long.TryParse(values.First(), out var least))
            _chunk = Math.Max(_chunk, least);
    }

    /// <summary>Sends the next piece, or with the last one finishes; answers whether the blob is there.</summary>
    private async Task<bool> SendAsync(CancellationToken cancellation)
    {
        var left = descriptor.Size - _offset;
        // Only an upload from the start may be one PUT: many registries lose a body that comes with a closing PUT later on.
        var whole = _offset == 0 && left <= _chunk;
        if (!whole && left > 0)
        {
            await PatchAsync(Math.Min(left, _chunk), cancellation).ConfigureAwait(false);
            return false;
        }

        var digest = "digest=" + Uri.EscapeDataString(descriptor.Digest.ToString());
        var address = new UriBuilder(_session) { Query = _session.Query.Length > 1 ? _session.Query[1..] + "&" + digest : digest };
        using var response = await client.SendAsync(Body(HttpMethod.Put, address.Uri, whole ? left : 0), cancellation).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestEntityTooLarge && whole && left > client.Options.ChunkSize)
        {
            _chunk = client.Options.ChunkSize;
            return false;
        }

        if (response.StatusCode is HttpStatusCode.Created or HttpStatusCode.NoContent or HttpStatusCode.OK) return true;
        throw await FailureAsync(response, cancellation).ConfigureAwait(false);
    }

    private async Task PatchAsync(long count, CancellationToken cancellation)
    {
        using var response = await client.SendAsync(Body(HttpMethod.Patch, _session, count), cancellation).ConfigureAwait(false);
        if (response.StatusCode is HttpStatusCode.Accepted or HttpStatusCode.NoContent or HttpStatusCode.Created)
        {
            _offset += count;
            Follow(response, _session);
            return;
        }

        throw await FailureAsync(response, cancellation).ConfigureAwait(false);
    }

    private RegistryRequest Body(HttpMethod method, Uri address, long count) => new(method, address, scope)
    {
        Repeatable = count == 0,
        Content = moved =>
        {
            var content = new UploadContent(() => open(_offset), count, position =>
            {
                moved();
                sent?.Report(_offset + position);
            });
            content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
            if (method == HttpMethod.Patch) content.Headers.TryAddWithoutValidation("Content-Range", $"{_offset}-{_offset + count - 1}");
            return content;
        },
    };

    /// <summary>Asks the session how much arrived; false where it is gone and a new one is needed.</summary>
    private async Task<bool> AskOffsetAsync(CancellationToken cancellation)
    {
        if (_session is null) return false;
        using var response = await client.SendAsync(new RegistryRequest(HttpMethod.Get, _session, scope), cancellation).ConfigureAwait(false);
        if (response.StatusCode is not (HttpStatusCode.NoContent or HttpStatusCode.Accepted or HttpStatusCode.OK)) return false;
        if (!response.Headers.TryGetValues("Range", out var values)) return false;
        var range = values.First();
        var dash = range.LastIndexOf('-');
        if (dash < 0 || !long.TryParse(range.AsSpan(dash + 1), out var last) || last < 0 || last >= descriptor.Size) return false;
        // '0-0' is both nothing and one byte, as the specification has it: nothing is the safe reading.
        if (last == 0) return false;
        _offset = last + 1;
        Follow(response, _session);
        return true;
    }

    private void Follow(HttpResponseMessage response, Uri from)
    {
        if (response.Headers.Location is { } location) _session = new Uri(from, location);
        else if (_session is null) throw HullException.Corrupted($"{What}: registry {client.Endpoint.Domain} names no place to upload to");
    }

    private async Task<HullException> FailureAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var failure = await client.FailureAsync(response, What, cancellation).ConfigureAwait(false);
        // 416: registry and client disagree how much arrived; asking for the offset again settles it.
        return response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable || RegistryClient.IsPassing(response.StatusCode)
            ? new HullException(ErrorKind.Unavailable, failure.Message)
            : failure;
    }
}

/// <summary>A part of a blob as the body of a request, read while it is sent.</summary>
internal sealed class UploadContent(Func<Stream> open, long count, Action<long> moved) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (count == 0) return;
        await using var source = open();
        var buffer = new byte[256 << 10];
        for (var position = 0L; position < count;)
        {
            var read = await source.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, count - position)), cancellationToken).ConfigureAwait(false);
            if (read == 0) throw HullException.Corrupted("the blob to push ends before its size");
            await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            position += read;
            moved(position);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = count;
        return true;
    }
}
