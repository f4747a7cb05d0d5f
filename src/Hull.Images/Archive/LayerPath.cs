using Hull.Core;
using Hull.Core.Tar;

namespace Hull.Images.Archive;

/// <summary>Names of a layer's entries, brought into one form: components joined by '/', nothing before, after or between.</summary>
public static class LayerPath
{
    private static ReadOnlySpan<byte> WhiteoutPrefix => ".wh."u8;

    /// <summary>
    /// Removes leading and doubled slashes and <c>.</c>; an absolute name means the same relative to the root, as
    /// everywhere. Empty for the root itself.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.DataCorrupted"/> for <c>..</c>, NUL bytes and names the
    /// kernel could not have.</exception>
    public static byte[] Normalize(ReadOnlySpan<byte> raw, UnpackLimits limits)
    {
        if (raw.Contains((byte)0)) throw HullException.Corrupted($"tar entry {TarFormat.Show(raw)} has a NUL byte in its name");
        var path = new byte[raw.Length];
        var (length, depth) = (0, 0);
        foreach (var range in raw.Split((byte)'/'))
        {
            var part = raw[range];
            if (part.IsEmpty || part.SequenceEqual("."u8)) continue;
            if (part.SequenceEqual(".."u8)) throw HullException.Corrupted($"tar entry {TarFormat.Show(raw)} has '..' in its name");
            if (part.Length > limits.MaxNameLength)
                throw HullException.Corrupted($"tar entry {TarFormat.Show(raw)} has a name longer than {limits.MaxNameLength} bytes");
            if (++depth > limits.MaxDepth) throw HullException.Corrupted($"tar entry {TarFormat.Show(raw)} lies deeper than {limits.MaxDepth} directories");
            if (length > 0) path[length++] = (byte)'/';
            part.CopyTo(path.AsSpan(length));
            length += part.Length;
        }

        if (length > limits.MaxPathLength) throw HullException.Corrupted($"tar entry {TarFormat.Show(raw)} has a name longer than {limits.MaxPathLength} bytes");
        Array.Resize(ref path, length);
        return path;
    }

    /// <summary>Parts a normalized path into the directory and the name in it.</summary>
    public static (int DirectoryLength, int NameStart) Split(ReadOnlySpan<byte> path)
    {
        var slash = path.LastIndexOf((byte)'/');
        return slash < 0 ? (0, 0) : (slash, slash + 1);
    }

    /// <summary>
    /// What a name means in a layer (image-spec layer.md, "Whiteouts"): <c>.wh.NAME</c> removes NAME of the layers below,
    /// <c>.wh..wh..opq</c> everything in its directory. Other names with <c>.wh..wh.</c> are leftovers of aufs.
    /// </summary>
    public static WhiteoutKind WhiteoutOf(ReadOnlySpan<byte> name, out ReadOnlySpan<byte> hidden)
    {
        hidden = default;
        if (!name.StartsWith(WhiteoutPrefix)) return WhiteoutKind.None;
        if (name.SequenceEqual(".wh..wh..opq"u8)) return WhiteoutKind.Opaque;
        hidden = name[WhiteoutPrefix.Length..];
        if (hidden.StartsWith(WhiteoutPrefix)) return WhiteoutKind.Leftover;
        return hidden.IsEmpty || hidden.SequenceEqual("."u8) || hidden.SequenceEqual(".."u8)
            ? throw HullException.Corrupted($"tar has the whiteout '{TarFormat.Show(name)}', which hides nothing")
            : WhiteoutKind.Whiteout;
    }
}

public enum WhiteoutKind
{
    None,
    Whiteout,
    Opaque,
    Leftover,
}
