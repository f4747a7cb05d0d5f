using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Linux.Compression;
using Hull.Oci.Image;

namespace Hull.Engine.Machines;

/// <summary>What a machine pushed to a registry is: the config blob of its artifact.</summary>
/// <param name="Disks">Size of each disk by its id.</param>
public sealed record MachineArtifact(string Architecture, string Firmware, int Processors, long MemoryBytes, IReadOnlyDictionary<string, long> Disks);

/// <summary>
/// Machines as OCI artifacts (image-spec manifest.md, "Guidelines for Artifact Usage"). A disk is cut into chunks at fixed
/// places, each a blob of its own: chunks of zeros are left out, and a chunk that occurs again, in this disk, in another or
/// in an earlier push, is stored and sent once.
/// </summary>
internal static class MachineArtifacts
{
    public const string Type = "application/vnd.hull.machine.v1";
    private const string ConfigType = "application/vnd.hull.machine.config.v1+json";
    private const string ChunkType = "application/vnd.hull.machine.chunk.v1+zstd";
    private const string DiskKey = "dev.hull.machine.disk";
    private const string OffsetKey = "dev.hull.machine.offset";
    private const string SizeKey = "dev.hull.machine.size";

    /// <summary>Smaller chunks are found again more often, larger ones make fewer requests.</summary>
    private const int SmallestChunk = 4 << 20;

    /// <summary>A manifest may have 4 MiB, and an entry has some 350 bytes.</summary>
    private const int MostChunks = 8192;

    private const int LargestChunk = 256 << 20;

