using System.Text.Json;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Images.Content;

/// <summary>The <c>oci-layout</c> file, by which other tools recognize the store.</summary>
internal static class LayoutFile
{
    public static void Ensure(string root)
    {
        var path = Path.Combine(root, "oci-layout");
        if (!File.Exists(path)) AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(new LayoutMarker(), ImageJson.Default.LayoutMarker));
        else Check(path);
    }

    private static void Check(string path)
    {
        LayoutMarker? marker;
        try
        {
            marker = JsonSerializer.Deserialize(File.ReadAllBytes(path), ImageJson.Default.LayoutMarker);
        }
        catch (JsonException error)
        {
            throw HullException.Corrupted($"{path} cannot be read", error);
        }

        if (marker?.ImageLayoutVersion is not { } version || !version.StartsWith("1.", StringComparison.Ordinal))
            throw HullException.Unsupported($"{path} says layout version '{marker?.ImageLayoutVersion}', expected 1.0.0");
    }
}
