using System.Buffers;
using System.Globalization;
using Hull.Core;
using Hull.Registry.Http;
using Hull.Registry.Storage;

namespace Hull.Registry.Handlers;

/// <summary>Pushing blobs: in one request, in chunks, or by mounting (distribution-spec, "Pushing blobs").</summary>
internal sealed class UploadHandler(RepositoryStore store, UploadSessions sessions, Func<HttpRequest, string, bool> mayPull)
{
    /// <summary>Bytes taken from the connection before they are hashed and written.</summary>
    private const int BufferSize = 256 << 10;

    public async Task<HttpResponse> StartAsync(string repository, HttpRequest request, CancellationToken cancellation)
    {
        if (request.Query.TryGetValue("mount", out var mount) && Digest.TryParse(mount, out var wanted)
            && request.Query.TryGetValue("from", out var from) && ImageReference.IsPath(from)
            && mayPull(request, from) && await MountAsync(repository, from, wanted, cancellation).ConfigureAwait(false))
            return Created(repository, wanted);

        var upload = sessions.Begin(repository);
        if (!request.Query.TryGetValue("digest", out var digest)) return Progress(202, upload);
        using var turn = await EnterAsync(upload, cancellation).ConfigureAwait(false);
        return await FinishAsync(upload, digest, request, cancellation).ConfigureAwait(false);
    }

    public async Task<HttpResponse> PatchAsync(string repository, string id, HttpRequest request, CancellationToken cancellation)
    {
        var upload = Find(repository, id);
        using var turn = await EnterAsync(upload, cancellation).ConfigureAwait(false);
        if (!RangeFits(request, upload)) return Progress(416, upload);
        await ReceiveAsync(upload, request, cancellation).ConfigureAwait(false);
        return Progress(202, upload);
    }

    public async Task<HttpResponse> PutAsync(string repository, string id, HttpRequest request, CancellationToken cancellation)
    {
        var upload = Find(repository, id);
        if (!request.Query.TryGetValue("digest", out var digest)) throw RegistryError.DigestInvalid("the upload ends without a digest");
        using var turn = await EnterAsync(upload, cancellation).ConfigureAwait(false);
        if (!RangeFits(request, upload)) return Progress(416, upload);
        return await FinishAsync(upload, digest, request, cancellation).ConfigureAwait(false);
    }

    public async Task<HttpResponse> StatusAsync(string repository, string id, CancellationToken cancellation)
    {
        var upload = Find(repository, id);
        using var turn = await EnterAsync(upload, cancellation).ConfigureAwait(false);
        return Progress(204, upload);
    }

    public async Task<HttpResponse> CancelAsync(string repository, string id, CancellationToken cancellation)
    {
        var upload = Find(repository, id);
        using var turn = await EnterAsync(upload, cancellation).ConfigureAwait(false);
        sessions.End(upload, abandon: true);
        return new HttpResponse(204);
    }

    private UploadSessions.Upload Find(string repository, string id) => sessions.Find(repository, id) ?? throw RegistryError.UploadUnknown(id);

    private static async Task<IDisposable> EnterAsync(UploadSessions.Upload upload, CancellationToken cancellation) =>
        await upload.EnterAsync(cancellation).ConfigureAwait(false) ?? throw RegistryError.UploadInvalid("another request is writing to this upload", 409);

    private async Task<bool> MountAsync(string repository, string from, Digest digest, CancellationToken cancellation)
    {
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        if (!store.HasBlob(from, digest)) return false;
        store.LinkBlob(repository, digest);
        return true;
    }

    private async Task<HttpResponse> FinishAsync(UploadSessions.Upload upload, string text, HttpRequest request, CancellationToken cancellation)
    {
        if (!Digest.TryParse(text, out var digest))
        {
            sessions.End(upload, abandon: true);
            throw RegistryError.DigestInvalid("the digest cannot be read: expected sha256: and 64 hexadecimal digits");
        }

        // The disk is waited for when a manifest makes an image of it: until then a client that lost it sends it again.
        store.Content.Unflushed.MarkBlob(digest);
        await ReceiveAsync(upload, request, cancellation).ConfigureAwait(false);
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        try
        {
            upload.Writer.Commit(digest, flush: false);
            store.LinkBlob(upload.Repository, digest);
        }
        catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted)
        {
            sessions.End(upload, abandon: true);
            throw RegistryError.DigestInvalid(error.Message);
        }

        sessions.End(upload, abandon: false);
        return Created(upload.Repository, digest);
    }

    /// <summary>Takes the body. What arrived before a connection broke stays, for the client to go on from.</summary>
    private static async Task ReceiveAsync(UploadSessions.Upload upload, HttpRequest request, CancellationToken cancellation)
    {
        if (request.Body.Length == 0) return;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        var filled = 0;
        try
        {
            int count;
            while ((count = await request.Body.ReadAsync(buffer.AsMemory(filled, BufferSize - filled), cancellation).ConfigureAwait(false)) > 0)
            {
                filled += count;
                if (filled < BufferSize) continue;
                upload.Writer.Write(buffer.AsSpan(0, filled));
                filled = 0;
            }
        }
        finally
        {
            if (filled > 0) upload.Writer.Write(buffer.AsSpan(0, filled));
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Whether a chunk continues exactly where the upload stands (distribution-spec, "Pushing a blob in chunks").</summary>
    private static bool RangeFits(HttpRequest request, UploadSessions.Upload upload)
    {
        if (request.Headers["Content-Range"] is not { } header) return true;
        var text = header.StartsWith("bytes ", StringComparison.OrdinalIgnoreCase) ? header.AsSpan(6) : header.AsSpan();
        if (text.IndexOf('/') is var slash and >= 0) text = text[..slash];
        var dash = text.IndexOf('-');
        if (dash <= 0 || !long.TryParse(text[..dash], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            || !long.TryParse(text[(dash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var last))
            throw RegistryError.UploadInvalid("Content-Range cannot be read: expected FIRST-LAST");
        if (request.Body.Length is { } length && last - first + 1 != length) throw RegistryError.SizeInvalid("Content-Range and Content-Length differ");
        return first == upload.Writer.Offset;
    }

    private static HttpResponse Progress(int status, UploadSessions.Upload upload) => new HttpResponse(status)
        .With("Location", $"/v2/{upload.Repository}/blobs/uploads/{upload.Id}")
        // The specification has no way to say 'nothing yet': 0-0 it is.
        .With("Range", string.Create(CultureInfo.InvariantCulture, $"0-{Math.Max(0, upload.Writer.Offset - 1)}"))
        .With("Docker-Upload-UUID", upload.Id);

    private static HttpResponse Created(string repository, Digest digest) => new HttpResponse(201)
        .With("Location", $"/v2/{repository}/blobs/{digest}")
        .With("Docker-Content-Digest", digest.ToString());
}
