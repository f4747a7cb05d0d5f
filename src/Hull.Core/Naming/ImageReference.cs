using System.Diagnostics.CodeAnalysis;

namespace Hull.Core;

/// <summary>
/// The name of an image: registry, repository path and a tag, a digest or both, by Docker Hub's naming rules
/// (the grammar of the distribution project's reference package). <c>busybox</c> is
/// <c>docker.io/library/busybox</c>; <c>localhost:5000/x</c> is a registry of this machine.
/// </summary>
public sealed record ImageReference
{
    /// <summary>The registry meant where a name gives none.</summary>
    public const string DefaultDomain = "docker.io";

    /// <summary>The tag meant where a reference has neither tag nor digest.</summary>
    public const string DefaultTag = "latest";

    /// <summary>Longest repository name, registry included.</summary>
    public const int MaximumNameLength = 255;

    private const string OfficialPrefix = "library/";

    private ImageReference(string domain, string path, string? tag, Digest? digest) =>
        (Domain, Path, Tag, Digest) = (domain, path, tag, digest);

    /// <summary>Registry host, with its port where one was written: <c>docker.io</c>, <c>localhost:5000</c>, <c>[::1]:5000</c>.</summary>
    public string Domain { get; }

    /// <summary>Repository path inside the registry: <c>library/busybox</c>.</summary>
    public string Path { get; }

    /// <summary>The tag that was written, or none.</summary>
    public string? Tag { get; private init; }

    /// <summary>The digest that was written, or none. With both, the digest decides and the tag is only said.</summary>
    public Digest? Digest { get; private init; }

    /// <summary>Registry and path without tag and digest: <c>docker.io/library/busybox</c>.</summary>
    public string Repository => Domain + "/" + Path;

    /// <summary>The repository as people write it: <c>busybox</c>, <c>user/app</c>, <c>localhost:5000/x</c>.</summary>
    public string FamiliarName
    {
        get
        {
            if (Domain != DefaultDomain) return Repository;
            // 'library/a/b' shortened to 'a/b' would name another repository, 'a.b/c' without its registry another registry.
            var rest = Path.StartsWith(OfficialPrefix, StringComparison.Ordinal) ? Path[OfficialPrefix.Length..] : Path;
            if (Split(rest) == (Domain, Path)) return rest;
            return Split(Path) == (Domain, Path) ? Path : Repository;
        }
    }

    /// <summary>The full form, unambiguous everywhere: <c>docker.io/library/busybox:latest</c>.</summary>
    public string Canonical => Repository + Suffix;

    /// <summary>The short form for people: <c>busybox:latest</c>.</summary>
    public string Familiar => FamiliarName + Suffix;

    private string Suffix => (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);

    /// <summary>What a registry's manifest address ends in: the digest where there is one, else the tag, else <c>latest</c>.</summary>
    public string ManifestName => Digest?.ToString() ?? Tag ?? DefaultTag;

    /// <summary>This reference with <c>latest</c> as tag where it has neither tag nor digest.</summary>
    public ImageReference WithDefaultTag() => Tag is null && Digest is null ? this with { Tag = DefaultTag } : this;

    /// <summary>The same repository with <paramref name="tag"/> and no digest.</summary>
    public ImageReference WithTag(string tag) => IsTag(tag)
        ? this with { Tag = tag, Digest = null }
        : throw HullException.Invalid($"invalid tag '{Shorten(tag)}': expected at most 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'");

    /// <summary>The same repository by digest, the tag kept.</summary>
    public ImageReference WithDigest(Digest digest) => this with { Digest = digest };

    /// <summary>The repository alone.</summary>
    public ImageReference WithoutTagAndDigest() => this with { Tag = null, Digest = null };

    /// <summary>Parses a name as users write it; throws <see cref="ErrorKind.InvalidArgument"/> with what is wrong.</summary>
    public static ImageReference Parse(string text)
    {
        var error = Read(text, out var reference);
        return error is null ? reference! : throw HullException.Invalid($"invalid image reference '{Shorten(text)}': {error}");
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ImageReference? reference)
    {
        reference = null;
        return text is not null && Read(text, out reference) is null;
    }

    /// <summary>Whether <paramref name="text"/> may be a tag: <c>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}</c> (distribution-spec, "Pulling manifests").</summary>
    public static bool IsTag([NotNullWhen(true)] string? text)
    {
        if (text is null || text.Length is 0 or > 128 || text[0] is '.' or '-') return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-')) return false;
        }

