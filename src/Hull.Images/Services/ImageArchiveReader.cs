using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>
/// Reads archives of <c>docker save</c> (old and new), <c>podman save</c>, skopeo and OCI layouts in one pass. Every file goes
/// into the store as a blob under its digest, whatever it is; then the documents say which of them belong together. Links in
/// old Docker archives point to other files of the archive and are taken as names for them; nothing else is followed.
/// </summary>
internal sealed class ImageArchiveReader(ContentStore content, Lease lease, UnpackLimits limits)
{
    private const int MaxFiles = 100_000;
    private const int MaxAliases = 16;

    private readonly Dictionary<string, Descriptor> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _aliases = new(StringComparer.Ordinal);

    /// <summary>Stores the archive's files; answers its images with their names.</summary>
    public IReadOnlyList<(Descriptor Target, Platform Platform, IReadOnlyList<ImageReference> Names)> Read(Stream input, CancellationToken cancellation)
    {
        using var stream = LayerStream.Open(input, limits);
        var reader = new TarReader(stream, limits);
        while (reader.Next())
        {
            cancellation.ThrowIfCancellationRequested();
            TakeEntry(reader);
        }

        reader.Drain();
        var images = _files.ContainsKey("index.json") ? ReadLayout() : [];
        if (_files.ContainsKey("manifest.json")) ReadDockerManifest(images);
        return images.Count > 0
            ? [.. images.Select(image => (image.Key, image.Value.Platform, (IReadOnlyList<ImageReference>)[.. image.Value.Names.Distinct()]))]
            : throw HullException.Corrupted("archive has no images: neither index.json nor manifest.json names any");
    }

    private void TakeEntry(TarReader reader)
    {
        var path = Encoding.UTF8.GetString(LayerPath.Normalize(reader.Entry.Path, limits));
        if (reader.Entry.Kind is TarEntryKind.SymbolicLink or TarEntryKind.HardLink)
        {
            var target = Encoding.UTF8.GetString(reader.Entry.LinkTarget);
            _aliases[path] = reader.Entry.Kind == TarEntryKind.HardLink ? target : Relative(path, target);
        }
        else if (reader.Entry.Kind == TarEntryKind.File)
        {
            if (_files.Count >= MaxFiles) throw new HullException(ErrorKind.ResourceExhausted, $"archive has more than {MaxFiles} files");
            _files[path] = Store(path, reader);
        }
    }

    private Descriptor Store(string path, TarReader reader)
    {
        using var ingest = content.BeginIngest("load-" + RandomId.New(), lease);
        try
        {
            while (reader.NextPiece(out _, out var bytes)) ingest.Write(bytes);
            // A file that is named by a digest must have it.
            var expected = path.StartsWith("blobs/", StringComparison.Ordinal) && Digest.TryParse(path["blobs/".Length..].Replace('/', ':'), out var digest)
                ? digest
                : (Digest?)null;
            var size = ingest.Offset;
            return new Descriptor { MediaType = "", Digest = ingest.Commit(expected), Size = size };
        }
        catch
        {
            ingest.Abandon();
            throw;
        }
    }

    private static string Relative(string path, string target)
    {
        var parts = new List<string>(path.Split('/')[..^1]);
        foreach (var part in target.Split('/'))
        {
            if (part == ".." && parts.Count > 0) parts.RemoveAt(parts.Count - 1);
            else if (part is not ("" or "." or "..")) parts.Add(part);
        }

        return string.Join('/', parts);
    }

    private Descriptor File(string path)
    {
        path = path.TrimStart('/');
        for (var hop = 0; hop < MaxAliases; hop++)
        {
            if (_files.TryGetValue(path, out var file)) return file;
            if (!_aliases.TryGetValue(path, out var target)) break;
            path = target;
        }

        throw HullException.Corrupted($"archive has no file {TarFormat.Show(Encoding.UTF8.GetBytes(path))}");
    }

    private Dictionary<Descriptor, (Platform Platform, List<ImageReference> Names)> ReadLayout()
    {
        var images = new Dictionary<Descriptor, (Platform, List<ImageReference>)>();
        var index = Parse(File("index.json"), ImageJson.Default.ImageIndex);
        foreach (var entry in index.Manifests ?? [])
        {
            if (entry.IsAttestation || (!MediaTypes.IsIndex(entry.MediaType) && !MediaTypes.IsManifest(entry.MediaType))) continue;
            var target = entry.Bare();
            if (PlatformOf(target) is not { } platform) continue;
            if (!images.TryGetValue(target, out var image)) images[target] = image = (platform, []);
            if (NameOf(entry) is { } name) image.Item2.Add(name);
        }

        return images;
    }

