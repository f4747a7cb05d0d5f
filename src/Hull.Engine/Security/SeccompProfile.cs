using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Oci.Runtime;

namespace Hull.Engine.Security;

/// <summary>
/// A seccomp profile as users write it for Docker: the runtime-spec's object, plus rules that apply only with or without
/// certain capabilities, on certain architectures, or from a kernel on.
/// </summary>
internal sealed record SeccompProfile
{
    public string? DefaultAction { get; init; }
    public uint? DefaultErrnoRet { get; init; }
    public IReadOnlyList<string>? Architectures { get; init; }
    public IReadOnlyList<ArchitectureMap>? ArchMap { get; init; }
    public IReadOnlyList<string>? Flags { get; init; }
    public IReadOnlyList<ProfileRule>? Syscalls { get; init; }

    /// <summary>The spec for a process with these capabilities; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static SeccompSpec Parse(string json, IReadOnlyList<string> capabilities)
    {
        try
        {
            var profile = JsonSerializer.Deserialize(json, SecurityJson.Default.SeccompProfile);
            if (profile?.DefaultAction is null) throw HullException.Invalid("the seccomp profile has no defaultAction");
            return profile.ToSpec(capabilities);
        }
        catch (JsonException error)
        {
            throw HullException.Invalid("the seccomp profile is not valid JSON", error);
        }
    }

    private SeccompSpec ToSpec(IReadOnlyList<string> capabilities)
    {
        var native = NativeNames();
        var mapped = ArchMap?.FirstOrDefault(map => map.Architecture == native.Scmp);
        return new SeccompSpec
        {
            DefaultAction = DefaultAction,
            DefaultErrnoRet = DefaultErrnoRet,
            Architectures = mapped is not null ? [native.Scmp, .. mapped.SubArchitectures ?? []] : Architectures,
            Flags = Flags,
            Syscalls = Syscalls?.Where(rule => rule.Applies(capabilities, native.Go)).Select(rule => new SyscallSpec
            {
                Names = rule.Names ?? (rule.Name is null ? [] : [rule.Name]),
                Action = rule.Action,
                ErrnoRet = rule.ErrnoRet,
                Args = rule.Args is { Count: > 0 } ? rule.Args : null,
            }).ToList(),
        };
    }

    private static (string Scmp, string Go) NativeNames() => RuntimeInformation.OSArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.Arm64 => ("SCMP_ARCH_AARCH64", "arm64"),
        _ => ("SCMP_ARCH_X86_64", "amd64"),
    };
}

internal sealed record ArchitectureMap
{
    public string? Architecture { get; init; }
    public IReadOnlyList<string>? SubArchitectures { get; init; }
}

internal sealed record ProfileRule
{
    public string? Name { get; init; }
    public IReadOnlyList<string>? Names { get; init; }
    public string? Action { get; init; }
    public uint? ErrnoRet { get; init; }
    public IReadOnlyList<SyscallArgumentSpec>? Args { get; init; }
    public ProfileCondition? Includes { get; init; }
    public ProfileCondition? Excludes { get; init; }

    public bool Applies(IReadOnlyList<string> capabilities, string architecture)
    {
        if (Includes is { } with)
        {
            if (with.Caps is { Count: > 0 } && !with.Caps.All(capabilities.Contains)) return false;
            if (with.Arches is { Count: > 0 } && !with.Arches.Contains(architecture)) return false;
            if (with.MinKernel is { Length: > 0 } && !KernelIsAtLeast(with.MinKernel)) return false;
        }

        if (Excludes is not { } without) return true;
        if (without.Caps is { Count: > 0 } && without.Caps.Any(capabilities.Contains)) return false;
        if (without.Arches is { Count: > 0 } && without.Arches.Contains(architecture)) return false;
        return without.MinKernel is not { Length: > 0 } || !KernelIsAtLeast(without.MinKernel);
    }

    private static bool KernelIsAtLeast(string version) =>
        Version.TryParse(version.Contains('.') ? version : version + ".0", out var wanted) && Environment.OSVersion.Version >= wanted;
}

internal sealed record ProfileCondition
{
    public IReadOnlyList<string>? Caps { get; init; }
    public IReadOnlyList<string>? Arches { get; init; }
    public string? MinKernel { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, PropertyNameCaseInsensitive = true,
    ReadCommentHandling = JsonCommentHandling.Skip)]
[JsonSerializable(typeof(SeccompProfile))]
internal sealed partial class SecurityJson : JsonSerializerContext;