        return true;
    }

    /// <summary>
    /// Whether <paramref name="text"/> may be a repository path: components of lower-case letters and digits,
    /// joined inside by one '.', one or two '_' or any number of '-' (distribution-spec, "Pulling manifests").
    /// </summary>
    public static bool IsPath([NotNullWhen(true)] string? text)
    {
        if (text is null || text.Length is 0 or > MaximumNameLength) return false;
        foreach (var range in text.AsSpan().Split('/'))
        {
            if (!IsPathComponent(text.AsSpan(range))) return false;
        }

        return true;
    }

    public override string ToString() => Canonical;

    private static string? Read(string text, out ImageReference? reference)
    {
        reference = null;
        if (text.Length == 0) return "it is empty";
        if (text.Length > 4 * MaximumNameLength) return "it is too long";

        Digest? digest = null;
        var name = text;
        if (text.IndexOf('@', StringComparison.Ordinal) is var at and >= 0)
        {
            if (!Core.Digest.TryParse(text[(at + 1)..], out var parsed)) return "after '@' a digest is expected, sha256: and 64 lower-case hexadecimal digits";
            (digest, name) = (parsed, text[..at]);
        }

        string? tag = null;
        var colon = name.LastIndexOf(':');
        if (colon >= 0 && name.IndexOf('/', colon) < 0)
        {
            (tag, name) = (name[(colon + 1)..], name[..colon]);
            if (!IsTag(tag)) return "the tag must be at most 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'";
        }

        if (name.Length == 0) return "the repository is missing";
        if (tag is null && digest is null && IsImageId(name)) return "64 hexadecimal digits are an image id, not a name";

        var (domain, path) = Split(name);
        if (!IsDomain(domain)) return $"'{Shorten(domain)}' is not a registry host";
        if (path.Any(char.IsAsciiLetterUpper)) return "the repository must be lower case";
        if (!IsPath(path)) return "the repository must be lower-case letters and digits, parted by '/', '.', '_', '__' or '-'";
        if (domain.Length + 1 + path.Length > MaximumNameLength) return $"the repository is longer than {MaximumNameLength} characters";
        reference = new ImageReference(domain, path, tag, digest);
        return null;
    }

    private static (string Domain, string Path) Split(string name)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        var first = slash < 0 ? "" : name[..slash];
        var isHost = first.AsSpan().ContainsAny('.', ':', '[') || first == "localhost" || first.Any(char.IsAsciiLetterUpper);
        var (domain, path) = isHost ? (first, name[(slash + 1)..]) : (DefaultDomain, name);
        // The host Docker's first clients wrote into their configuration.
        if (domain == "index.docker.io") domain = DefaultDomain;
        if (domain == DefaultDomain && !path.Contains('/', StringComparison.Ordinal)) path = OfficialPrefix + path;
        return (domain, path);
    }

    private static bool IsDomain(string text)
    {
        var host = text.AsSpan();
        var colon = host.LastIndexOf(':');
        if (colon >= 0 && host.IndexOf(']') < colon)
        {
            if (!IsPort(host[(colon + 1)..])) return false;
            host = host[..colon];
        }

        if (host.Length > 2 && host[0] == '[') return host[^1] == ']' && IsIPv6(host[1..^1]);
        if (host.Length is 0 or > 253) return false;
        foreach (var range in host.Split('.'))
        {
            if (!IsHostLabel(host[range])) return false;
        }

        return true;
    }

    private static bool IsPort(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= 5 && text.IndexOfAnyExceptInRange('0', '9') < 0 && int.Parse(text, null) is > 0 and <= 65535;

    private static bool IsIPv6(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiHexDigit(c) && c is not (':' or '.')) return false;
        }

        return System.Net.IPAddress.TryParse(text, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
    }

    private static bool IsHostLabel(ReadOnlySpan<char> label)
    {
        if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-') return false;
        foreach (var c in label)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '-') return false;
        }

        return true;
    }

    private static bool IsPathComponent(ReadOnlySpan<char> component)
    {
        if (component.Length == 0 || !IsAlphanumeric(component[0]) || !IsAlphanumeric(component[^1])) return false;
        for (var i = 0; i < component.Length; i++)
        {
            if (IsAlphanumeric(component[i])) continue;
            var start = i;
            while (i + 1 < component.Length && !IsAlphanumeric(component[i + 1])) i++;
            var separator = component[start..(i + 1)];
            if (separator is not ("." or "_" or "__") && separator.IndexOfAnyExcept('-') >= 0) return false;
        }

        return true;
    }

    private static bool IsAlphanumeric(char c) => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c);

    private static bool IsImageId(string text) => text.Length == 64 && text.All(char.IsAsciiHexDigitLower);

    /// <summary>What was written, for a message of one line: short, and without control characters.</summary>
    private static string Shorten(string text)
    {
        var shown = text.Length <= 80 ? text : text[..80] + "…";
        return shown.Any(char.IsControl) ? string.Concat(shown.Select(c => char.IsControl(c) ? '.' : c)) : shown;
    }
}
