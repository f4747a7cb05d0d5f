using Hull.Core;

namespace Hull.Registry.Handlers;

/// <summary>What kind of endpoint of the distribution-spec a path is.</summary>
public enum RouteKind
{
    Base,
    Catalog,
    Manifest,
    Blob,
    UploadStart,
    Upload,
    Tags,
    Referrers,
}

/// <summary>A path below <c>/v2/</c>: the kind of endpoint, the repository, and what follows it.</summary>
public readonly record struct RegistryRoute(RouteKind Kind, string Repository, string Rest)
{
    /// <summary>
    /// Reads a path; null where it is none of the specification's. A repository's name may itself have components like
    /// <c>manifests</c>, so the endpoint's own words are searched from the end.
    /// </summary>
    public static RegistryRoute? Parse(string path)
    {
        if (path is "/v2" or "/v2/") return new RegistryRoute(RouteKind.Base, "", "");
        if (!path.StartsWith("/v2/", StringComparison.Ordinal)) return null;
        var rest = path[4..];
        if (rest == "_catalog") return new RegistryRoute(RouteKind.Catalog, "", "");
        if (rest.EndsWith("/tags/list", StringComparison.Ordinal)) return Named(RouteKind.Tags, rest[..^"/tags/list".Length], "");
        if (rest.EndsWith("/blobs/uploads/", StringComparison.Ordinal)) return Named(RouteKind.UploadStart, rest[..^"/blobs/uploads/".Length], "");
        if (rest.EndsWith("/blobs/uploads", StringComparison.Ordinal)) return Named(RouteKind.UploadStart, rest[..^"/blobs/uploads".Length], "");

        var last = rest.LastIndexOf('/');
        if (last <= 0) return null;
        var (before, end) = (rest[..last], rest[(last + 1)..]);
        return Suffix(before, "/blobs/uploads") is { } upload ? Named(RouteKind.Upload, upload, end)
            : Suffix(before, "/manifests") is { } manifest ? Named(RouteKind.Manifest, manifest, end)
            : Suffix(before, "/blobs") is { } blob ? Named(RouteKind.Blob, blob, end)
            : Suffix(before, "/referrers") is { } referrers ? Named(RouteKind.Referrers, referrers, end)
            : null;
    }

    private static string? Suffix(string text, string suffix) => text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : null;

    private static RegistryRoute Named(RouteKind kind, string repository, string rest) =>
        ImageReference.IsPath(repository) ? new RegistryRoute(kind, repository, rest) : throw RegistryError.NameInvalid(repository);
}
