using System.Text.Json;
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
        return (Parse(content, RuntimeJson.Default.Spec, path), content);
    }

    /// <summary>Reads the document of an exec.</summary>
    public static ProcessSpec ReadProcess(string path) => Parse(Read(path), RuntimeJson.Default.ProcessSpec, path);

    public static T Parse<T>(ReadOnlySpan<byte> content, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, string path)
    {
        try
        {
            return JsonSerializer.Deserialize(content, type) ?? throw HullException.Invalid($"{path}: the document is null");
        }
        catch (JsonException error)
        {
            var place = error.Path is null or "$" ? "" : " at " + error.Path.TrimStart('$', '.');
            throw HullException.Invalid($"{path} is not valid JSON of the runtime specification{place} (line {error.LineNumber + 1})");
        }
    }

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
