using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Linux.Files;

/// <summary>Reads sections of a 64-bit little-endian ELF file (System V gABI, chapter 4), with bounds on every access.</summary>
public static class ElfSections
{
    /// <summary>Directories in which a program's libraries are looked for, as distributions have them.</summary>
    public static IReadOnlyList<string> LibraryDirectories { get; } =
    [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib",
    ];

    /// <summary>Path of the program interpreter; empty for a program that is linked statically.</summary>
    public static string Interpreter(ReadOnlySpan<byte> file) => Encoding.UTF8.GetString(Find(file, ".interp")).TrimEnd('\0');

    /// <summary>Names of the libraries in the <c>DT_NEEDED</c> entries (System V gABI, chapter 5).</summary>
    public static IReadOnlyList<string> Needed(ReadOnlySpan<byte> file)
    {
        var names = new List<string>();
        var dynamic = Find(file, ".dynamic");
        var strings = Find(file, ".dynstr");
        for (var at = 0; at + 16 <= dynamic.Length; at += 16)
        {
            const long neededTag = 1;
            if (BinaryPrimitives.ReadInt64LittleEndian(dynamic[at..]) != neededTag) continue;
            var offset = (int)BinaryPrimitives.ReadInt64LittleEndian(dynamic[(at + 8)..]);
            if ((uint)offset >= (uint)strings.Length) throw HullException.Corrupted("the ELF file has a broken string table");
            names.Add(NameAt(strings[offset..]));
        }

        return names;
    }

    /// <summary>The bytes of the first section of that name; empty where there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> file, string name)
    {
        if (file.Length < 64 || !file[..6].SequenceEqual("\u007fELF\u0002\u0001"u8))
            throw HullException.Corrupted("not a 64-bit little-endian ELF file");
        var table = BinaryPrimitives.ReadUInt64LittleEndian(file[0x28..]);
        var entrySize = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3A..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3C..]);
        var namesIndex = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3E..]);
        if (entrySize < 64 || namesIndex >= count) throw HullException.Corrupted("the ELF file has a broken section table");
        var names = Content(file, Slice(file, table + (ulong)(namesIndex * entrySize), 64));
        for (var index = 0; index < count; index++)
        {
            var header = Slice(file, table + (ulong)(index * entrySize), 64);
            var offset = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (offset < names.Length && NameAt(names[(int)offset..]) == name) return Content(file, header);
        }

        return default;
    }

    /// <summary>The <c>key=value</c> strings of a kernel module's <c>.modinfo</c> section.</summary>
    public static IReadOnlyList<(string Key, string Value)> ModuleInfo(ReadOnlySpan<byte> module)
    {
        var entries = new List<(string, string)>();
        foreach (var text in Encoding.UTF8.GetString(Find(module, ".modinfo")).Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0) entries.Add((text[..equals], text[(equals + 1)..]));
        }

        return entries;
    }

    private static string NameAt(ReadOnlySpan<byte> text)
    {
        var end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }

    private static ReadOnlySpan<byte> Content(ReadOnlySpan<byte> file, ReadOnlySpan<byte> header) => Slice(file,
        BinaryPrimitives.ReadUInt64LittleEndian(header[0x18..]), BinaryPrimitives.ReadUInt64LittleEndian(header[0x20..]));

    private static ReadOnlySpan<byte> Slice(ReadOnlySpan<byte> file, ulong offset, ulong length) =>
        offset <= (ulong)file.Length && length <= (ulong)file.Length - offset
            ? file.Slice((int)offset, (int)length)
            : throw HullException.Corrupted("the ELF file is cut short");
}
