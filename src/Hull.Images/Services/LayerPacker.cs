using System.IO.Compression;
using Hull.Core;
using Hull.Images.Content;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>Stores a new layer: the tar goes through one pass of hashing, compressing and hashing again into the store.</summary>
internal static class LayerPacker
{
    public static Task<(Descriptor Descriptor, Digest DiffId)> PackAsync(ContentStore content, Lease lease, Action<Stream> write,
        CancellationToken cancellation) => Task.Run(() =>
    {
        using var ingest = content.BeginIngest("layer-" + RandomId.New(), lease);
        try
        {
            using var diffId = new ContentHash();
            using (var gzip = new GZipStream(new IngestStream(ingest), CompressionLevel.Fastest))
            using (var tar = new HashingWriteStream(gzip, diffId)) write(tar);
            cancellation.ThrowIfCancellationRequested();
            var digest = ingest.Commit();
            return (new Descriptor { MediaType = MediaTypes.OciLayerGzip, Digest = digest, Size = ingest.Offset }, diffId.Current());
        }
        catch
        {
            ingest.Abandon();
            throw;
        }
    }, cancellation);

    private sealed class IngestStream(IngestWriter writer) : WriteOnlyStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => writer.Write(buffer);
    }

    private sealed class HashingWriteStream(Stream inner, ContentHash hash) : WriteOnlyStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            hash.Append(buffer);
            inner.Write(buffer);
        }
    }

    private abstract class WriteOnlyStream : Stream
    {
        public sealed override bool CanRead => false;

        public sealed override bool CanSeek => false;

        public sealed override bool CanWrite => true;

        public sealed override long Length => throw new NotSupportedException();

        public sealed override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public abstract override void Write(ReadOnlySpan<byte> buffer);

        public sealed override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public sealed override void Flush()
        {
        }

        public sealed override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public sealed override void SetLength(long value) => throw new NotSupportedException();
    }
}
