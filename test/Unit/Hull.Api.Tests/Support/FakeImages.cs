using Hull.Core;
using Hull.Images;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Images.Transfer;
using Hull.Oci.Image;
using Descriptor = Hull.Oci.Image.Descriptor;
using Image = Hull.Images.Image;

namespace Hull.Api.Tests.Support;

/// <summary>A store with one image, named busybox.</summary>
internal sealed class FakeImages : IImageService
{
    public ContentStore Content => throw new NotSupportedException();

    public ISnapshotter Snapshotter => throw new NotSupportedException();

    public Image Resolve(string name, Platform? platform = null) => Find(name, platform) ?? throw HullException.NotFound($"no image {name}");

    public Image? Find(string name, Platform? platform = null)
    {
        if (name.Split(':')[0] is not ("busybox" or "docker.io/library/busybox")) return null;
        var config = new ImageConfig { Os = "linux", Architecture = "amd64", Config = new ContainerDefaults { Cmd = ["sh"], Env = ["PATH=/bin"] } };
        var layer = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" + new string('0', 64) + "\",\"size\":2},\"layers\":[]}";
        var document = ImageDocument.Parse(System.Text.Encoding.UTF8.GetBytes(layer), "application/vnd.oci.image.manifest.v1+json");
        return new Image(Digest.Parse("sha256:" + new string('0', 64)), document.Descriptor, document, config, [ImageReference.Parse("busybox:latest")]);
    }

    public IReadOnlyList<ImageSummary> List() => [];

    public IReadOnlyList<ImageHistory> History(Image image) => [];

    public void Tag(Image image, ImageReference reference)
    {
    }

    public IReadOnlyList<RemovedImage> Remove(string name, bool force = false) => [];

    public PruneResult Prune(bool all = false, Func<ImageSummary, bool>? filter = null, CancellationToken cancellation = default) => new([], 0);

    public Task<Image> PullAsync(ImageReference reference, IFetcher fetcher, PullOptions? options = null, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        LastPull = options;
        progress?.Report(new TransferProgress("abc", TransferPhase.Downloading, 5, 10));
        if (reference.Path.EndsWith("broken", StringComparison.Ordinal)) throw HullException.Corrupted("layer abc is not what its digest says");
        return Task.FromResult(Find("busybox")!);
    }

    public void Flush(TimeSpan age = default)
    {
    }

    public Task<Descriptor> PushAsync(string name, ImageReference target, IPusher pusher, Platform? platform = null, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        LastPushParallelism = pusher.Parallelism;
        return Task.FromResult(Find("busybox")!.Target);
    }

    public PullOptions? LastPull { get; private set; }

    public int LastPushParallelism { get; private set; }

    public Task SaveAsync(IReadOnlyList<string> names, ArchiveFormat format, Stream output, CancellationToken cancellation = default) => output.WriteAsync(new byte[1024], cancellation).AsTask();

    public async Task<IReadOnlyList<Image>> LoadAsync(Stream input, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        await input.CopyToAsync(Stream.Null, cancellation);
        return [Find("busybox")!];
    }

    public Task<Image> ImportAsync(Stream input, ImageReference? reference, ContainerDefaults? config = null, string? comment = null, Platform? platform = null, CancellationToken cancellation = default) =>
        Task.FromResult(Find("busybox")!);

    public Task ExportAsync(string snapshotKey, Stream output, CancellationToken cancellation = default) => Task.CompletedTask;

    public Task<Image> CommitAsync(string snapshotKey, CommitOptions options, CancellationToken cancellation = default) => Task.FromResult(Find("busybox")!);

    public Task<ChainId?> EnsureUnpackedAsync(Image image, ISnapshotter? snapshotter = null, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default) =>
        Task.FromResult<ChainId?>(null);

    public VerifyReport Verify(bool deep = true, CancellationToken cancellation = default) => throw new NotSupportedException();

    public GarbageReport CollectGarbage(CancellationToken cancellation = default) => throw new NotSupportedException();
}
