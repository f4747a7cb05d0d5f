using Hull.Core;
using Hull.Images.Content;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>One push: blobs first, then the manifests from the bottom up, so that a registry never sees a hole.</summary>
internal sealed class ImagePush(ContentStore content, ImageReference target, IPusher pusher, IReadOnlyList<ImageReference> mountFrom,
    IProgress<TransferProgress>? progress)
{

    public Task RunAsync(Descriptor root, CancellationToken cancellation) => PushDocumentAsync(root, target, cancellation);

    private async Task PushDocumentAsync(Descriptor descriptor, ImageReference name, CancellationToken cancellation)
    {
        var document = content.ReadDocument(descriptor);
        if (document.Index is { } index)
        {
            foreach (var child in index.Manifests)
            {
                if (MediaTypes.IsIndex(child.MediaType) || MediaTypes.IsManifest(child.MediaType))
                    await PushDocumentAsync(child, target.WithoutTagAndDigest().WithDigest(child.Digest), cancellation).ConfigureAwait(false);
                else await PushBlobAsync(child, cancellation).ConfigureAwait(false);
            }
        }
        else
        {
            await Parallel.ForEachAsync(document.Children.DistinctBy(child => child.Digest).Where(child => !MediaTypes.IsForeign(child.MediaType)),
                new ParallelOptions { MaxDegreeOfParallelism = pusher.Parallelism, CancellationToken = cancellation },
                async (child, token) => await PushBlobAsync(child, token).ConfigureAwait(false)).ConfigureAwait(false);
        }

        await pusher.PushManifestAsync(name, document, cancellation).ConfigureAwait(false);
        progress?.Report(new TransferProgress(name.Familiar, TransferPhase.Done, 0, 0, document.Digest.ToString()));
    }

    private async Task PushBlobAsync(Descriptor blob, CancellationToken cancellation)
    {
        var id = blob.Digest.Short;
        progress?.Report(new TransferProgress(id, TransferPhase.Waiting, 0, blob.Size));
        if (await pusher.ExistsAsync(target, blob, cancellation).ConfigureAwait(false))
        {
            progress?.Report(new TransferProgress(id, TransferPhase.Exists, blob.Size, blob.Size));
            return;
        }

        var sent = progress is null ? null : new Relay(bytes => progress.Report(new TransferProgress(id, TransferPhase.Uploading, bytes, blob.Size)));
        await pusher.PushBlobAsync(target, blob.Bare(), offset => content.OpenRead(blob.Digest, offset), mountFrom, sent, cancellation).ConfigureAwait(false);
        progress?.Report(new TransferProgress(id, TransferPhase.Done, blob.Size, blob.Size));
    }

    /// <summary>Unlike <see cref="Progress{T}"/>, tells on the thread it was told on, in order.</summary>
    private sealed class Relay(Action<long> tell) : IProgress<long>
    {
        public void Report(long value) => tell(value);
    }
}
