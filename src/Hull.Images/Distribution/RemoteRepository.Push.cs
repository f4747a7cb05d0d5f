using System.Net;
using System.Net.Http.Headers;
using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Distribution;

public sealed partial class RemoteRepository
{
    /// <summary>Whether the registry itself (not a mirror) has the blob.</summary>
    public async Task<bool> HasBlobAsync(Descriptor descriptor, CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        var request = BlobRequest(client, HttpMethod.Head, descriptor.Digest) with { Scope = PushScope };
        return await ExistsAsync(client, request, $"blob {descriptor.Digest.Short}", cancellation).ConfigureAwait(false);
    }

    /// <summary>Whether the registry itself has the manifest.</summary>
    public async Task<bool> HasManifestAsync(string tagOrDigest, CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        var request = ManifestRequest(client, HttpMethod.Head, tagOrDigest) with { Scope = PushScope };
        return await ExistsAsync(client, request, $"manifest {Name(tagOrDigest)}", cancellation).ConfigureAwait(false);
    }

    /// <summary>
    /// Sends a blob in one piece, and what a broken connection left over in further ones. <paramref name="open"/> opens
    /// the content from an offset. Answers false where another repository's blob was mounted and nothing was sent.
    /// </summary>
    public async Task<bool> PushBlobAsync(Descriptor descriptor, Func<long, Stream> open, IReadOnlyList<ImageReference> mountFrom,
        IProgress<long>? sent = null, CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        var from = mountFrom.Where(other => other.Domain == Reference.Domain && other.Path != Reference.Path).Take(3).ToList();
        foreach (var other in from)
        {
            var (mounted, session) = await MountAsync(client, descriptor, other, cancellation).ConfigureAwait(false);
            if (mounted) return false;
            if (session is null) continue;
            // The registry would not mount and opened an upload instead.
            await new BlobUpload(client, descriptor, open, PushScope, sent).RunAsync(session, cancellation).ConfigureAwait(false);
            return true;
        }

        await new BlobUpload(client, descriptor, open, PushScope, sent).RunAsync(Address(client, "blobs/uploads/"), cancellation).ConfigureAwait(false);
        return true;
    }

    /// <summary>Sends a manifest under a tag or its digest. The registry must take it under the very same digest.</summary>
    public async Task PushManifestAsync(string tagOrDigest, ImageDocument document, CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        var what = $"push of manifest {Name(tagOrDigest)}";
        using var response = await client.ExpectAsync(new RegistryRequest(HttpMethod.Put, Address(client, "manifests/" + tagOrDigest), PushScope)
        {
            Content = _ => new ByteArrayContent(document.Bytes) { Headers = { ContentType = new MediaTypeHeaderValue(document.MediaType) } },
        }, what, cancellation, HttpStatusCode.Created, HttpStatusCode.OK, HttpStatusCode.Accepted).ConfigureAwait(false);
        if (AnnouncedDigest(response) is { } digest && digest != document.Digest && digest.Algorithm == document.Digest.Algorithm)
            throw HullException.Corrupted($"{what}: registry {client.Endpoint.Domain} stored {digest.Short}, expected {document.Digest.Short}");
        // A registry that lists referrers itself says so with this header (distribution-spec, "Pushing Manifests with Subject").
        if (document.Subject is { } subject && !response.Headers.Contains("OCI-Subject"))
            await AddToReferrersTagAsync(subject.Digest, document, cancellation).ConfigureAwait(false);
    }

    /// <summary>Deletes a tag, or a manifest with all its tags. False where there was none.</summary>
    public async Task<bool> DeleteManifestAsync(string tagOrDigest, CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        using var response = await client.ExpectAsync(new RegistryRequest(HttpMethod.Delete, Address(client, "manifests/" + tagOrDigest), DeleteScope),
            $"deletion of manifest {Name(tagOrDigest)}", cancellation, HttpStatusCode.Accepted, HttpStatusCode.OK, HttpStatusCode.NoContent, HttpStatusCode.NotFound).ConfigureAwait(false);
        return response.StatusCode != HttpStatusCode.NotFound;
    }

    private static async Task<bool> ExistsAsync(RegistryClient client, RegistryRequest request, string what, CancellationToken cancellation)
    {
        using var response = await client.ExpectAsync(request, what, cancellation, HttpStatusCode.OK, HttpStatusCode.NotFound).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.OK;
    }

    private async Task<(bool Mounted, Uri? Session)> MountAsync(RegistryClient client, Descriptor descriptor, ImageReference other, CancellationToken cancellation)
    {
        var address = Address(client, $"blobs/uploads/?mount={Uri.EscapeDataString(descriptor.Digest.ToString())}&from={Uri.EscapeDataString(other.Path)}");
        var request = new RegistryRequest(HttpMethod.Post, address, $"{PushScope} repository:{other.Path}:pull") { Content = _ => new ByteArrayContent([]) };
        using var response = await client.SendAsync(request, cancellation).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.Created) return (true, null);
        // Whoever may not read the other repository sends the blob: a refused mount is no failure.
        return response.StatusCode == HttpStatusCode.Accepted && response.Headers.Location is { } location
            ? (false, new Uri(address, location))
            : (false, null);
    }

    private async Task AddToReferrersTagAsync(Digest subject, ImageDocument document, CancellationToken cancellation)
    {
        var tag = ReferrersTag(subject);
        var known = await ReferrersTagAsync(subject, cancellation).ConfigureAwait(false);
        var entry = document.Descriptor with { ArtifactType = document.ArtifactType, Annotations = document.Annotations };
        if (known.Manifests.Any(other => other.Digest == entry.Digest)) return;
        var list = ImageDocument.Parse(ImageJson.Serialize(new ImageIndex { Manifests = [.. known.Manifests, entry] }), MediaTypes.OciIndex);
        await PushManifestAsync(tag, list, cancellation).ConfigureAwait(false);
    }
}
