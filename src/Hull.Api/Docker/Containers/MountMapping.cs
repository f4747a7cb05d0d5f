using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>The four ways in which Docker's clients ask for mounts, as one list.</summary>
internal static class MountMapping
{
    private static readonly string[] Propagations = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

    public static IReadOnlyList<MountConfig> ToMounts(ContainerCreateRequest request, HostConfig host) =>
        ToMounts(host.Binds, host.Mounts, host.Tmpfs, request.Volumes, host.VolumeDriver);

    public static IReadOnlyList<MountConfig> ToMounts(IReadOnlyList<string>? binds, List<MountRequest>? mounts,
        Dictionary<string, string>? tmpfs, IEnumerable<string>? volumes, string? driver)
    {
        var result = new List<MountConfig>();
        result.AddRange((binds ?? []).Select(b => ParseBind(b, CreateMapping.NullIfEmpty(driver))));
        result.AddRange((mounts ?? []).Select(ToMount));
        result.AddRange((tmpfs ?? []).Select(ToTmpfs));
        var taken = result.Select(m => Normalize(m.Target)).ToHashSet(StringComparer.Ordinal);
        foreach (var target in result.GroupBy(m => Normalize(m.Target), StringComparer.Ordinal).Where(g => g.Count() > 1))
            throw HullException.Invalid($"Duplicate mount point: {target.Key}");
        result.AddRange((volumes ?? []).Where(v => !taken.Contains(Normalize(v)))
            .Select(v => new MountConfig { Type = "volume", Target = Absolute(v), VolumeDriver = CreateMapping.NullIfEmpty(driver), ShortForm = true }));
        return result;
    }

    /// <summary><c>[source:]target[:options]</c>.</summary>
    public static MountConfig ParseBind(string text, string? driver = null)
    {
        var parts = text.Split(':');
        if (parts.Length is 0 or > 3 || parts.Any(p => p.Length == 0)) throw Invalid(text);
        if (parts.Length == 1) return new MountConfig { Type = "volume", Target = Absolute(parts[0]), ShortForm = true, VolumeDriver = driver };
        var source = parts[0];
        var mount = new MountConfig
        {
            Type = source.StartsWith('/') ? "bind" : "volume",
            Source = source,
            Target = Absolute(parts[1]),
            CreateSource = source.StartsWith('/'),
            ShortForm = true,
            VolumeDriver = source.StartsWith('/') ? null : driver,
        };
        if (source.StartsWith('.') || source.StartsWith('~')) throw HullException.Invalid($"invalid volume name '{source}': a path of the host must be absolute");
        return parts.Length == 3 ? parts[2].Split(',').Aggregate(mount, (m, o) => ApplyOption(m, o, text)) : mount;
    }

    private static MountConfig ApplyOption(MountConfig mount, string option, string text) => option switch
    {
        "rw" => mount,
        "ro" => mount with { ReadOnly = true },
        "rro" => mount with { ReadOnly = true, RecursiveReadOnly = true },
        "nocopy" => mount with { NoCopy = true },
        "copy" or "cached" or "delegated" or "consistent" => mount,
        "bind" => mount with { NonRecursive = true },
        "rbind" => mount,
        "z" or "Z" => mount with { Options = [.. mount.Options, option] },
        _ when Array.IndexOf(Propagations, option) >= 0 => mount with { Propagation = option },
        _ => throw HullException.Invalid($"invalid mode: {option} in mount '{text}'"),
    };

    private static MountConfig ToMount(MountRequest mount)
    {
        var target = Absolute(CreateMapping.NullIfEmpty(mount.Target) ?? throw HullException.Invalid("invalid mount config: Target must not be empty"));
        var source = mount.Source ?? "";
        return mount.Type switch
        {
            "bind" => Bind(mount, source, target),
            "volume" => Volume(mount, source, target),
            "tmpfs" => Tmpfs(mount, source, target),
            "image" => new MountConfig { Type = "image", Source = source, Target = target, ReadOnly = true, Subpath = CreateMapping.NullIfEmpty(mount.ImageOptions?.Subpath) },
            "npipe" or "cluster" => throw HullException.Unsupported($"mounts of type '{mount.Type}' are not supported: Hull runs on Linux and has no cluster volumes"),
            _ => throw HullException.Invalid($"invalid mount config: mount type unknown: \"{mount.Type}\""),
        };
    }

    private static MountConfig Bind(MountRequest mount, string source, string target)
    {
        if (!source.StartsWith('/')) throw HullException.Invalid($"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute");
        if (mount.VolumeOptions is not null || mount.TmpfsOptions is not null)
            throw HullException.Invalid("invalid mount config for type \"bind\": VolumeOptions and TmpfsOptions must not be specified");
        var options = mount.BindOptions;
        if (options?.Propagation is { Length: > 0 } propagation && Array.IndexOf(Propagations, propagation) < 0)
            throw HullException.Invalid($"invalid mount config for type \"bind\": invalid propagation '{propagation}'");
        return new MountConfig
        {
            Type = "bind",
            Source = source,
            Target = target,
            ReadOnly = mount.ReadOnly,
            Propagation = CreateMapping.NullIfEmpty(options?.Propagation),
            NonRecursive = options?.NonRecursive == true,
            CreateSource = options?.CreateMountpoint == true,
            RecursiveReadOnly = options?.ReadOnlyNonRecursive == true ? false : options?.ReadOnlyForceRecursive == true ? true : null,
        };
    }

    private static MountConfig Volume(MountRequest mount, string source, string target) => new()
    {
        Type = "volume",
        Source = source,
        Target = target,
        ReadOnly = mount.ReadOnly,
        NoCopy = mount.VolumeOptions?.NoCopy == true,
        Subpath = CreateMapping.NullIfEmpty(mount.VolumeOptions?.Subpath),
        VolumeDriver = CreateMapping.NullIfEmpty(mount.VolumeOptions?.DriverConfig?.Name),
        VolumeOptions = mount.VolumeOptions?.DriverConfig?.Options ?? [],
        VolumeLabels = mount.VolumeOptions?.Labels ?? [],
    };

    private static MountConfig Tmpfs(MountRequest mount, string source, string target)
    {
        if (source.Length > 0) throw HullException.Invalid("invalid mount config for type \"tmpfs\": field Source must not be specified");
        return new MountConfig
        {
            Type = "tmpfs",
            Target = target,
            ReadOnly = mount.ReadOnly,
            TmpfsSize = mount.TmpfsOptions?.SizeBytes is { } size and > 0 ? size : null,
            TmpfsMode = mount.TmpfsOptions?.Mode is { } mode and > 0 ? mode : null,
            Options = [.. (mount.TmpfsOptions?.Options ?? []).Select(o => string.Join('=', o))],
        };
    }

    private static MountConfig ToTmpfs(KeyValuePair<string, string> tmpfs) => new()
    {
        Type = "tmpfs",
        Target = Absolute(tmpfs.Key),
        Options = tmpfs.Value.Split(',', StringSplitOptions.RemoveEmptyEntries),
        ReadOnly = tmpfs.Value.Split(',').Contains("ro"),
        ShortForm = true,
    };

    private static string Absolute(string target) => target.StartsWith('/') && Normalize(target) != "/"
        ? target
        : throw HullException.Invalid(target.StartsWith('/')
            ? "invalid mount: the destination cannot be '/'"
            : $"invalid mount path: '{target}' mount path must be absolute");

    private static string Normalize(string path) => "/" + string.Join('/', path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != "."));

    private static HullException Invalid(string text) => HullException.Invalid(
        $"invalid volume specification: '{text}': expected [source:]target[:options]");
}
