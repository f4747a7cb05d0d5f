using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// Names of one FAT directory: 8.3 names where they fit, else a long name with a generated short one
/// (Microsoft FAT specification 1.03, "Long Directory Entries").
/// </summary>
internal sealed class FatName
{
    private const int EntrySize = 32;
    private const int CharactersPerEntry = 13;
    private readonly HashSet<string> _taken = [];

    /// <summary>How many directory entries a name needs.</summary>
    public static int EntryCount(string name) =>
        IsShort(name) ? 1 : 1 + (name.Length + CharactersPerEntry - 1) / CharactersPerEntry;

    /// <summary>The entries of one file or directory, long name first.</summary>
    public byte[] Entries(string name, byte attributes, ushort cluster, uint size)
    {
        if (name.Length > 255 || name.IndexOfAny(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) >= 0)
            throw HullException.Invalid($"'{name}' cannot be a name on a FAT volume");
        var shortName = IsShort(name) ? Pack(name.Split('.')) : Generate(name);
        if (!_taken.Add(shortName)) throw HullException.Invalid($"two names on the FAT volume collide in '{shortName}'");
        var shortBytes = Encoding.ASCII.GetBytes(shortName);
        using var entries = new MemoryStream();
        if (!IsShort(name)) WriteLong(entries, name, Checksum(shortBytes));
        entries.Write(Entry(shortBytes, attributes, cluster, size));
        return entries.ToArray();
    }

    /// <summary>One short entry. The time is 1980-01-01, the first the format has.</summary>
    public static byte[] Entry(ReadOnlySpan<byte> shortName, byte attributes, ushort cluster, uint size)
    {
        const ushort firstDay = (1 << 5) | 1;
        var entry = new byte[EntrySize];
        shortName.CopyTo(entry);
        entry[11] = attributes;
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(16), firstDay);
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(18), firstDay);
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(24), firstDay);
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(26), cluster);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(28), size);
        return entry;
    }

    private static bool IsShort(string name)
    {
        var parts = name.Split('.');
        return parts.Length <= 2 && parts[0].Length is >= 1 and <= 8 && (parts.Length == 1 || parts[1].Length is >= 1 and <= 3) &&
               name.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c is '.' or '_' or '-');
    }

    private static string Pack(string[] parts) => parts[0].PadRight(8) + (parts.Length > 1 ? parts[1] : "").PadRight(3);

    private string Generate(string name)
    {
        static string Clean(string text) =>
            new([.. text.ToUpperInvariant().Where(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-')]);
        var dot = name.LastIndexOf('.');
        var stem = Clean(dot > 0 ? name[..dot] : name);
        var extension = dot > 0 ? Clean(name[(dot + 1)..]) : "";
        for (var number = 1; ; number++)
        {
            var tail = "~" + number.ToString(CultureInfo.InvariantCulture);
            var candidate = Pack([stem[..Math.Min(stem.Length, 8 - tail.Length)] + tail, extension[..Math.Min(extension.Length, 3)]]);
            if (!_taken.Contains(candidate)) return candidate;
        }
    }

    private static byte Checksum(ReadOnlySpan<byte> shortName)
    {
        byte sum = 0;
        foreach (var value in shortName) sum = (byte)(((sum & 1) << 7) + (sum >> 1) + value);
        return sum;
    }

    /// <summary>Long entries stand in reverse order; each holds 13 UTF-16 units at offsets 1, 14 and 28.</summary>
    private static void WriteLong(MemoryStream output, string name, byte checksum)
    {
        var count = (name.Length + CharactersPerEntry - 1) / CharactersPerEntry;
        for (var part = count; part >= 1; part--)
        {
            var entry = new byte[EntrySize];
            entry[0] = (byte)(part | (part == count ? 0x40 : 0));
            entry[11] = 0x0F; // ATTR_LONG_NAME
            entry[13] = checksum;
            for (var i = 0; i < CharactersPerEntry; i++)
            {
                var at = (part - 1) * CharactersPerEntry + i;
                var unit = at < name.Length ? name[at] : at == name.Length ? '\0' : '\uFFFF';
                var offset = i < 5 ? 1 + i * 2 : i < 11 ? 14 + (i - 5) * 2 : 28 + (i - 11) * 2;
                BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(offset), unit);
            }

            output.Write(entry);
        }
    }
}
