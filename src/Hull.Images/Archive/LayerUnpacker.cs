using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Content;

namespace Hull.Images.Archive;

/// <summary>
/// Unpacks a layer tar into a sink in one pass, hashing it on the way. All that a layer may not do is refused here or by
/// the sink, so every snapshotter is equally safe.
/// </summary>
public static class LayerUnpacker
{
    private const int CancellationInterval = 256;

    /// <summary>
    /// Reads <paramref name="tar"/> to its end; answers the digest of all of it and the number of entries.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/>, <see cref="ErrorKind.ResourceExhausted"/>.</exception>
    public static (Digest DiffId, long Entries) Unpack(Stream tar, ILayerSink sink, UnpackLimits limits, CancellationToken cancellation = default)
    {
        using var hash = new ContentHash();
        var reader = new TarReader(new HashingStream(tar, hash), limits);
        long entries = 0;
        while (reader.Next())
        {
            if (++entries % CancellationInterval == 0) cancellation.ThrowIfCancellationRequested();
            Take(reader, sink, limits);
        }

        reader.Drain();
        return (hash.Current(), entries);
    }

    private static void Take(TarReader reader, ILayerSink sink, UnpackLimits limits)
    {
        var entry = reader.Entry;
        var path = LayerPath.Normalize(entry.Path, limits);
        var (directoryLength, nameStart) = LayerPath.Split(path);
        var directory = path.AsSpan(0, directoryLength);
        RefuseHidden(directory);
        switch (LayerPath.WhiteoutOf(path.AsSpan(nameStart), out var hidden))
        {
            case WhiteoutKind.Whiteout: sink.Whiteout(directory, hidden); return;
            case WhiteoutKind.Opaque: sink.Opaque(directory); return;
            case WhiteoutKind.Leftover: return;
        }

        // overlayfs keeps its own bookkeeping in these; a layer that brings some would steer what is seen of the others.
        entry.Xattrs.RemoveAll(xattr => xattr.Name.StartsWith("trusted.overlay.", StringComparison.Ordinal)
            || xattr.Name.StartsWith("user.overlay.", StringComparison.Ordinal) || xattr.Name == "security.selinux");
        if (entry is { Kind: TarEntryKind.CharacterDevice, DeviceMajor: 0, DeviceMinor: 0 })
            throw HullException.Corrupted($"tar entry {TarFormat.Show(entry.Path)} is the device 0/0, which overlayfs takes for a deletion");
        sink.Add(path, reader);
    }

    /// <summary>A directory named like a whiteout could be unpacked, but never be seen or exported again.</summary>
    private static void RefuseHidden(ReadOnlySpan<byte> directory)
    {
        foreach (var range in directory.Split((byte)'/'))
        {
            if (directory[range].StartsWith(".wh."u8))
                throw HullException.Corrupted($"tar has an entry inside the whiteout {TarFormat.Show(directory)}");
        }
    }
}
