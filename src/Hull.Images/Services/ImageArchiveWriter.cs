using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>
/// Writes an OCI layout as a tar; in Docker's form with the <c>manifest.json</c> that <c>docker load</c> reads too.
/// </summary>
internal sealed class ImageArchiveWriter(ContentStore content, Stream output, CancellationToken cancellation)
{
    private const int BufferSize = 1 << 20;

    private readonly TarWriter _tar = new(output);
    private readonly HashSet<Digest> _written = [];

    public void Write(IReadOnlyList<(Image Image, IReadOnlyList<ImageReference> Names)> images, ArchiveFormat format)
    {
        WriteFile("oci-layout", JsonSerializer.SerializeToUtf8Bytes(new LayoutMarker(), ImageJson.Default.LayoutMarker));
        WriteDirectory("blobs/");
        WriteDirectory("blobs/sha256/");
        var entries = new List<Descriptor>();
        foreach (var (image, names) in images)
        {
            // Docker knows one platform per image in an archive; an index is kept whole where all of it is here.
            var target = IsWhole(image.Target) ? image.Target : image.Manifest.Descriptor;
            WriteBlobs(target, 0);
            entries.AddRange(names.Count == 0 ? [target] : names.Select(name => Named(target, name)));
        }

        WriteFile("index.json", ImageJson.Serialize(new ImageIndex { Manifests = entries }));
        if (format == ArchiveFormat.Docker) WriteFile("manifest.json", DockerManifest(images));
        _tar.Finish();
    }

    private static byte[] DockerManifest(IReadOnlyList<(Image Image, IReadOnlyList<ImageReference> Names)> images)
    {
        IReadOnlyList<DockerArchiveEntry> entries = [.. images.Select(one => new DockerArchiveEntry
        {
            Config = BlobPath(one.Image.Manifest.Manifest!.Config.Digest),
            RepoTags = [.. one.Names.Where(name => name.Digest is null).Select(name => name.Familiar)],
            Layers = [.. one.Image.Manifest.Manifest.Layers.Select(layer => BlobPath(layer.Digest))],
        })];
        return JsonSerializer.SerializeToUtf8Bytes(entries, ImageJson.Default.IReadOnlyListDockerArchiveEntry);
    }

    private static Descriptor Named(Descriptor target, ImageReference name) => target with
    {
        Annotations = new Dictionary<string, string>
        {
            [AnnotationKeys.ContainerdImageName] = name.Canonical,
            [AnnotationKeys.RefName] = name.Tag ?? name.ManifestName,
        },
    };

    private bool IsWhole(Descriptor target) => content.ReadDocument(target) is var document
        && document.Children.All(child => content.Contains(child.Digest) && (!MediaTypes.IsIndex(child.MediaType) && !MediaTypes.IsManifest(child.MediaType) || IsWhole(child)));

    private void WriteBlobs(Descriptor descriptor, int depth)
    {
        WriteBlob(descriptor.Digest);
        if (depth > ImageCatalog.MaxNesting || (!MediaTypes.IsIndex(descriptor.MediaType) && !MediaTypes.IsManifest(descriptor.MediaType))) return;
        foreach (var child in content.ReadDocument(descriptor).Children) WriteBlobs(child, depth + 1);
    }

    private void WriteBlob(Digest digest)
    {
        if (!_written.Add(digest)) return;
        using var file = content.OpenRead(digest);
        _tar.Begin(Entry(BlobPath(digest), TarEntryKind.File, 0x124, file.Length));
        var buffer = new byte[BufferSize];
        int count;
        while ((count = file.Read(buffer)) > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            _tar.Write(buffer.AsSpan(0, count));
        }
    }

    private void WriteFile(string path, byte[] bytes) => _tar.Write(Entry(path, TarEntryKind.File, 0x1A4, bytes.Length), bytes);

    private void WriteDirectory(string path) => _tar.Begin(Entry(path, TarEntryKind.Directory, 0x1ED, 0));

    private static TarEntry Entry(string path, TarEntryKind kind, int mode, long size) =>
        new() { Path = Encoding.UTF8.GetBytes(path), Kind = kind, Mode = mode, Size = size };

    private static string BlobPath(Digest digest) => $"blobs/{digest.Algorithm}/{digest.Hex}";
}
