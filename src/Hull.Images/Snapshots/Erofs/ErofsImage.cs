using Hull.Images.Archive;
using Hull.Core.Tar;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>Single erofs images, outside any store.</summary>
public static class ErofsImage
{
    /// <summary>Writes the image of a tar archive to a new file.</summary>
    public static void Write(string path, Stream tar)
    {
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        var limits = new UnpackLimits();
        var writer = new ErofsWriter(file, limits);
        var (digest, _) = LayerUnpacker.Unpack(tar, writer, limits);
        writer.Finish(digest);
    }
}
