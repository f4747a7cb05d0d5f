using System.Globalization;
using Hull.Core;

namespace Hull.Engine.Users;

/// <summary>Where a workload's user namespace comes from.</summary>
public enum UserNamespaceKind
{
    /// <summary>The engine's setting.</summary>
    Default,

    /// <summary>The host's.</summary>
    Host,

    /// <summary>A range of ids that no other workload has.</summary>
    Auto,

    /// <summary>The engine's setting, and where that is the host's, as <see cref="Auto"/>.</summary>
    Private,

    /// <summary>That of another workload.</summary>
    Joined,
}

/// <summary>A mode as users write it: <c>host</c>, <c>private</c>, <c>auto[:size=N]</c> or <c>container:ID</c>.</summary>
/// <param name="Size">Ids of a range of its own.</param>
/// <param name="Workload">Whose namespace is joined.</param>
internal sealed record UserNamespaceMode(UserNamespaceKind Kind, uint Size = UserNamespaceMode.DefaultSize, string Workload = "")
{
    /// <summary>As many as a system expects: all ids of 16 bits.</summary>
    public const uint DefaultSize = 65536;

    private const uint MaximumSize = 1u << 31;

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/>, or <see cref="ErrorKind.Unsupported"/> for what only engines of ordinary users have.</summary>
    public static UserNamespaceMode Parse(string? text)
    {
        var colon = text?.IndexOf(':') ?? -1;
        var (name, rest) = colon < 0 ? (text, "") : (text![..colon], text[(colon + 1)..]);
        return name switch
        {
            null or "" => new(UserNamespaceKind.Default),
            "host" when colon < 0 => new(UserNamespaceKind.Host),
            "private" when colon < 0 => new(UserNamespaceKind.Private),
            "auto" => new(UserNamespaceKind.Auto, colon < 0 ? DefaultSize : ParseSize(rest, text!)),
            "container" when rest.Length > 0 => new(UserNamespaceKind.Joined, Workload: rest),
            "nomap" or "keep-id" => throw HullException.Unsupported(
                $"user namespace mode '{name}' speaks of the ordinary user who runs an engine, and this one is root's: use auto for a range of ids of its own"),
            _ => throw HullException.Invalid($"invalid user namespace mode '{text}': use host, private, auto, auto:size=N or container:NAME"),
        };
    }

    private static uint ParseSize(string options, string whole)
    {
        if (options.StartsWith("size=", StringComparison.Ordinal)
            && uint.TryParse(options.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size is > 0 and <= MaximumSize) return size;
        throw HullException.Invalid($"invalid user namespace mode '{whole}': expected auto:size=N with N from 1 to {MaximumSize}");
    }
}
