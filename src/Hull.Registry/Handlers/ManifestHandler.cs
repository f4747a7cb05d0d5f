using Hull.Core;
using Hull.Images.Content;
using Hull.Oci.Image;
using Hull.Registry.Http;
using Hull.Registry.Storage;

namespace Hull.Registry.Handlers;

/// <summary>GET, HEAD, PUT and DELETE of manifests and tags (distribution-spec, "Pulling manifests", "Pushing Manifests").</summary>
internal sealed class ManifestHandler(RepositoryStore store)
{
    public async Task<HttpResponse> GetAsync(string repository, string name, HttpRequest request, CancellationToken cancellation)
    {
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        if (Find(repository, name) is not { } found) throw Unknown(repository, name);
        return BlobHandler.File(store.Content.OpenRead(found.Digest).SafeFileHandle, found.Digest, request, found.MediaType);
    }

    public async Task<HttpResponse> PutAsync(string repository, string name, HttpRequest request, CancellationToken cancellation)
    {
        var bytes = await ReadAsync(request, cancellation).ConfigureAwait(false);
        var document = Parse(bytes, request.Headers["Content-Type"]);
        var tag = ImageReference.IsTag(name) ? name : null;
        var digest = document.Digest;
        if (tag is null)
        {
            digest = BlobHandler.ParseDigest(name);
            using var hash = new ContentHash(digest.Algorithm);
            hash.Append(bytes);
            if (hash.Current() != digest) throw RegistryError.DigestInvalid($"the manifest has the digest {hash.Current()}, it was pushed as {digest}");
        }

        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        CheckBlobs(repository, document);
        foreach (var child in document.Children) store.Content.Unflushed.FlushBlob(child.Digest);
        using (var lease = store.Content.Leases.Begin()) Store(bytes, digest, lease);
        store.LinkManifest(repository, document, digest, tag);
        var response = new HttpResponse(201)
            .With("Location", $"/v2/{repository}/manifests/{digest}")
            .With("Docker-Content-Digest", digest.ToString());
        return document.Subject is { } subject ? response.With("OCI-Subject", subject.Digest.ToString()) : response;
    }

    public async Task<HttpResponse> DeleteAsync(string repository, string name, CancellationToken cancellation)
    {
        using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
        var deleted = Digest.TryParse(name, out var digest) ? store.DeleteManifest(repository, digest) : store.DeleteTag(repository, name);
        return deleted ? new HttpResponse(202) : throw Unknown(repository, name);
    }

    /// <summary>The digest and media type a tag or digest stands for in a repository.</summary>
    public (Digest Digest, string MediaType)? Find(string repository, string name)
    {
        if (!Digest.TryParse(name, out var digest))
        {
            if (store.Tag(repository, name) is not { } tagged) return null;
            digest = tagged;
        }

        return store.ManifestType(repository, digest) is { Length: > 0 } type && store.Content.Contains(digest) ? (digest, type) : null;
    }

    private RegistryError Unknown(string repository, string name) =>
        store.Exists(repository) ? RegistryError.ManifestUnknown(name) : RegistryError.NameUnknown(repository);

    /// <summary>A manifest comes after its blobs. An index may name manifests that are not here: mirrors of one platform do so.</summary>
    private void CheckBlobs(string repository, ImageDocument document)
    {
        if (document.Manifest is not { } manifest) return;
        foreach (var child in document.Children)
        {
            if (MediaTypes.IsForeign(child.MediaType) && !ReferenceEquals(child, manifest.Config)) continue;
            if (!store.HasBlob(repository, child.Digest)) throw RegistryError.ManifestBlobUnknown(child.Digest.ToString());
        }
    }

    private void Store(byte[] bytes, Digest digest, Lease lease)
    {
        if (store.Content.Contains(digest)) return;
        using var ingest = store.Content.BeginIngest("manifest-" + RandomId.Short(RandomId.New()), lease);
        ingest.Write(bytes);
        ingest.Commit(digest, bytes.Length);
    }

    private static ImageDocument Parse(byte[] bytes, string? contentType)
    {
        try
        {
            var semicolon = contentType?.IndexOf(';', StringComparison.Ordinal) ?? -1;
            return ImageDocument.Parse(bytes, semicolon < 0 ? contentType?.Trim() : contentType![..semicolon].Trim());
        }
        catch (HullException error)
        {
            throw RegistryError.ManifestInvalid(error.FullMessage);
        }
    }

    private static async Task<byte[]> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (request.Body.Length > ImageDocument.MaxSize) throw TooLarge();
        var bytes = new byte[(int)(request.Body.Length ?? 64 << 10) + 1];
        for (var count = 0; ;)
        {
            var read = await request.Body.ReadAsync(bytes.AsMemory(count), cancellation).ConfigureAwait(false);
            if (read == 0) return bytes[..count];
            count += read;
            if (count > ImageDocument.MaxSize) throw TooLarge();
            if (count == bytes.Length) Array.Resize(ref bytes, bytes.Length * 2);
        }
    }

    private static RegistryError TooLarge() => new(413, "MANIFEST_INVALID", $"the manifest is larger than {ImageDocument.MaxSize} bytes");
}
