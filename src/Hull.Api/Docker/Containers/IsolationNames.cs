using Hull.Core;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>
/// The switch between container and virtual machine in Docker's words: <c>--isolation vm</c>, or
/// <c>--runtime vm</c> for clients that know no isolation. It is read from the request alone, never from an image.
/// </summary>
internal static class IsolationNames
{
    /// <summary>Annotations of the request that begin like this are options of the isolation.</summary>
    private const string OptionPrefix = "vm.";

    public static string? Isolation(HostConfig host)
    {
        var asked = host.Isolation?.ToLowerInvariant() switch
        {
            null or "" or "default" => null,
            "container" or "process" => "container",
            "vm" or "hyperv" => "vm",
            var other => throw HullException.Invalid($"invalid isolation '{other}': expected container, vm or default"),
        };
        if (host.Runtime?.ToLowerInvariant() != "vm") return asked;
        return asked != "container" ? "vm" : throw HullException.Invalid("isolation 'container' contradicts runtime 'vm'");
    }

    public static string? Runtime(HostConfig host) =>
        host.Runtime is null or "" or "vm" ? null : host.Runtime;

    public static IReadOnlyDictionary<string, string> Options(HostConfig host) => (host.Annotations ?? [])
        .Where(a => a.Key.StartsWith(OptionPrefix, StringComparison.Ordinal))
        .ToDictionary(a => a.Key, a => a.Value, StringComparer.Ordinal);
}
