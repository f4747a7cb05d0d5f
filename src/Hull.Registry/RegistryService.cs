using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Registry.Access;
using Hull.Registry.Handlers;
using Hull.Registry.Http;
using Hull.Registry.Mirror;
using Hull.Registry.Storage;

namespace Hull.Registry;

/// <summary>
/// A registry of the OCI distribution-spec 1.1: pull, push, content discovery and management over one content store.
/// <see cref="HandleAsync"/> answers one request; <see cref="RunAsync"/> serves them over the network.
/// </summary>
public sealed class RegistryService : IDisposable
{
    private readonly RegistryOptions _options;
    private readonly TimeProvider _clock;
    private readonly Action<string> _log;
    private readonly RepositoryStore _store;
    private readonly UploadSessions _sessions;
    private readonly IAccessPolicy _access;
    private readonly BlobHandler _blobs;
    private readonly UploadHandler _uploads;
    private readonly ManifestHandler _manifests;
    private readonly ListHandler _lists;
    private readonly PullThrough? _mirror;
    private readonly FileLock _owner;

    public RegistryService(RegistryOptions options, Action<string>? log = null, TimeProvider? clock = null)
    {
        (_options, _clock, _log) = (options, clock ?? TimeProvider.System, log ?? (_ => { }));
        _store = new RepositoryStore(options.Root);
        _owner = Own(options.Root);
        _sessions = new UploadSessions(_store, _clock);
        _access = options.Token is { } token ? new TokenAccess(token, options.AnonymousPull, _clock)
            : options.PasswordFile is { } passwords ? new PasswordAccess(passwords, options.AnonymousPull, _clock)
            : new OpenAccess();
        _blobs = new BlobHandler(_store, _clock);
        _uploads = new UploadHandler(_store, _sessions, (request, repository) => _access.Check(request, RegistryAction.Pull, repository) is null);
        _manifests = new ManifestHandler(_store);
        _lists = new ListHandler(_store);
        _mirror = options.MirrorOf is { } domain ? new PullThrough(domain, _store, _manifests, options, _clock, _log) : null;
        Collector = new RegistryCollector(_store, _clock);
    }

    public RepositoryStore Store => _store;

    public RegistryCollector Collector { get; }

    /// <summary>Serves until cancelled. <paramref name="listening"/> is told the address once it is bound.</summary>
    public async Task RunAsync(Action<System.Net.IPEndPoint>? listening, CancellationToken cancellation)
    {
        using var server = new HttpServer(_options.Listen, HandleAsync, _options.Limits, Tls(), _log, _clock);
        listening?.Invoke(server.Address);
        var upkeep = UpkeepAsync(cancellation);
        await server.RunAsync(cancellation).ConfigureAwait(false);
        await upkeep.ConfigureAwait(false);
    }

    /// <summary>Answers a request; never throws but for a client that went away.</summary>
    public async Task<HttpResponse> HandleAsync(HttpRequest request, CancellationToken cancellation)
    {
        var started = _clock.GetTimestamp();
        HttpResponse response;
        try
        {
            response = await RouteAsync(request, cancellation).ConfigureAwait(false);
        }
        catch (RegistryError error)
        {
            response = error.ToResponse();
        }
        catch (HullException error)
        {
            response = Failure(error);
        }
        catch (IOException error) when (error.HResult == Full)
        {
            response = new RegistryError(507, "UNKNOWN", "the registry's disk is full").ToResponse();
            _log(error.Message);
        }

        response.With("Docker-Distribution-Api-Version", "registry/2.0").With("X-Content-Type-Options", "nosniff");
        if (_options.AccessLog) _log($"{request.Method} {Printable(request.Path)} {response.Status} {response.Length} {_clock.GetElapsedTime(started).TotalMilliseconds:0.0}ms");
        return response;
    }

    public void Dispose()
    {
        _mirror?.Dispose();
        _sessions.Dispose();
        _owner.Dispose();
    }

    /// <summary>ENOSPC as the runtime reports it.</summary>
    private const int Full = 28;

