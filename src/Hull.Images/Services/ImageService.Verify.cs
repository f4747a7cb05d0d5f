using Hull.Core;
using Hull.Images.Archive;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Oci.Image;

namespace Hull.Images;

/// <content>Checking what is stored.</content>
public sealed partial class ImageService
{
    public VerifyReport Verify(bool deep = true, CancellationToken cancellation = default)
    {
        using var lease = Content.Leases.Begin();
        var problems = new List<string>();
        var (blobs, bytes) = VerifyBlobs(deep, problems, cancellation);
        var references = Content.References.List();
        foreach (var reference in references) VerifyTarget(reference.Name ?? reference.Target.Digest.ToString(), reference.Target, 0, problems);
        problems.AddRange(Snapshotter.Verify());
        if (deep) VerifyLayers(problems, cancellation);
        return new VerifyReport(blobs, references.Count, Snapshotter.List().Count, bytes, [.. problems.Distinct()]);
    }

    private (int Count, long Bytes) VerifyBlobs(bool deep, List<string> problems, CancellationToken cancellation)
    {
        var (count, bytes) = (0, 0L);
        foreach (var digest in Content.Blobs())
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                using var file = Content.OpenRead(digest);
                (count, bytes) = (count + 1, bytes + file.Length);
                if (!deep) continue;
                using var hash = new ContentHash(digest.Algorithm);
                hash.Append(file, cancellation);
                if (hash.Current() != digest) problems.Add($"blob {digest} has the digest {hash.Current()}");
            }
            catch (HullException error) when (error.Kind == ErrorKind.NotFound)
            {
                // Collected meanwhile; if something refers to it, that is found below.
            }
        }

        return (count, bytes);
    }

    private void VerifyTarget(string name, Descriptor descriptor, int depth, List<string> problems)
    {
        if (Content.SizeOf(descriptor.Digest) is not { } size)
        {
            problems.Add($"{name}: {descriptor.Digest} is missing");
            return;
        }

        if (size != descriptor.Size) problems.Add($"{name}: {descriptor.Digest} has {size} bytes, expected {descriptor.Size}");
        if (depth > ImageCatalog.MaxNesting || (!MediaTypes.IsIndex(descriptor.MediaType) && !MediaTypes.IsManifest(descriptor.MediaType))) return;
        try
        {
            var document = Content.ReadDocument(descriptor);
            // An index may be here for one platform only; what is here of it must be whole.
            var children = document.Index is null ? document.Children : document.Children.Where(child => Content.Contains(child.Digest));
            if (document.Index is { Manifests.Count: > 0 } && !children.Any()) problems.Add($"{name}: nothing of index {descriptor.Digest} is here");
            foreach (var child in children.Where(child => !MediaTypes.IsForeign(child.MediaType))) VerifyTarget(name, child, depth + 1, problems);
            if (document.Manifest is { IsImage: true } manifest) VerifyConfig(name, manifest, problems);
        }
        catch (HullException error)
        {
            problems.Add($"{name}: {error.FullMessage}");
        }
    }

    private void VerifyConfig(string name, ImageManifest manifest, List<string> problems)
    {
        if (!Content.Contains(manifest.Config.Digest)) return;
        var diffIds = Content.ReadConfig(manifest.Config).RootFs.DiffIds;
        if (diffIds.Count != manifest.Layers.Count) problems.Add($"{name}: the configuration has {diffIds.Count} layers, the manifest {manifest.Layers.Count}");
    }

    /// <summary>Every unpacked layer whose packed form is here is unpacked once more and compared.</summary>
    private void VerifyLayers(List<string> problems, CancellationToken cancellation)
    {
        var done = new HashSet<Digest>();
        foreach (var reference in Content.References.List())
        {
            foreach (var document in _catalog.Documents(reference.Target))
            {
                if (document.Manifest is not { IsImage: true } manifest || !Content.Contains(manifest.Config.Digest)) continue;
                foreach (var (layer, diffId) in manifest.Layers.Zip(Content.ReadConfig(manifest.Config).RootFs.DiffIds))
                {
                    if (Snapshotter.HasLayer(diffId) && Content.Contains(layer.Digest) && done.Add(diffId)) VerifyLayer(layer, diffId, problems, cancellation);
                }
            }
        }
    }

    private void VerifyLayer(Descriptor layer, Digest diffId, List<string> problems, CancellationToken cancellation)
    {
        try
        {
            using var tar = LayerStream.Open(Content.OpenRead(layer.Digest), _limits);
            if (Snapshotter.CompareLayer(diffId, tar, _limits, cancellation) is { } difference)
                problems.Add($"unpacked layer {diffId} {difference}");
        }
        catch (HullException error)
        {
            problems.Add($"layer {layer.Digest} cannot be unpacked: {error.FullMessage}");
        }
    }
}
