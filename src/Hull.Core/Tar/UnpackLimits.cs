namespace Hull.Core.Tar;

/// <summary>
/// What a layer may cost before it is refused. Nobody's layer comes near the defaults; a decompression bomb or a
/// tar that never ends does.
/// </summary>
public sealed record UnpackLimits
{
    public static UnpackLimits Default { get; } = new();

    /// <summary>Bytes of one layer's uncompressed tar.</summary>
    public long MaxLayerSize { get; init; } = 256L << 30;

    /// <summary>
    /// Uncompressed bytes per compressed byte, asked of a layer once it has grown past <see cref="RatioFreeSize"/>. A gzip
    /// stream cannot exceed 1032.
    /// </summary>
    public int MaxRatio { get; init; } = 300;

    /// <summary>Uncompressed bytes below which the ratio does not matter.</summary>
    public long RatioFreeSize { get; init; } = 1L << 30;

    /// <summary>Apparent size of one file, holes included.</summary>
    public long MaxFileSize { get; init; } = 8L << 40;

    public long MaxEntries { get; init; } = 20_000_000;

    /// <summary>Bytes of a whole path; the kernel's PATH_MAX.</summary>
    public int MaxPathLength { get; init; } = 4096;

    /// <summary>Bytes of one name in a path; the kernel's NAME_MAX.</summary>
    public int MaxNameLength { get; init; } = 255;

    /// <summary>Directories one inside the other.</summary>
    public int MaxDepth { get; init; } = 1024;

    /// <summary>Bytes of one PAX or GNU extended header; they are held in memory.</summary>
    public int MaxExtendedHeader { get; init; } = 1 << 20;

    /// <summary>Pieces of a sparse file.</summary>
    public int MaxSparseRegions { get; init; } = 1 << 20;

    /// <summary>Bytes of all extended attributes of one file; the kernel's XATTR_LIST_MAX with XATTR_SIZE_MAX for one value.</summary>
    public int MaxXattrBytes { get; init; } = 256 << 10;
}