    /// <summary>The platform the archive has the image for: this machine's, else the first that is whole.</summary>
    private Platform? PlatformOf(Descriptor target)
    {
        var catalog = new ImageCatalog(content);
        var offered = catalog.Platforms(target);
        return offered.FirstOrDefault(Platform.Host.Accepts) ?? (offered.Count > 0 ? offered[0] : null);
    }

    private static ImageReference? NameOf(Descriptor entry)
    {
        if (ImageReference.TryParse(entry.Annotation(AnnotationKeys.ContainerdImageName), out var full)) return full;
        // The key alone may be a mere tag ("latest"), which names nothing without the file's name.
        var name = entry.Annotation(AnnotationKeys.RefName);
        return name is not null && name.AsSpan().ContainsAny('/', ':') && ImageReference.TryParse(name, out var parsed) ? parsed : null;
    }

    private void ReadDockerManifest(Dictionary<Descriptor, (Platform Platform, List<ImageReference> Names)> images)
    {
        foreach (var entry in Parse(File("manifest.json"), ImageJson.Default.IReadOnlyListDockerArchiveEntry))
        {
            var names = (entry.RepoTags ?? []).Select(ImageReference.Parse).ToList();
            var configFile = File(entry.Config);
            var known = images.FirstOrDefault(image => new ImageCatalog(content).Documents(image.Key).Any(document => document.Manifest?.Config.Digest == configFile.Digest));
            if (known.Key is not null)
            {
                known.Value.Names.AddRange(names);
                continue;
            }

            var (target, platform) = MakeManifest(entry, configFile);
            if (images.TryGetValue(target, out var same)) same.Names.AddRange(names);
            else images[target] = (platform, names);
        }
    }

    /// <summary>Old archives have no manifest as a registry has it: one is made of the configuration and the layer files.</summary>
    private (Descriptor Target, Platform Platform) MakeManifest(DockerArchiveEntry entry, Descriptor configFile)
    {
        var configDescriptor = configFile with { MediaType = MediaTypes.OciConfig };
        var config = content.ReadConfig(configDescriptor);
        var layers = new List<Descriptor>();
        foreach (var path in entry.Layers ?? [])
        {
            layers.Add(Layer(File(path)));
        }

        var manifest = new ImageManifest { Config = configDescriptor, Layers = layers };
        return (content.Put(ImageJson.Serialize(manifest), MediaTypes.OciManifest, lease), config.Platform);
    }

    private Descriptor Layer(Descriptor file)
    {
        var start = new byte[LayerStream.SniffSize];
        int count;
        using (var stream = content.OpenRead(file.Digest)) count = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        return LayerStream.Sniff(start.AsSpan(0, count)) switch
        {
            LayerCompression.Gzip => file with { MediaType = MediaTypes.OciLayerGzip },
            LayerCompression.Zstd => file with { MediaType = MediaTypes.OciLayerZstd },
            LayerCompression.None => file with { MediaType = MediaTypes.OciLayer },
            // No registry's client takes these: the layer is stored as it unpacks.
            _ => Unpacked(file.Digest) with { MediaType = MediaTypes.OciLayer },
        };
    }

    private Descriptor Unpacked(Digest digest)
    {
        using var layer = LayerStream.Open(content.OpenRead(digest), limits);
        using var ingest = content.BeginIngest("load-" + RandomId.New(), lease);
        try
        {
            var buffer = new byte[1 << 20];
            for (int count; (count = layer.Read(buffer)) > 0;) ingest.Write(buffer.AsSpan(0, count));
            var size = ingest.Offset;
            return new Descriptor { MediaType = "", Digest = ingest.Commit(null), Size = size };
        }
        catch
        {
            ingest.Abandon();
            throw;
        }
    }

    private T Parse<T>(Descriptor file, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(content.ReadAll(file), type) ?? throw new JsonException("it is null");
        }
        catch (JsonException error)
        {
            throw HullException.Corrupted("archive has a malformed index.json or manifest.json", error);
        }
    }
}
