using System.Collections.Concurrent;
using Hull.Core;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images.Distribution;

/// <summary>
/// Registries as a source and a target of images. One object serves one operation or many; its connections and tokens
/// are shared by everything that runs through it.
/// </summary>
public sealed class RegistrySource(DistributionOptions options) : IFetcher, IPusher, IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<RemoteRepository>> _repositories = new(StringComparer.Ordinal);

    public int Parallelism => options.Uploads;

    /// <summary>The repository a reference names.</summary>
    public RemoteRepository Repository(ImageReference reference) =>
        _repositories.GetOrAdd(reference.Repository, _ => new Lazy<RemoteRepository>(() => new RemoteRepository(reference, options))).Value;

    public async Task<ResolvedReference> ResolveAsync(ImageReference reference, CancellationToken cancellation = default)
    {
        var document = await Repository(reference).GetManifestAsync(reference.ManifestName, cancellation).ConfigureAwait(false);
        return new ResolvedReference(document.Descriptor, document);
    }

    public async Task<FetchedContent> FetchAsync(ImageReference repository, Descriptor descriptor, long offset, CancellationToken cancellation = default)
    {
        var remote = Repository(repository);
        if (MediaTypes.IsIndex(descriptor.MediaType) || MediaTypes.IsManifest(descriptor.MediaType))
        {
            var document = await remote.GetManifestAsync(descriptor, cancellation).ConfigureAwait(false);
            return new FetchedContent(new MemoryStream(document.Bytes, writable: false), 0);
        }

        try
        {
            return new FetchedContent(await remote.OpenBlobAsync(descriptor, offset, cancellation).ConfigureAwait(false), offset);
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound && descriptor.Urls is { Count: > 0 } && MediaTypes.IsForeign(descriptor.MediaType))
        {
            return new FetchedContent(await remote.OpenForeignBlobAsync(descriptor, cancellation).ConfigureAwait(false), 0);
        }
    }

    public Task<ImageIndex> ReferrersAsync(ImageReference repository, Digest digest, string? artifactType, CancellationToken cancellation = default) =>
        Repository(repository).ReferrersAsync(digest, artifactType, cancellation);

    public Task<bool> ExistsAsync(ImageReference repository, Descriptor descriptor, CancellationToken cancellation = default) =>
        MediaTypes.IsIndex(descriptor.MediaType) || MediaTypes.IsManifest(descriptor.MediaType)
            ? Repository(repository).HasManifestAsync(descriptor.Digest.ToString(), cancellation)
            : Repository(repository).HasBlobAsync(descriptor, cancellation);

    public Task PushBlobAsync(ImageReference repository, Descriptor descriptor, Func<long, Stream> open, IReadOnlyList<ImageReference> mountFrom,
        IProgress<long>? sent = null, CancellationToken cancellation = default) =>
        Repository(repository).PushBlobAsync(descriptor, open, mountFrom, sent, cancellation);

    public Task PushManifestAsync(ImageReference target, ImageDocument document, CancellationToken cancellation = default) =>
        Repository(target).PushManifestAsync(target.Tag ?? document.Digest.ToString(), document, cancellation);

    public void Dispose()
    {
        foreach (var repository in _repositories.Values)
        {
            if (repository.IsValueCreated) repository.Value.Dispose();
        }
    }
}