    private async Task<HttpResponse> RouteAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (RegistryRoute.Parse(request.Path) is not { } route) return new RegistryError(404, "NOT_FOUND", "there is nothing here: the registry is below /v2/").ToResponse();
        var action = ActionOf(route, request);
        if (_access.Check(request, action, route.Repository) is { } refusal) return refusal;
        if (action is RegistryAction.Push or RegistryAction.Delete) CheckWritable(action);
        return route.Kind switch
        {
            RouteKind.Base when IsRead(request) => new HttpResponse(200) { Bytes = "{}"u8.ToArray() }.With("Content-Type", "application/json"),
            RouteKind.Catalog when IsRead(request) => _lists.Catalog(request),
            RouteKind.Tags when IsRead(request) => _lists.Tags(route.Repository, request),
            RouteKind.Referrers when IsRead(request) => _lists.Referrers(route.Repository, route.Rest, request),
            RouteKind.Manifest => await ManifestAsync(route, request, cancellation).ConfigureAwait(false),
            RouteKind.Blob => await BlobAsync(route, request, cancellation).ConfigureAwait(false),
            RouteKind.UploadStart when request.Method == "POST" => await _uploads.StartAsync(route.Repository, request, cancellation).ConfigureAwait(false),
            RouteKind.Upload => await UploadAsync(route, request, cancellation).ConfigureAwait(false),
            _ => throw RegistryError.Unsupported($"{request.Method} is not possible here"),
        };
    }

    private async Task<HttpResponse> ManifestAsync(RegistryRoute route, HttpRequest request, CancellationToken cancellation)
    {
        if (IsRead(request))
        {
            if (_mirror is not null) await _mirror.EnsureManifestAsync(route.Repository, route.Rest, request, cancellation).ConfigureAwait(false);
            return await _manifests.GetAsync(route.Repository, route.Rest, request, cancellation).ConfigureAwait(false);
        }

        return request.Method switch
        {
            "PUT" => await _manifests.PutAsync(route.Repository, route.Rest, request, cancellation).ConfigureAwait(false),
            "DELETE" => await _manifests.DeleteAsync(route.Repository, route.Rest, cancellation).ConfigureAwait(false),
            _ => throw RegistryError.Unsupported($"{request.Method} is not possible on a manifest"),
        };
    }

    private async Task<HttpResponse> BlobAsync(RegistryRoute route, HttpRequest request, CancellationToken cancellation)
    {
        if (IsRead(request))
        {
            if (_mirror is not null && await _mirror.EnsureBlobAsync(route.Repository, route.Rest, request, cancellation).ConfigureAwait(false) is { } relayed) return relayed;
            return await _blobs.GetAsync(route.Repository, route.Rest, request, cancellation).ConfigureAwait(false);
        }

        return request.Method == "DELETE"
            ? await _blobs.DeleteAsync(route.Repository, route.Rest, cancellation).ConfigureAwait(false)
            : throw RegistryError.Unsupported($"{request.Method} is not possible on a blob");
    }

    private Task<HttpResponse> UploadAsync(RegistryRoute route, HttpRequest request, CancellationToken cancellation) => request.Method switch
    {
        "GET" or "HEAD" => _uploads.StatusAsync(route.Repository, route.Rest, cancellation),
        "PATCH" => _uploads.PatchAsync(route.Repository, route.Rest, request, cancellation),
        "PUT" => _uploads.PutAsync(route.Repository, route.Rest, request, cancellation),
        "DELETE" => _uploads.CancelAsync(route.Repository, route.Rest, cancellation),
        _ => throw RegistryError.Unsupported($"{request.Method} is not possible on an upload"),
    };

    private static RegistryAction ActionOf(RegistryRoute route, HttpRequest request) => route.Kind switch
    {
        RouteKind.Base => RegistryAction.Enter,
        RouteKind.Catalog => RegistryAction.Catalog,
        RouteKind.UploadStart or RouteKind.Upload => RegistryAction.Push,
        _ when IsRead(request) => RegistryAction.Pull,
        _ when request.Method == "DELETE" => RegistryAction.Delete,
        _ => RegistryAction.Push,
    };

    private void CheckWritable(RegistryAction action)
    {
        if (_mirror is not null) throw RegistryError.Unsupported("this registry is a mirror: push to the registry itself");
        if (_options.ReadOnly) throw RegistryError.Unsupported("this registry is read-only");
        if (action == RegistryAction.Delete && !_options.AllowDelete) throw RegistryError.Unsupported("this registry does not delete");
    }

    private HttpResponse Failure(HullException error)
    {
        if (error.Kind is ErrorKind.Internal or ErrorKind.DataCorrupted) _log(error.FullMessage);
        var status = error.Kind is ErrorKind.DataCorrupted ? 502 : ErrorMapping.ToHttpStatus(error.Kind);
        return new RegistryError(status, "UNKNOWN", error.FullMessage).ToResponse();
    }

    private async Task UpkeepAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(30), _clock);
        var collected = _clock.GetTimestamp();
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
            {
                await Task.Run(() => _store.Content.Unflushed.Flush(TimeSpan.FromMinutes(1), snapshotter: null), cancellation).ConfigureAwait(false);
                _sessions.Sweep(closeAfter: TimeSpan.FromMinutes(2), removeAfter: _options.UploadLifetime);
                if (_options.CollectInterval <= TimeSpan.Zero || _clock.GetElapsedTime(collected) < _options.CollectInterval) continue;
                collected = _clock.GetTimestamp();
                var result = await Collector.RunAsync(_options.GracePeriod, cancellation).ConfigureAwait(false);
                if (result.Blobs > 0) _log($"collected {result.Blobs} blobs, {result.Bytes} bytes");
            }
        }
        catch (OperationCanceledException)
        {
        }
        catch (Exception error) when (error is IOException or HullException or UnauthorizedAccessException)
        {
            _log($"upkeep failed: {error.Message}");
        }
    }

    private SslServerAuthenticationOptions? Tls()
    {
        if (_options.Certificate is not { } path) return null;
        try
        {
            var certificate = X509Certificate2.CreateFromPemFile(path, _options.CertificateKey ?? path);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(path);
            return new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true) };
        }
        catch (Exception error) when (error is IOException or System.Security.Cryptography.CryptographicException)
        {
            throw HullException.Invalid($"certificate {path} cannot be read", error);
        }
    }

    /// <summary>Two servers over one directory would collect each other's uploads.</summary>
    private static FileLock Own(string root) =>
        FileLock.TryAcquire(Path.Combine(root, "registry.lock")) ?? throw HullException.Conflict($"another registry serves {root}");

    private static bool IsRead(HttpRequest request) => request.Method is "GET" or "HEAD";

    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
}
