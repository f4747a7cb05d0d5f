using System.Globalization;
using Hull.Core;
using Hull.Registry.Http;
using Hull.Registry.Storage;

namespace Hull.Registry.Handlers;

/// <summary>GET, HEAD and DELETE of blobs (distribution-spec, "Pulling blobs", "Deleting Blobs").</summary>
internal sealed class BlobHandler(RepositoryStore store, TimeProvider clock)
{
    public async Task<HttpResponse> GetAsync(string repository, string name, HttpRequest request, CancellationToken cancellation)
    {
        var digest = ParseDigest(name);
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        if (!store.HasBlob(repository, digest)) throw RegistryError.BlobUnknown(digest.ToString());
        // Whoever asks may skip the upload and push a manifest next: the collector is to wait for it.
        if (request.IsHead) store.TouchBlob(repository, digest, clock);
        return File(store.Content.OpenRead(digest).SafeFileHandle, digest, request, "application/octet-stream");
    }

    public async Task<HttpResponse> DeleteAsync(string repository, string name, CancellationToken cancellation)
    {
        var digest = ParseDigest(name);
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        return store.UnlinkBlob(repository, digest) ? new HttpResponse(202) : throw RegistryError.BlobUnknown(digest.ToString());
    }

    public static Digest ParseDigest(string text) =>
        Digest.TryParse(text, out var digest) ? digest : throw RegistryError.DigestInvalid("the digest cannot be read: expected sha256: and 64 hexadecimal digits");

    /// <summary>A stored file, or the range of it that is asked for (RFC 9110, 14).</summary>
    internal static HttpResponse File(Microsoft.Win32.SafeHandles.SafeFileHandle handle, Digest digest, HttpRequest request, string mediaType)
    {
        var size = RandomAccess.GetLength(handle);
        var etag = $"\"{digest}\"";
        if (request.Headers["If-None-Match"] is { } known && known.Contains(etag, StringComparison.Ordinal))
        {
            handle.Dispose();
            return new HttpResponse(304).With("ETag", etag).With("Docker-Content-Digest", digest.ToString());
        }

        var range = request.Headers["Range"] is { } asked && !request.IsHead ? Range(asked, size) : null;
        if (range is { Count: 0 })
        {
            handle.Dispose();
            return new HttpResponse(416).With("Content-Range", $"bytes */{size}");
        }

        var part = range ?? (0, size);
        var response = new HttpResponse(range is null ? 200 : 206) { File = new FileBody(handle, part.From, part.Count) }
            .With("Content-Type", mediaType)
            .With("Docker-Content-Digest", digest.ToString())
            .With("Accept-Ranges", "bytes")
            .With("ETag", etag);
        return range is null ? response : response.With("Content-Range", string.Create(CultureInfo.InvariantCulture, $"bytes {part.From}-{part.From + part.Count - 1}/{size}"));
    }

    /// <summary>One range; null where there is none to be honoured (several, or another unit); a count of 0 where it cannot be satisfied.</summary>
    internal static (long From, long Count)? Range(string header, long size)
    {
        if (!header.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase) || header.Contains(',', StringComparison.Ordinal)) return null;
        var text = header.AsSpan(6).Trim();
        var dash = text.IndexOf('-');
        if (dash < 0) return null;
        var first = text[..dash];
        var last = text[(dash + 1)..];
        if (first.Length == 0)
        {
            if (!Number(last, out var suffix)) return null;
            var length = Math.Min(suffix, size);
            return (size - length, length);
        }

        var to = size - 1;
        if (!Number(first, out var from) || (last.Length > 0 && !Number(last, out to)) || (last.Length > 0 && to < from)) return null;
        return from >= size ? (from, 0) : (from, Math.Min(to, size - 1) - from + 1);
    }

    private static bool Number(ReadOnlySpan<char> text, out long value) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
