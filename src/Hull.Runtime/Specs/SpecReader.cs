using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Specs;

/// <summary>Reads config.json and process documents, turning what is wrong with them into one clear line.</summary>
public static class SpecReader
{
    /// <summary>The most a config.json may have; real ones have some ten kilobytes.</summary>
    public const int MaxSize = 16 << 20;

    /// <summary>Reads the config.json of a bundle.</summary>
    public static (Spec Spec, byte[] Content) ReadBundle(string bundle)
    {
        var path = bundle.TrimEnd('/') + "/config.json";
        var content = Read(path);
        return (RuntimeDocuments.ParseSpec(content, path), content);
    }

    /// <summary>Reads the document of an exec.</summary>
    public static ProcessSpec ReadProcess(string path) => RuntimeDocuments.ParseProcess(Read(path), path);

    private static byte[] Read(string path)
    {
        try
        {
            return AtomicFile.Read(path, MaxSize);
        }
        catch (HullException error) when (error.Errno == Errno.ENOENT)
        {
            throw HullException.NotFound($"{path} does not exist");
        }
    }
}
