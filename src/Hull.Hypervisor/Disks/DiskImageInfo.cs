using System.Text.Json;

namespace Hull.Hypervisor.Disks;

/// <summary>What <c>qemu-img info</c> says of an image.</summary>
/// <param name="VirtualBytes">Size the guest sees.</param>
/// <param name="AllocatedBytes">Size the file takes on the host.</param>
/// <param name="BackingFile">The image it stands on; null where it is whole.</param>
/// <param name="OtherFiles">Files its data is in, where the format names any: extents, an external data file.</param>
public sealed record DiskImageInfo(string Format, long VirtualBytes, long AllocatedBytes, string? BackingFile,
    IReadOnlyList<string> OtherFiles)
{
    internal static DiskImageInfo From(JsonElement info)
    {
        List<string> files = [];
        if (info.TryGetProperty("format-specific", out var specific) && specific.TryGetProperty("data", out var data))
        {
            if (data.TryGetProperty("data-file", out var dataFile)) files.Add(dataFile.GetString() ?? "");
            if (data.TryGetProperty("extents", out var extents))
            {
                foreach (var extent in extents.EnumerateArray())
                {
                    if (extent.TryGetProperty("filename", out var name)) files.Add(name.GetString() ?? "");
                }
            }
        }

        return new DiskImageInfo(
            info.GetProperty("format").GetString() ?? "raw",
            info.GetProperty("virtual-size").GetInt64(),
            info.TryGetProperty("actual-size", out var actual) ? actual.GetInt64() : 0,
            info.TryGetProperty("backing-filename", out var backing) ? backing.GetString() : null,
            files);
    }
}
