using System.Globalization;
using Hull.Core;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>--mount type=bind,source=…,target=…</c>.</summary>
internal static class MountOption
{
    public static MountRequest Parse(string text)
    {
        var mount = new MountRequest { Type = "volume" };
        foreach (var field in Fields(text))
        {
            var equals = field.IndexOf('=', StringComparison.Ordinal);
            Apply(mount, (equals < 0 ? field : field[..equals]).ToLowerInvariant(), equals < 0 ? "" : field[(equals + 1)..], text);
        }

        if (string.IsNullOrEmpty(mount.Target)) throw HullException.Invalid($"invalid mount '{text}': target is missing");
        return mount;
    }

    private static void Apply(MountRequest mount, string key, string value, string text)
    {
        switch (key)
        {
            case "type": mount.Type = value.ToLowerInvariant(); break;
            case "source" or "src": mount.Source = value.StartsWith("./", StringComparison.Ordinal) ? Path.GetFullPath(value) : value; break;
            case "target" or "dst" or "destination": mount.Target = value; break;
            case "readonly" or "ro": mount.ReadOnly = Flag(value, text); break;
            case "consistency": break;
            case "bind-propagation": (mount.BindOptions ??= new BindOptions()).Propagation = value; break;
            case "bind-nonrecursive": (mount.BindOptions ??= new BindOptions()).NonRecursive = Flag(value, text); break;
            case "bind-create-src": (mount.BindOptions ??= new BindOptions()).CreateMountpoint = Flag(value, text); break;
            case "bind-recursive": Recursive(mount, value, text); break;
            case "volume-nocopy": (mount.VolumeOptions ??= new VolumeOptions()).NoCopy = Flag(value, text); break;
            case "volume-subpath": (mount.VolumeOptions ??= new VolumeOptions()).Subpath = value; break;
            case "volume-label": Pair((mount.VolumeOptions ??= new VolumeOptions()).Labels ??= [], value); break;
            case "volume-driver": ((mount.VolumeOptions ??= new VolumeOptions()).DriverConfig ??= new VolumeDriverConfig()).Name = value; break;
            case "volume-opt": Pair(((mount.VolumeOptions ??= new VolumeOptions()).DriverConfig ??= new VolumeDriverConfig()).Options ??= [], value); break;
            case "image-subpath": (mount.ImageOptions ??= new ImageOptions()).Subpath = value; break;
            case "tmpfs-size": (mount.TmpfsOptions ??= new TmpfsOptions()).SizeBytes = ByteSize.Parse(value); break;
            case "tmpfs-mode": (mount.TmpfsOptions ??= new TmpfsOptions()).Mode = Mode(value, text); break;
            default: throw HullException.Invalid($"invalid mount '{text}': unknown key '{key}'");
        }
    }

    private static void Recursive(MountRequest mount, string value, string text)
    {
        var options = mount.BindOptions ??= new BindOptions();
        switch (value)
        {
            case "enabled": break;
            case "disabled": options.NonRecursive = true; break;
            case "writable": options.ReadOnlyNonRecursive = true; break;
            case "readonly": options.ReadOnlyForceRecursive = true; break;
            default: throw HullException.Invalid($"invalid mount '{text}': bind-recursive is enabled, disabled, writable or readonly");
        }
    }

    /// <summary>Fields parted by commas; a field in double quotes may hold commas (RFC 4180).</summary>
    private static IEnumerable<string> Fields(string text)
    {
        var field = new System.Text.StringBuilder();
        var quoted = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '"' && quoted && i + 1 < text.Length && text[i + 1] == '"') field.Append(text[++i]);
            else if (text[i] == '"') quoted = !quoted;
            else if (text[i] == ',' && !quoted)
            {
                yield return field.ToString();
                field.Clear();
            }
            else field.Append(text[i]);
        }

        yield return field.ToString();
    }

    private static int Mode(string value, string text)
    {
        try
        {
            return Convert.ToInt32(value, 8);
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            throw HullException.Invalid(string.Create(CultureInfo.InvariantCulture, $"invalid mount '{text}': tmpfs-mode is an octal number"));
        }
    }

    private static bool Flag(string value, string text) => value.ToLowerInvariant() switch
    {
        "" or "true" or "1" => true,
        "false" or "0" => false,
        _ => throw HullException.Invalid($"invalid mount '{text}': '{value}' is neither true nor false"),
    };

    private static void Pair(Dictionary<string, string> map, string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        map[equals < 0 ? text : text[..equals]] = equals < 0 ? "" : text[(equals + 1)..];
    }
}
