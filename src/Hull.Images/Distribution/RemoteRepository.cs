using System.Net;
using System.Text.Json;
using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Distribution;

/// <summary>
/// One repository of one registry, spoken to over the OCI distribution-spec 1.1. Reads ask the registry's mirrors
/// first and the registry itself last; writes go to the registry alone.
/// </summary>
public sealed partial class RemoteRepository : IDisposable
{
    /// <summary>How long a registry that may speak plain HTTP has to show that it speaks TLS.</summary>
    private static readonly TimeSpan TlsPatience = TimeSpan.FromSeconds(5);

    private readonly DistributionOptions _options;
    private readonly RegistryConnections _connections;
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly Dictionary<RegistryEndpoint, RegistryClient> _clients = [];
    private IReadOnlyList<RegistryClient>? _reading;
    private RegistryClient? _writing;

    public RemoteRepository(ImageReference reference, DistributionOptions options)
    {
        Reference = reference.WithoutTagAndDigest();
        _options = options;
        _connections = new RegistryConnections(options.Registries, options.Transport);
    }

    /// <summary>The repository, without tag and digest.</summary>
    public ImageReference Reference { get; }

    private string PullScope => $"repository:{Reference.Path}:pull";

    private string PushScope => $"repository:{Reference.Path}:pull,push";

    private string DeleteScope => $"repository:{Reference.Path}:delete,pull,push";

    /// <summary>
    /// Fetches a manifest or index. Content asked for by digest is checked against it, content asked for by tag
    /// against the digest the registry announces.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.NotFound"/>, <see cref="ErrorKind.Unauthenticated"/>,
    /// <see cref="ErrorKind.PermissionDenied"/>, <see cref="ErrorKind.DataCorrupted"/>, <see cref="ErrorKind.Unavailable"/>.</exception>
    public Task<ImageDocument> GetManifestAsync(string tagOrDigest, CancellationToken cancellation = default) =>
        ReadAsync(client => GetManifestAsync(client, tagOrDigest, null, cancellation), cancellation);

    /// <summary>Fetches the manifest of a descriptor; its size, digest and media type must be what the descriptor says.</summary>
    public Task<ImageDocument> GetManifestAsync(Descriptor descriptor, CancellationToken cancellation = default) =>
        ReadAsync(client => GetManifestAsync(client, descriptor.Digest.ToString(), descriptor, cancellation), cancellation);

