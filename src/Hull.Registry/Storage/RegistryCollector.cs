using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Registry.Storage;

/// <param name="Links">Blobs that were dropped from a repository.</param>
/// <param name="Blobs">Blobs whose bytes were removed.</param>
/// <param name="Bytes">Disk space freed.</param>
public sealed record CollectResult(int Links, int Blobs, long Bytes);

/// <summary>
/// Removes what no manifest refers to, while requests are served. A blob younger than the grace period stays, because
/// a push sends its blobs first; marking works without the lock, and each removal looks again under it.
/// </summary>
public sealed class RegistryCollector(RepositoryStore store, TimeProvider clock)
{
    public async Task<CollectResult> RunAsync(TimeSpan grace, CancellationToken cancellation = default)
    {
        var links = 0;
        foreach (var repository in store.Repositories()) links += await UnlinkAsync(repository, grace, cancellation).ConfigureAwait(false);
        var (blobs, bytes) = await RemoveAsync(grace, cancellation).ConfigureAwait(false);
        return new CollectResult(links, blobs, bytes);
    }

    private async Task<int> UnlinkAsync(string repository, TimeSpan grace, CancellationToken cancellation)
    {
        var count = 0;
        var limit = clock.GetUtcNow() - grace;
        var old = store.Blobs(repository).Where(blob => blob.Touched < limit).Select(blob => blob.Digest).ToList();
        if (old.Count == 0) return 0;

        // Manifests are only added under the shared side of this lock: what is unreferenced now stays so meanwhile.
        using var alone = await store.Gate.TakeAloneAsync(cancellation).ConfigureAwait(false);
        var used = Used(repository);
        foreach (var (digest, touched) in store.Blobs(repository).ToList())
        {
            if (touched >= limit || used.Contains(digest)) continue;
            store.UnlinkBlob(repository, digest);
            count++;
        }

        return count;
    }

    private async Task<(int Blobs, long Bytes)> RemoveAsync(TimeSpan grace, CancellationToken cancellation)
    {
        var linked = Linked();
        var candidates = store.Content.Blobs().Where(digest => !linked.Contains(digest)).ToList();
        if (candidates.Count == 0) return (0, 0);
        using var alone = await store.Gate.TakeAloneAsync(cancellation).ConfigureAwait(false);
        linked = Linked();
        var limit = clock.GetUtcNow() - grace;
        var (blobs, bytes) = (0, 0L);
        foreach (var digest in candidates)
        {
            var file = new FileInfo(store.Content.PathOf(digest));
            if (linked.Contains(digest) || !file.Exists || file.LastWriteTimeUtc > limit) continue;
            // Whoever is reading it has it open and reads on; the space is freed when the last one closes it.
            File.Delete(file.FullName);
            (blobs, bytes) = (blobs + 1, bytes + file.Length);
        }

        return (blobs, bytes);
    }

    private HashSet<Digest> Used(string repository)
    {
        var used = new HashSet<Digest>();
        foreach (var (digest, type) in store.Manifests(repository))
        {
            if (store.TryReadManifest(digest, type) is not { } document) continue;
            foreach (var child in document.Children) used.Add(child.Digest);
        }

        return used;
    }

    private HashSet<Digest> Linked()
    {
        var linked = new HashSet<Digest>();
        foreach (var repository in store.Repositories())
        {
            foreach (var (digest, _) in store.Blobs(repository)) linked.Add(digest);
            foreach (var (digest, _) in store.Manifests(repository)) linked.Add(digest);
        }

        return linked;
    }
}
