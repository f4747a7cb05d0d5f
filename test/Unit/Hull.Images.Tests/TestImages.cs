using System.IO.Compression;
using System.Text;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images.Tests;

/// <summary>Images in memory, and a source that hands them out the way a registry, good or bad, would.</summary>
internal sealed class TestImages : IFetcher
{
    private readonly Dictionary<Digest, byte[]> _content = [];
    private readonly Dictionary<string, Descriptor> _names = new(StringComparer.Ordinal);

    /// <summary>How often each content was asked for.</summary>
    public Dictionary<Digest, int> Fetched { get; } = [];

    /// <summary>Bytes after which a download breaks off; 0: never.</summary>
    public int BreakAfter { get; set; }

    public Descriptor Put(byte[] bytes, string mediaType)
    {
        var descriptor = new Descriptor { MediaType = mediaType, Digest = Digest.Sha256(bytes), Size = bytes.Length };
        _content[descriptor.Digest] = bytes;
        return descriptor;
    }

    public void Replace(Digest digest, byte[] bytes) => _content[digest] = bytes;

    public static byte[] Tar(params (string Name, string Content)[] files)
    {
        var bytes = new MemoryStream();
        var tar = new TarWriter(bytes);
        foreach (var (name, content) in files)
            tar.Write(new TarEntry { Path = Encoding.UTF8.GetBytes(name), Kind = TarEntryKind.File, Mode = 0x1A4 }, Encoding.UTF8.GetBytes(content));
        tar.Finish();
        return bytes.ToArray();
    }

    public static byte[] Gzip(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest)) gzip.Write(bytes);
        return packed.ToArray();
    }

    public Descriptor Image(string name, Platform? platform, params byte[][] tars)
    {
        platform ??= Platform.Host;
        var layers = tars.Select(tar => Put(Gzip(tar), MediaTypes.OciLayerGzip)).ToList();
        var config = Put(ImageJson.Serialize(new ImageConfig
        {
            Os = platform.Os, Architecture = platform.Architecture,
            RootFs = new RootFileSystem { DiffIds = [.. tars.Select(tar => Digest.Sha256(tar))] },
            History = [.. tars.Select((_, i) => new HistoryEntry { CreatedBy = $"step {i}" })],
        }), MediaTypes.OciConfig);
        var manifest = Put(ImageJson.Serialize(new ImageManifest { Config = config, Layers = layers }), MediaTypes.OciManifest);
        return _names[name] = manifest;
    }

    public Descriptor Name(string name, Descriptor target) => _names[name] = target;

    public Task<ResolvedReference> ResolveAsync(ImageReference reference, CancellationToken cancellation = default) =>
        Task.FromResult(new ResolvedReference(_names.TryGetValue(reference.Familiar, out var found) ? found : throw HullException.NotFound(reference.Familiar), null));

    public Task<FetchedContent> FetchAsync(ImageReference repository, Descriptor descriptor, long offset, CancellationToken cancellation = default)
    {
        lock (Fetched) Fetched[descriptor.Digest] = Fetched.GetValueOrDefault(descriptor.Digest) + 1;
        var bytes = _content[descriptor.Digest][(int)Math.Min(offset, _content[descriptor.Digest].Length)..];
        if (BreakAfter > 0 && bytes.Length > BreakAfter && MediaTypes.IsLayer(descriptor.MediaType)) bytes = bytes[..BreakAfter];
        return Task.FromResult(new FetchedContent(new MemoryStream(bytes), offset));
    }

    public Task<ImageIndex> ReferrersAsync(ImageReference repository, Digest digest, string? artifactType, CancellationToken cancellation = default) =>
        Task.FromResult(new ImageIndex());
}