    /// <summary>Asks for a manifest's descriptor without its bytes; null where there is none, or the registry does not say its digest.</summary>
    public Task<Descriptor?> HeadManifestAsync(string tagOrDigest, CancellationToken cancellation = default) =>
        ReadAsync(async client =>
        {
            using var response = await client.SendAsync(ManifestRequest(client, HttpMethod.Head, tagOrDigest), cancellation).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.NotFound) return null;
            if (response.StatusCode != HttpStatusCode.OK) throw await client.FailureAsync(response, $"manifest {Name(tagOrDigest)}", cancellation).ConfigureAwait(false);
            var headers = response.Content.Headers;
            return AnnouncedDigest(response) is { } digest && headers.ContentLength is { } size && BoundedBody.MediaType(headers) is { } type
                ? new Descriptor { Digest = digest, Size = size, MediaType = type }
                : null;
        }, cancellation);

    /// <summary>
    /// Opens a blob from <paramref name="offset"/> on. The stream reconnects where the connection breaks, fails when the
    /// blob is longer than its descriptor says, and ends early never.
    /// </summary>
    public async Task<Stream> OpenBlobAsync(Descriptor descriptor, long offset = 0, CancellationToken cancellation = default) =>
        await ReadAsync(async client =>
        {
            var blob = new BlobDownload(client, BlobRequest(client, HttpMethod.Get, descriptor.Digest), descriptor, offset);
            await blob.ConnectAsync(cancellation).ConfigureAwait(false);
            return blob;
        }, cancellation).ConfigureAwait(false);

    /// <summary>Opens a foreign layer at one of the addresses its descriptor names, without credentials.</summary>
    public async Task<Stream> OpenForeignBlobAsync(Descriptor descriptor, CancellationToken cancellation = default)
    {
        HullException? failure = null;
        foreach (var text in descriptor.Urls ?? [])
        {
            if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")) continue;
            var client = Client(new RegistryEndpoint(new Uri(address.GetLeftPart(UriPartial.Authority)), "", address.Authority, IsMirror: false,
                Insecure: address.Scheme == "http", _options.Registries.For(address.Authority)));
            var blob = new BlobDownload(client, new RegistryRequest(HttpMethod.Get, address, "") { Authenticated = false }, descriptor, 0);
            try
            {
                await blob.ConnectAsync(cancellation).ConfigureAwait(false);
                return blob;
            }
            catch (HullException error)
            {
                await blob.DisposeAsync().ConfigureAwait(false);
                failure = error;
            }
        }

        throw failure ?? HullException.NotFound($"foreign layer {descriptor.Digest.Short} names no address it can be fetched from");
    }

    /// <summary>Asks the registry whether it accepts the credentials; throws <see cref="ErrorKind.Unauthenticated"/> where not.</summary>
    public async Task CheckLoginAsync(CancellationToken cancellation = default)
    {
        var client = await WritingAsync(cancellation).ConfigureAwait(false);
        using var response = await client.ExpectAsync(new RegistryRequest(HttpMethod.Get, new Uri(client.Endpoint.Base, "/v2/"), ""),
            "login", cancellation, HttpStatusCode.OK).ConfigureAwait(false);
    }

    /// <summary>All tags, in the order the registry lists them, page by page.</summary>
    public async IAsyncEnumerable<string> TagsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation = default)
    {
        const int MaximumPages = 10_000;
        var client = (await ReadingAsync(cancellation).ConfigureAwait(false))[^1];
        var address = Address(client, "tags/list?n=1000");
        for (var page = 0; page < MaximumPages; page++)
        {
            using var response = await client.ExpectAsync(new RegistryRequest(HttpMethod.Get, address, PullScope), $"tags of {Reference.Repository}",
                cancellation, HttpStatusCode.OK).ConfigureAwait(false);
            var list = await DocumentAsync(client, response, DistributionJson.Default.TagList, cancellation).ConfigureAwait(false);
            foreach (var tag in list.Tags ?? [])
            {
                if (ImageReference.IsTag(tag)) yield return tag;
            }

            if (NextPage(response, address) is not { } next || next == address) yield break;
            address = next;
        }
    }

    /// <summary>
    /// The manifests that say they are about <paramref name="digest"/> (distribution-spec, "Listing Referrers"). A
    /// registry without that API is asked for the tag <c>sha256-HEX</c>, where clients keep the list instead.
    /// </summary>
    public async Task<ImageIndex> ReferrersAsync(Digest digest, string? artifactType = null, CancellationToken cancellation = default)
    {
        var client = (await ReadingAsync(cancellation).ConfigureAwait(false))[^1];
        var filter = artifactType is null ? "" : "?artifactType=" + Uri.EscapeDataString(artifactType);
        using var response = await client.SendAsync(new RegistryRequest(HttpMethod.Get, Address(client, $"referrers/{digest}{filter}"), PullScope)
        {
            Accept = [MediaTypes.OciIndex],
        }, cancellation).ConfigureAwait(false);
        ImageIndex list;
        if (response.StatusCode == HttpStatusCode.OK) list = await DocumentAsync(client, response, ImageJson.Default.ImageIndex, cancellation).ConfigureAwait(false);
        else if (response.StatusCode == HttpStatusCode.NotFound) list = await ReferrersTagAsync(digest, cancellation).ConfigureAwait(false);
        else throw await client.FailureAsync(response, $"referrers of {digest.Short}", cancellation).ConfigureAwait(false);
        var found = (list.Manifests ?? []).Where(entry => artifactType is null || entry.ArtifactType == artifactType).ToList();
        return list with { Manifests = found };
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
        _connections.Dispose();
        _opening.Dispose();
    }

    /// <summary>The tag under which clients keep the referrers of a digest where a registry has no API for them.</summary>
    internal static string ReferrersTag(Digest digest) => $"{digest.Algorithm}-{digest.Hex}"[..Math.Min(digest.Algorithm.Length + 1 + 64, digest.Algorithm.Length + 1 + digest.Hex.Length)];

    private async Task<ImageIndex> ReferrersTagAsync(Digest digest, CancellationToken cancellation)
    {
        try
        {
            return (await GetManifestAsync(ReferrersTag(digest), cancellation).ConfigureAwait(false)).Index ?? new ImageIndex();
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound)
        {
            return new ImageIndex();
        }
    }

    private async Task<ImageDocument> GetManifestAsync(RegistryClient client, string tagOrDigest, Descriptor? expected, CancellationToken cancellation)
    {
        var what = $"manifest {Name(tagOrDigest)}";
        using var response = await client.ExpectAsync(ManifestRequest(client, HttpMethod.Get, tagOrDigest), what, cancellation, HttpStatusCode.OK).ConfigureAwait(false);
        var limit = expected is null ? ImageDocument.MaxSize : (int)Math.Min(expected.Size, ImageDocument.MaxSize);
        byte[] bytes;
        try
        {
            bytes = await BoundedBody.ReadAllAsync(response, limit, client.Options.IdleTimeout, what, cancellation).ConfigureAwait(false);
        }
        catch (Exception error) when (RegistryClient.IsConnectionFailure(error, cancellation))
        {
            throw new HullException(ErrorKind.Unavailable, $"{what}: the connection to registry {client.Endpoint.Domain} broke", error);
        }

        var wanted = expected?.Digest ?? (Digest.TryParse(tagOrDigest, out var byDigest) ? byDigest : AnnouncedDigest(response));
        if (wanted is { } digest) Content.ContentHash.Check(bytes, digest);
        return ImageDocument.Parse(bytes, expected?.MediaType ?? BoundedBody.MediaType(response.Content.Headers));
    }

    private RegistryRequest ManifestRequest(RegistryClient client, HttpMethod method, string tagOrDigest) =>
        new(method, Address(client, "manifests/" + tagOrDigest), PullScope) { Accept = [.. MediaTypes.Manifests, "*/*;q=0.1"] };

    private RegistryRequest BlobRequest(RegistryClient client, HttpMethod method, Digest digest) =>
        new(method, Address(client, "blobs/" + digest), PullScope);

    private Uri Address(RegistryClient client, string rest)
    {
        var prefix = client.Endpoint.PathPrefix.Length > 0 ? client.Endpoint.PathPrefix + "/" : "";
        // A mirror of several registries learns from 'ns' which one is meant; others ignore it.
        var query = client.Endpoint.IsMirror ? (rest.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "ns=" + Uri.EscapeDataString(Reference.Domain) : "";
        return new Uri(client.Endpoint.Base, $"/v2/{prefix}{Reference.Path}/{rest}{query}");
    }

    private string Name(string tagOrDigest) => Reference.FamiliarName + (tagOrDigest.Contains(':', StringComparison.Ordinal) ? "@" : ":") + tagOrDigest;

    /// <summary>Asks each endpoint in turn until one answers; the last one's failure is the one that is told.</summary>
    private async Task<T> ReadAsync<T>(Func<RegistryClient, Task<T>> read, CancellationToken cancellation)
    {
        var clients = await ReadingAsync(cancellation).ConfigureAwait(false);
        for (var i = 0; ; i++)
        {
            try
            {
                return await read(clients[i]).ConfigureAwait(false);
            }
            catch (HullException) when (i < clients.Count - 1)
            {
                // A mirror that lacks, refuses or garbles something is no reason to fail: the registry is asked.
            }
        }
    }

    private async Task<IReadOnlyList<RegistryClient>> ReadingAsync(CancellationToken cancellation)
    {
        if (_reading is { } known) return known;
        var own = await WritingAsync(cancellation).ConfigureAwait(false);
        var mirrors = RegistryEndpoint.For(Reference.Domain, _options.Registries, withMirrors: true).Where(endpoint => endpoint.IsMirror).Select(Client);
        return _reading = [.. mirrors, own];
    }

    /// <summary>The registry itself, after finding out whether it speaks TLS where plain HTTP is allowed.</summary>
    private async Task<RegistryClient> WritingAsync(CancellationToken cancellation)
    {
        if (_writing is { } known) return known;
        await _opening.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            var own = RegistryEndpoint.For(Reference.Domain, _options.Registries, withMirrors: false);
            return _writing ??= Client(own.Count == 1 || await SpeaksTlsAsync(own[0], cancellation).ConfigureAwait(false) ? own[0] : own[1]);
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task<bool> SpeaksTlsAsync(RegistryEndpoint endpoint, CancellationToken cancellation)
    {
        try
        {
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timer.CancelAfter(TlsPatience);
            using var ping = new HttpRequestMessage(HttpMethod.Get, new Uri(endpoint.Base, "/v2/"));
            using var answer = await _connections.For(endpoint).SendAsync(ping, timer.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception error) when (RegistryClient.IsConnectionFailure(error, cancellation))
        {
            return false;
        }
    }

    private RegistryClient Client(RegistryEndpoint endpoint)
    {
        lock (_clients)
        {
            if (!_clients.TryGetValue(endpoint, out var client))
                _clients[endpoint] = client = new RegistryClient(endpoint, _options.Credentials, _connections, _options.Clock);
            return client;
        }
    }

    private static Digest? AnnouncedDigest(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.First(), out var digest) ? digest : null;

    /// <summary>The address of the next page (RFC 8288), if it stays on the same host.</summary>
    private static Uri? NextPage(HttpResponseMessage response, Uri current)
    {
        if (!response.Headers.TryGetValues("Link", out var values)) return null;
        foreach (var value in values)
        {
            var (open, close) = (value.IndexOf('<', StringComparison.Ordinal), value.IndexOf('>', StringComparison.Ordinal));
            if (open < 0 || close < open || !value.Contains("rel=\"next\"", StringComparison.OrdinalIgnoreCase)) continue;
            if (Uri.TryCreate(current, value[(open + 1)..close], out var next) && RegistryConnections.SameHost(current, next)) return next;
        }

        return null;
    }

    private static async Task<T> DocumentAsync<T>(RegistryClient client, HttpResponseMessage response,
        System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var what = $"answer of registry {client.Endpoint.Domain}";
        var bytes = await BoundedBody.ReadAllAsync(response, client.Options.MaxDocumentSize, client.Options.IdleTimeout, what, cancellation).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(bytes, type) ?? throw HullException.Corrupted($"{what} is null");
        }
        catch (JsonException error)
        {
            throw HullException.Corrupted($"{what} cannot be read", error);
        }
    }
}
