using System.Globalization;
using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Engine.Volumes;

/// <summary>
/// The options of the local driver: <c>type</c>, <c>device</c> and <c>o</c> are those of mount(8), as users of other
/// engines know them; <c>size</c> bounds the volume (a file system of its own in a sparse file, or the size of a tmpfs).
/// </summary>
internal sealed record VolumeOptions(string? Type, string? Device, ulong Flags, string? Data, long Size)
{
    private static readonly Dictionary<string, (ulong Set, ulong Clear)> Words = new()
    {
        ["ro"] = (MountFlags.MS_RDONLY, 0), ["rw"] = (0, MountFlags.MS_RDONLY),
        ["nosuid"] = (MountFlags.MS_NOSUID, 0), ["suid"] = (0, MountFlags.MS_NOSUID),
        ["nodev"] = (MountFlags.MS_NODEV, 0), ["dev"] = (0, MountFlags.MS_NODEV),
        ["noexec"] = (MountFlags.MS_NOEXEC, 0), ["exec"] = (0, MountFlags.MS_NOEXEC),
        ["sync"] = (MountFlags.MS_SYNCHRONOUS, 0), ["async"] = (0, MountFlags.MS_SYNCHRONOUS),
        ["noatime"] = (MountFlags.MS_NOATIME, 0), ["nodiratime"] = (MountFlags.MS_NODIRATIME, 0),
        ["relatime"] = (MountFlags.MS_RELATIME, 0), ["strictatime"] = (MountFlags.MS_STRICTATIME, 0),
        ["bind"] = (MountFlags.MS_BIND, 0), ["rbind"] = (MountFlags.MS_BIND | MountFlags.MS_REC, 0), ["defaults"] = (0, 0),
    };

    /// <summary>Whether the volume has to be mounted before it is used.</summary>
    public bool NeedsMount => Type is not null || Size > 0;

    /// <summary>Whether the volume is a file system in a file of its own.</summary>
    public bool HasDisk => Type is null && Size > 0;

    /// <summary>Reads and checks options; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static VolumeOptions Parse(IReadOnlyDictionary<string, string> options)
    {
        foreach (var name in options.Keys)
        {
            if (name is not ("type" or "device" or "o" or "size")) throw HullException.Invalid($"unknown volume option '{name}': the local driver has type, device, o and size");
        }

        var type = options.GetValueOrDefault("type") is { Length: > 0 } t ? t : null;
        var device = options.GetValueOrDefault("device") is { Length: > 0 } d ? d : null;
        var size = options.TryGetValue("size", out var text) ? ParseSize(text) : 0;
        var (flags, data) = ParseMountOptions(options.GetValueOrDefault("o") ?? "");
        if ((flags & MountFlags.MS_BIND) != 0) type ??= "none";
        if (type is null && (device is not null || flags != 0 || data.Count > 0)) throw HullException.Invalid("volume options device and o need a type, such as nfs, tmpfs, overlay or none (with o=bind)");
        if (type is not null && type.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.'))) throw HullException.Invalid($"invalid volume type '{type}'");
        if (type == "none" && (flags & MountFlags.MS_BIND) == 0) throw HullException.Invalid("volume type none needs o=bind");
        if (type is not (null or "tmpfs") && device is null) throw HullException.Invalid($"volume type {type} needs a device");
        if ((flags & MountFlags.MS_BIND) != 0 && !Path.IsPathFullyQualified(device!)) throw HullException.Invalid($"volume device '{device}' must be an absolute path to be bound");
        if (size > 0 && type == "tmpfs") data.Add("size=" + size.ToString(CultureInfo.InvariantCulture));
        else if (size > 0 && type is not null) throw HullException.Invalid($"a size cannot be set on volume type {type}: the file system there has its own");
        return new VolumeOptions(type, device, flags, data.Count == 0 ? null : string.Join(',', data), size);
    }

    /// <summary>Bytes of <c>10g</c>, <c>512m</c>, <c>64k</c> or a plain number, in powers of 1024.</summary>
    public static long ParseSize(string text)
    {
        var digits = text.TrimEnd('b', 'B', 'i').AsSpan();
        var shift = digits.Length == 0 ? 0 : char.ToLowerInvariant(digits[^1]) switch { 'k' => 10, 'm' => 20, 'g' => 30, 't' => 40, _ => 0 };
        if (shift > 0) digits = digits[..^1];
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number <= 0 || number > long.MaxValue >> shift)
            throw HullException.Invalid($"invalid volume size '{text}': expected a number with k, m, g or t");
        return number << shift;
    }

    private static (ulong Flags, List<string> Data) ParseMountOptions(string text)
    {
        var flags = 0UL;
        var data = new List<string>();
        foreach (var word in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (Words.TryGetValue(word, out var flag)) flags = (flags & ~flag.Clear) | flag.Set;
            else data.Add(word);
        }

        return (flags, data);
    }
}