    /// <summary>Sends what the registry lacks, and the manifest last.</summary>
    /// <param name="disks">A raw file for each disk.</param>
    public static async Task<Digest> PushAsync(MachineArtifact artifact, IReadOnlyDictionary<string, string> disks, ImageReference target, RegistrySource registry,
        CancellationToken cancellationToken)
    {
        var sent = new HashSet<Digest>();
        var chunkSize = ChunkSizeFor(artifact.Disks.Values.Sum());
        List<Descriptor> chunks = [];
        foreach (var (id, path) in disks)
        {
            await using var disk = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
            var buffer = new byte[chunkSize];
            for (long offset = 0; offset < disk.Length; offset += chunkSize)
            {
                var count = await disk.ReadAtLeastAsync(buffer, chunkSize, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                if (!buffer.AsSpan(0, count).ContainsAnyExcept((byte)0)) continue;
                var descriptor = await PushBlobAsync(ZstdCompressor.Compress(buffer.AsSpan(0, count)), ChunkType, target, registry, sent, cancellationToken).ConfigureAwait(false);
                chunks.Add(descriptor with
                {
                    Annotations = new Dictionary<string, string> { [DiskKey] = id, [OffsetKey] = Text(offset), [SizeKey] = Text(count) },
                });
            }
        }

        var config = await PushBlobAsync(JsonSerializer.SerializeToUtf8Bytes(artifact, MachineArtifactJson.Default.MachineArtifact), ConfigType, target, registry, sent, cancellationToken)
            .ConfigureAwait(false);
        var manifest = new ImageManifest { ArtifactType = Type, Config = config, Layers = chunks };
        var document = ImageDocument.Parse(JsonSerializer.SerializeToUtf8Bytes(manifest, ImageJson.Default.ImageManifest), MediaTypes.OciManifest);
        await registry.PushManifestAsync(target, document, cancellationToken).ConfigureAwait(false);
        return document.Digest;
    }

    /// <summary>Reads what an artifact is; <see cref="ErrorKind.InvalidArgument"/> for what is no machine.</summary>
    public static async Task<(MachineArtifact Artifact, ImageManifest Manifest)> ResolveAsync(ImageReference reference, RegistrySource registry, CancellationToken cancellationToken)
    {
        var document = (await registry.ResolveAsync(reference, cancellationToken).ConfigureAwait(false)).Document;
        if (document?.Manifest is not { } manifest || manifest.Config.MediaType != ConfigType)
            throw HullException.Invalid($"{reference.Familiar} is no machine: it was not pushed by hull vm push");
        var config = await FetchAsync(manifest.Config, ImageDocument.MaxSize, reference, registry, cancellationToken).ConfigureAwait(false);
        var artifact = JsonSerializer.Deserialize(config, MachineArtifactJson.Default.MachineArtifact) ?? throw HullException.Corrupted($"the config of {reference.Familiar} is empty");
        foreach (var id in artifact.Disks.Keys)
            if (!MachineConfig.IsName(id)) throw HullException.Corrupted($"{reference.Familiar} has a disk with the name '{id}'");
        return (artifact, manifest);
    }

    /// <summary>Writes the disks of an artifact as raw files; each chunk is what its digest says, or nothing is made of it.</summary>
    public static async Task PullAsync(MachineArtifact artifact, ImageManifest manifest, ImageReference reference, RegistrySource registry, Func<string, string> pathOf,
        CancellationToken cancellationToken)
    {
        var files = new Dictionary<string, FileStream>();
        try
        {
            foreach (var (id, bytes) in artifact.Disks)
            {
                files[id] = new FileStream(pathOf(id), FileMode.CreateNew, FileAccess.Write);
                files[id].SetLength(bytes);
            }

            // Equal chunks are fetched once and written wherever they belong.
            foreach (var places in manifest.Layers.GroupBy(chunk => chunk.Digest))
            {
                var size = Number(places.First(), SizeKey, LargestChunk);
                var content = Decompress(await FetchAsync(places.First(), LargestChunk, reference, registry, cancellationToken).ConfigureAwait(false), (int)size);
                foreach (var place in places)
                {
                    var file = files.GetValueOrDefault(place.Annotation(DiskKey) ?? "") ?? throw HullException.Corrupted($"a chunk of {reference.Familiar} belongs to no disk");
                    file.Position = Number(place, OffsetKey, file.Length - content.Length);
                    await file.WriteAsync(content, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            foreach (var file in files.Values) await file.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static int ChunkSizeFor(long bytes)
    {
        var size = SmallestChunk;
        while (size < LargestChunk && bytes / size > MostChunks) size *= 2;
        return size;
    }

    private static async Task<Descriptor> PushBlobAsync(byte[] bytes, string mediaType, ImageReference target, RegistrySource registry, HashSet<Digest> sent,
        CancellationToken cancellationToken)
    {
        var descriptor = new Descriptor { MediaType = mediaType, Digest = Digest.Sha256(bytes), Size = bytes.Length };
        if (sent.Add(descriptor.Digest) && !await registry.ExistsAsync(target, descriptor, cancellationToken).ConfigureAwait(false))
            await registry.PushBlobAsync(target, descriptor, offset => new MemoryStream(bytes, (int)offset, bytes.Length - (int)offset, writable: false), [], cancellation: cancellationToken).ConfigureAwait(false);
        return descriptor;
    }

    private static async Task<byte[]> FetchAsync(Descriptor descriptor, int most, ImageReference reference, RegistrySource registry, CancellationToken cancellationToken)
    {
        if (descriptor.Size < 0 || descriptor.Size > most) throw HullException.Corrupted($"blob {descriptor.Digest.Short} of {reference.Familiar} has {descriptor.Size} bytes, more than {most}");
        var bytes = new byte[descriptor.Size];
        await using var content = await registry.FetchAsync(reference, descriptor, 0, cancellationToken).ConfigureAwait(false);
        var count = await content.Stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return count == bytes.Length && Digest.Sha256(bytes) == descriptor.Digest
            ? bytes : throw HullException.Corrupted($"blob {descriptor.Digest.Short} of {reference.Familiar} is not what its digest says");
    }

    private static byte[] Decompress(byte[] compressed, int size)
    {
        using var zstd = new ZstdDecompressor();
        var content = new byte[size];
        int read = 0, written = 0;
        while (read < compressed.Length || !zstd.IsAtEnd)
        {
            var (consumed, produced) = zstd.Decompress(compressed.AsSpan(read), content.AsSpan(written));
            (read, written) = (read + consumed, written + produced);
            if (consumed == 0 && produced == 0) break;
        }

        return read == compressed.Length && written == size && zstd.IsAtEnd ? content : throw HullException.Corrupted($"a chunk does not have the {size} bytes it is to have");
    }

    private static long Number(Descriptor chunk, string key, long most) =>
        long.TryParse(chunk.Annotation(key), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most
            ? number : throw HullException.Corrupted($"chunk {chunk.Digest.Short} has no sound {key}");

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(MachineArtifact))]
internal sealed partial class MachineArtifactJson : JsonSerializerContext;
