using System.Buffers.Binary;
using System.Text;

namespace Hull.Hypervisor.Disks;

/// <summary>The one field of a qcow2 header (QEMU, docs/interop/qcow2.rst) that is asked for too often for a program.</summary>
public static class Qcow2Header
{
    private const uint Magic = 0x514649FB; // "QFI\xfb"
    private const uint LongestName = 1023;

    /// <summary>Name of the backing file; null where there is none, or where the file is not a qcow2 image.</summary>
    public static string? BackingFileOf(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        Span<byte> header = stackalloc byte[20];
        if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length ||
            BinaryPrimitives.ReadUInt32BigEndian(header) != Magic) return null;
        var offset = BinaryPrimitives.ReadUInt64BigEndian(header[8..]);
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[16..]);
        if (offset == 0 || length == 0 || length > LongestName || offset > (ulong)file.Length) return null;
        var name = new byte[length];
        file.Position = (long)offset;
        return file.ReadAtLeast(name, name.Length, throwOnEndOfStream: false) == name.Length ? Encoding.UTF8.GetString(name) : null;
    }
}
