using System.IO.Compression;
using Hull.Core;
using Hull.Images.Content;
using Hull.Oci.Image;

namespace Hull.Images.Bootstrap;

/// <summary>A layer in the store: how it is found, and the digest of its uncompressed tar.</summary>
internal sealed record StagedLayer(Descriptor Descriptor, Digest DiffId);

/// <summary>Writes layer tars into the store, compressed with gzip, which every client reads.</summary>
internal static class LayerStaging
{
    /// <summary>Stores what <paramref name="write"/> writes. The same tar always gives the same blob.</summary>
    public static StagedLayer Write(ContentStore store, Lease lease, Action<Stream> write)
    {
        using var ingest = store.BeginIngest("layer-" + RandomId.Short(RandomId.New()), lease);
        using var hash = new ContentHash();
        try
        {
            using (var gzip = new GZipStream(new IngestStream(ingest), CompressionLevel.Optimal))
            using (var hashed = new HashingWriter(gzip, hash))
                write(hashed);
            var size = ingest.Offset;
            var digest = ingest.Commit();
            return new StagedLayer(new Descriptor { MediaType = MediaTypes.OciLayerGzip, Digest = digest, Size = size }, hash.Current());
        }
        catch
        {
            ingest.Abandon();
            throw;
        }
    }

    private abstract class WriteOnlyStream : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }

    private sealed class IngestStream(IngestWriter ingest) : WriteOnlyStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => ingest.Write(buffer);
    }

    private sealed class HashingWriter(Stream inner, ContentHash hash) : WriteOnlyStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            hash.Append(buffer);
            inner.Write(buffer);
        }
    }
}
