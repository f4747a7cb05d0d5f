using System.Security.Cryptography;
using Hull.Core;
using Microsoft.Win32.SafeHandles;

namespace Hull.Images.Content;

/// <summary>A digest being computed over content that passes by.</summary>
public sealed class ContentHash : IDisposable
{
    private readonly IncrementalHash _hash;

    public ContentHash(string algorithm = "sha256")
    {
        Algorithm = algorithm;
        _hash = IncrementalHash.CreateHash(algorithm switch
        {
            "sha256" => HashAlgorithmName.SHA256,
            "sha512" => HashAlgorithmName.SHA512,
            _ => throw HullException.Unsupported($"digest algorithm {algorithm} is not supported: use sha256"),
        });
    }

    public string Algorithm { get; }

    /// <summary>Bytes so far.</summary>
    public long Length { get; private set; }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        _hash.AppendData(bytes);
        Length += bytes.Length;
    }

    /// <summary>Appends a stream to its end.</summary>
    public void Append(Stream stream, CancellationToken cancellation = default)
    {
        var buffer = new byte[1 << 20];
        int count;
        while ((count = stream.Read(buffer)) > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            Append(buffer.AsSpan(0, count));
        }
    }

    /// <summary>Appends a file from its start to its end.</summary>
    public void Append(SafeFileHandle file)
    {
        var buffer = new byte[1 << 20];
        int count;
        for (long offset = 0; (count = RandomAccess.Read(file, buffer, offset)) > 0; offset += count) Append(buffer.AsSpan(0, count));
    }

    /// <summary>The digest of everything so far; more can be appended afterwards.</summary>
    public Digest Current() => Digest.FromHash(Algorithm, _hash.GetCurrentHash());

    public void Dispose() => _hash.Dispose();

    /// <summary>Throws <see cref="ErrorKind.DataCorrupted"/> unless the bytes have this digest.</summary>
    public static void Check(ReadOnlySpan<byte> bytes, Digest expected)
    {
        using var hash = new ContentHash(expected.Algorithm);
        hash.Append(bytes);
        if (hash.Current() != expected) throw Mismatch(expected, hash.Current());
    }

    public static HullException Mismatch(Digest expected, Digest actual) =>
        HullException.Corrupted($"content has the digest {actual}, expected {expected}");
}
