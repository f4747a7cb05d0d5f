using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Security options as Docker writes them: <c>name=value</c>, or <c>name:value</c> from old clients.</summary>
internal static class SecurityMapping
{
    public static SecurityConfig ToSecurity(HostConfig host)
    {
        var security = new SecurityConfig
        {
            Privileged = host.Privileged,
            CapabilitiesAdd = host.CapAdd ?? [],
            CapabilitiesDrop = host.CapDrop ?? [],
            ReadOnlyRoot = host.ReadonlyRootfs,
            MaskedPaths = host.MaskedPaths,
            ReadOnlyPaths = host.ReadonlyPaths,
        };
        return (host.SecurityOpt ?? []).Aggregate(security, Apply);
    }

    private static SecurityConfig Apply(SecurityConfig security, string option)
    {
        var separator = option.IndexOf('=', StringComparison.Ordinal);
        if (separator < 0) separator = option.IndexOf(':', StringComparison.Ordinal);
        var (name, value) = separator < 0 ? (option, "") : (option[..separator], option[(separator + 1)..]);
        return name switch
        {
            "no-new-privileges" => security with { NoNewPrivileges = value is "" or "true" or "1" },
            "seccomp" => security with { Seccomp = value },
            "apparmor" => security with { AppArmor = value },
            "label" => security with { Labels = [.. security.Labels, value] },
            "systempaths" when value == "unconfined" => security with { MaskedPaths = [], ReadOnlyPaths = [] },
            _ => throw HullException.Invalid($"invalid --security-opt: \"{option}\""),
        };
    }
}
