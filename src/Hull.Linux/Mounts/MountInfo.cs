using System.Text;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>One mount as a line of /proc/[pid]/mountinfo tells it; see proc_pid_mountinfo(5).</summary>
public sealed record MountEntry(
    int Id, int ParentId, uint Major, uint Minor, string Root, string Target, string Options, string OptionalFields,
    string FileSystem, string Source, string SuperOptions)
{
    /// <summary>Whether propagation is shared (a <c>shared:N</c> field).</summary>
    public bool IsShared => OptionalFields.Contains("shared:", StringComparison.Ordinal);

    public bool IsReadOnly => HasOption("ro");

    public bool HasOption(string option) => Array.IndexOf(Options.Split(','), option) >= 0;
}

/// <summary>Parses mountinfo. Lines that are not of its form are refused or skipped, never fatal to the process.</summary>
public static class MountInfo
{
    private const int MaxSize = 64 << 20;

    /// <summary>The mounts of this process's mount namespace.</summary>
    public static List<MountEntry> ReadSelf()
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(Abi.Fcntl.AT_FDCWD, "/proc/self/mountinfo", Abi.Fcntl.O_RDONLY), $"open mountinfo");
        return Parse(file.ReadToEnd(MaxSize, "/proc/self/mountinfo"));
    }

    public static List<MountEntry> Parse(ReadOnlySpan<byte> content)
    {
        var mounts = new List<MountEntry>();
        foreach (var range in content.Split((byte)'\n'))
        {
            var line = content[range];
            if (!line.IsEmpty && TryParseLine(NativeText.Decode(line)) is { } mount) mounts.Add(mount);
        }

        return mounts;
    }

    /// <summary>One line, or null where it has not the form.</summary>
    public static MountEntry? TryParseLine(string line)
    {
        var fields = line.Split(' ');
        var separator = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
        if (separator < 6 || fields.Length < separator + 4) return null;
        var device = fields[2].Split(':');
        if (!int.TryParse(fields[0], out var id) || !int.TryParse(fields[1], out var parent) || device.Length != 2
            || !uint.TryParse(device[0], out var major) || !uint.TryParse(device[1], out var minor)) return null;
        return new MountEntry(id, parent, major, minor, Unescape(fields[3]), Unescape(fields[4]), fields[5],
            string.Join(' ', fields[6..separator]), Unescape(fields[separator + 1]), Unescape(fields[separator + 2]), fields[separator + 3]);
    }

    /// <summary>Space, tab, newline, backslash and # are written as a backslash and three octal digits.</summary>
    private static string Unescape(string text)
    {
        if (!text.Contains('\\')) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) && IsOctal(text[i + 3]))
            {
                result.Append((char)(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0')));
                i += 3;
            }
            else
            {
                result.Append(text[i]);
            }
        }

        return result.ToString();
    }

    private static bool IsOctal(char c) => c is >= '0' and <= '7';
}
