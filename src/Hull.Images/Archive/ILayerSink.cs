using Hull.Core.Tar;

namespace Hull.Images.Archive;

/// <summary>
/// What a layer is unpacked into. Paths are normalized (<see cref="LayerPath.Normalize"/>); links in them are the sink's to
/// resolve, inside the layer.
/// </summary>
public interface ILayerSink
{
    /// <summary>Takes the entry that <paramref name="reader"/> is at, with its data. An empty path is the root.</summary>
    void Add(ReadOnlySpan<byte> path, TarReader reader);

    /// <summary>Hides <paramref name="name"/> of the layers below.</summary>
    void Whiteout(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name);

    /// <summary>Hides everything that the layers below have in the directory.</summary>
    void Opaque(ReadOnlySpan<byte> directory);
}
