using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Content;

/// <summary>The last manifests and indexes that were read. Content never changes, so an entry is never stale.</summary>
internal sealed class DocumentCache
{
    private const int Capacity = 512;
    private const int LargestDocument = 64 << 10;

    private readonly Lock _gate = new();
    private readonly Dictionary<(Digest, string), ImageDocument> _documents = [];

    public ImageDocument Get(Descriptor descriptor, Func<ImageDocument> read)
    {
        var key = (descriptor.Digest, descriptor.MediaType);
        lock (_gate)
        {
            if (_documents.TryGetValue(key, out var known)) return known;
        }

        var document = read();
        if (document.Bytes.Length > LargestDocument) return document;
        lock (_gate)
        {
            if (_documents.Count >= Capacity) _documents.Clear();
            _documents[key] = document;
        }

        return document;
    }
}
