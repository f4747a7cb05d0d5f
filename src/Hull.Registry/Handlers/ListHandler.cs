using System.Globalization;
using System.Text.Json;
using Hull.Oci.Image;
using Hull.Registry.Http;
using Hull.Registry.Storage;

namespace Hull.Registry.Handlers;

/// <summary>Content discovery: tags, referrers, and Docker's catalog of repositories.</summary>
internal sealed class ListHandler(RepositoryStore store)
{
    private const int DefaultPage = 1000;
    private const int MaximumPage = 10_000;

    public HttpResponse Tags(string repository, HttpRequest request)
    {
        if (!store.Exists(repository)) throw RegistryError.NameUnknown(repository);
        var (page, next) = Page(store.Tags(repository), request, $"/v2/{repository}/tags/list");
        var body = JsonSerializer.SerializeToUtf8Bytes(new TagListBody(repository, page), RegistryJson.Default.TagListBody);
        return Answer(body, "application/json", next);
    }

    public HttpResponse Catalog(HttpRequest request)
    {
        var (page, next) = Page(store.Repositories(), request, "/v2/_catalog");
        return Answer(JsonSerializer.SerializeToUtf8Bytes(new CatalogBody(page), RegistryJson.Default.CatalogBody), "application/json", next);
    }

    /// <summary>What refers to a digest; an empty list also for one that is not here (distribution-spec, "Listing Referrers").</summary>
    public HttpResponse Referrers(string repository, string name, HttpRequest request)
    {
        var subject = BlobHandler.ParseDigest(name);
        var filter = request.Query.TryGetValue("artifactType", out var type) && type.Length > 0 ? type : null;
        var entries = store.Referrers(repository, subject).Where(entry => filter is null || entry.ArtifactType == filter).ToList();
        var response = Answer(ImageJson.Serialize(new ImageIndex { Manifests = entries }), MediaTypes.OciIndex, null);
        return filter is null ? response : response.With("OCI-Filters-Applied", "artifactType");
    }

    private static (IReadOnlyList<string> Page, string? Next) Page(IReadOnlyList<string> all, HttpRequest request, string path)
    {
        var limit = DefaultPage;
        if (request.Query.TryGetValue("n", out var asked))
        {
            if (!int.TryParse(asked, NumberStyles.None, CultureInfo.InvariantCulture, out limit))
                throw new RegistryError(400, "PAGINATION_NUMBER_INVALID", "'n' must be a number");
            limit = Math.Min(limit, MaximumPage);
        }

        IEnumerable<string> rest = all;
        if (request.Query.TryGetValue("last", out var last)) rest = all.Where(entry => string.CompareOrdinal(entry, last) > 0);
        var page = rest.Take(limit).ToList();
        var more = page.Count > 0 && string.CompareOrdinal(page[^1], all[^1]) < 0;
        return (page, more ? $"<{path}?n={limit}&last={Uri.EscapeDataString(page[^1])}>; rel=\"next\"" : null);
    }

    private static HttpResponse Answer(byte[] body, string type, string? next)
    {
        var response = new HttpResponse(200) { Bytes = body }.With("Content-Type", type);
        return next is null ? response : response.With("Link", next);
    }
}
