using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Transfer;

/// <summary>
/// Reads images from somewhere: a registry, a mirror, an OCI layout. It hands out bytes and promises nothing about
/// them; whoever stores them checks digest and size.
/// </summary>
public interface IFetcher
{
    /// <summary>
    /// The manifest or index that <paramref name="reference"/> names now, with its bytes where the source sent them
    /// along (an answer to GET), so that it is not fetched twice.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.Unauthenticated"/>,
    /// <see cref="ErrorKind.PermissionDenied"/>, <see cref="ErrorKind.Unavailable"/>.</exception>
    Task<ResolvedReference> ResolveAsync(ImageReference reference, CancellationToken cancellation = default);

    /// <summary>
    /// Opens content for reading from <paramref name="offset"/> on. The stream ends, or fails with an
    /// <see cref="IOException"/> or <see cref="HullException"/>, when the connection does; the caller asks again with a
    /// higher offset. A source that cannot start at an offset answers from 0 and says so in
    /// <see cref="FetchedContent.Offset"/>.
    /// </summary>
    Task<FetchedContent> FetchAsync(ImageReference repository, Descriptor descriptor, long offset, CancellationToken cancellation = default);

    /// <summary>The manifests whose subject is <paramref name="digest"/> (distribution-spec, "Listing Referrers").</summary>
    Task<ImageIndex> ReferrersAsync(ImageReference repository, Digest digest, string? artifactType, CancellationToken cancellation = default);
}

/// <param name="Document">The bytes, already parsed and with the digest of <paramref name="Descriptor"/>; null where they were not sent.</param>
public sealed record ResolvedReference(Descriptor Descriptor, ImageDocument? Document);

/// <summary>An open download.</summary>
/// <param name="Offset">Where the stream starts: the offset asked for, or 0.</param>
public sealed record FetchedContent(Stream Stream, long Offset) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}

/// <summary>Writes images to somewhere else.</summary>
public interface IPusher
{
    /// <summary>Blobs of one image that are sent at once.</summary>
    int Parallelism => 4;

    /// <summary>Whether the repository has the content already (HEAD of blob or manifest).</summary>
    Task<bool> ExistsAsync(ImageReference repository, Descriptor descriptor, CancellationToken cancellation = default);

    /// <summary>
    /// Sends a blob. <paramref name="open"/> opens it from an offset, as often as a broken connection makes it necessary.
    /// <paramref name="mountFrom"/> names repositories of the same registry that are believed to have it, so that it
    /// need not be sent (distribution-spec, "Mounting a blob from another repository").
    /// </summary>
    Task PushBlobAsync(ImageReference repository, Descriptor descriptor, Func<long, Stream> open,
        IReadOnlyList<ImageReference> mountFrom, IProgress<long>? sent = null, CancellationToken cancellation = default);

    /// <summary>Sends a manifest or index, under <paramref name="target"/>'s tag or, without one, by digest.</summary>
    Task PushManifestAsync(ImageReference target, ImageDocument document, CancellationToken cancellation = default);
}

/// <summary>What is happening to a piece of content, in the words of Docker's progress messages.</summary>
public enum TransferPhase
{
    Resolving,
    Waiting,
    Downloading,
    Unpacking,
    Uploading,
    Exists,
    Done,
    Retrying,
}

/// <summary>One step of a pull or push, for progress bars and for the API's message stream.</summary>
/// <param name="Id">Which content: a short digest, or the reference for the image as a whole.</param>
/// <param name="Current">Bytes so far.</param>
/// <param name="Total">Bytes in all; 0 where unknown.</param>
/// <param name="Detail">A reason or name to show with it.</param>
public readonly record struct TransferProgress(string Id, TransferPhase Phase, long Current, long Total, string? Detail = null);
