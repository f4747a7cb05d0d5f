using System.Buffers;
using Hull.Core;
using Hull.Images.Content;
using Hull.Images.Distribution;
using Hull.Oci.Image;
using Hull.Registry.Handlers;
using Hull.Registry.Http;
using Hull.Registry.Storage;

namespace Hull.Registry.Mirror;

/// <summary>
/// Fills the registry from another when something is asked for that is not here. A blob goes to the client and into the
/// store at the same time; a tag is asked for again once it is no longer fresh, and served from here where its
/// registry does not answer.
/// </summary>
internal sealed class PullThrough(string domain, RepositoryStore store, ManifestHandler manifests, RegistryOptions options, TimeProvider clock, Action<string> log) : IDisposable
{
    private const int BufferSize = 256 << 10;

    private readonly RegistrySource _source = new(options.Upstream);

    /// <summary>Sees to it that the manifest is here, if its registry has it.</summary>
    public async Task EnsureManifestAsync(string repository, string name, HttpRequest request, CancellationToken cancellation)
    {
        var isDigest = Digest.TryParse(name, out _);
        var known = manifests.Find(repository, name);
        if (known is not null && (isDigest || clock.GetUtcNow() - store.TagTime(repository, name) < options.MirrorFreshness)) return;
        try
        {
            var remote = _source.Repository(Upstream(repository, request));
            if (known is not null && await remote.HeadManifestAsync(name, cancellation).ConfigureAwait(false) is { } head && head.Digest == known.Value.Digest)
            {
                store.SetTag(repository, name, head.Digest);
                return;
            }

            var document = await remote.GetManifestAsync(name, cancellation).ConfigureAwait(false);
            using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
            using var lease = store.Content.Leases.Begin();
            store.Content.Put(document.Bytes, document.MediaType, lease);
            store.LinkManifest(repository, document, document.Digest, isDigest ? null : name);
        }
        catch (HullException error) when (error.Kind != ErrorKind.Cancelled)
        {
            // What is here is better than nothing; what is not here is answered as unknown.
            log($"mirror {repository}: {error.FullMessage}");
        }
    }

    /// <summary>An answer that relays a blob from its registry; null where the blob is here, or nowhere.</summary>
    public async Task<HttpResponse?> EnsureBlobAsync(string repository, string name, HttpRequest request, CancellationToken cancellation)
    {
        if (!Digest.TryParse(name, out var digest) || store.HasBlob(repository, digest)) return null;
        // Only what a mirrored manifest names is fetched: its size is known, and nobody else's blobs are handed out.
        if (Describe(repository, digest) is not { } descriptor) return null;
        if (request.IsHead) return Answer(descriptor, feed: null, ended: null);

        var lease = store.Content.Leases.Begin();
        try
        {
            if (await store.Content.BeginIngestAsync(descriptor, lease, cancellation).ConfigureAwait(false) is not { } ingest)
            {
                store.LinkBlob(repository, digest);
                lease.Dispose();
                return null;
            }

            if (request.Headers["Range"] is null && ingest.Offset == 0)
            {
                var upstream = await OpenAsync(repository, request, descriptor, 0, ingest, cancellation).ConfigureAwait(false);
                return Answer(descriptor, (client, token) => RelayAsync(repository, descriptor, ingest, lease, upstream, client, token), () =>
                {
                    // Also where the client went away before the first byte; each of them bears being disposed twice.
                    ingest.Dispose();
                    lease.Dispose();
                    upstream.Dispose();
                });
            }

            var rest = await OpenAsync(repository, request, descriptor, ingest.Offset, ingest, cancellation).ConfigureAwait(false);
            await RelayAsync(repository, descriptor, ingest, lease, rest, Stream.Null, cancellation).ConfigureAwait(false);
            return null;
        }
        catch (HullException error) when (error.Kind is ErrorKind.NotFound or ErrorKind.Unavailable)
        {
            lease.Dispose();
            log($"mirror {repository}: {error.FullMessage}");
            return null;
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    public void Dispose() => _source.Dispose();

    private async Task<Stream> OpenAsync(string repository, HttpRequest request, Descriptor descriptor, long offset, IngestWriter ingest, CancellationToken cancellation)
    {
        try
        {
            return await _source.Repository(Upstream(repository, request)).OpenBlobAsync(descriptor, offset, cancellation).ConfigureAwait(false);
        }
        catch
        {
            ingest.Dispose();
            throw;
        }
    }

    private async Task RelayAsync(string repository, Descriptor descriptor, IngestWriter ingest, Lease lease, Stream upstream, Stream client, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            int count;
            while ((count = await upstream.ReadAsync(buffer.AsMemory(0, BufferSize), cancellation).ConfigureAwait(false)) > 0)
            {
                ingest.Write(buffer.AsSpan(0, count));
                await client.WriteAsync(buffer.AsMemory(0, count), cancellation).ConfigureAwait(false);
            }

            using var shared = await store.Gate.ShareAsync(cancellation).ConfigureAwait(false);
            ingest.Commit(descriptor.Digest, descriptor.Size);
            store.LinkBlob(repository, descriptor.Digest);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            ingest.Dispose();
            lease.Dispose();
            await upstream.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>The descriptor by which a manifest of the repository names the blob.</summary>
    private Descriptor? Describe(string repository, Digest digest)
    {
        foreach (var (manifest, type) in store.Manifests(repository))
        {
            if (store.TryReadManifest(manifest, type)?.Children.FirstOrDefault(child => child.Digest == digest) is { } found) return found;
        }

        return null;
    }

    private static HttpResponse Answer(Descriptor descriptor, Func<Stream, CancellationToken, Task>? feed, Action? ended)
    {
        var response = feed is null
            ? new HttpResponse(200) { AnnouncedLength = descriptor.Size }
            : new HttpResponse(200) { Feed = feed, FedLength = descriptor.Size, Ended = ended };
        return response.With("Content-Type", "application/octet-stream").With("Docker-Content-Digest", descriptor.Digest.ToString()).With("Accept-Ranges", "bytes");
    }

    private ImageReference Upstream(string repository, HttpRequest request)
    {
        if (request.Query.TryGetValue("ns", out var named) && named != domain) throw RegistryError.Denied($"this registry is a mirror of {domain} only");
        return ImageReference.TryParse($"{domain}/{repository}", out var reference) ? reference : throw RegistryError.NameInvalid(repository);
    }
}
