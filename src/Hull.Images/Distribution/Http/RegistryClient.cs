using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>A request to a registry that can be sent again: the content is made anew for every attempt.</summary>
internal sealed record RegistryRequest(HttpMethod Method, Uri Address, string Scope)
{
    /// <summary>Makes the body; <c>progress</c> is to be called whenever bytes went out.</summary>
    public Func<Action, HttpContent>? Content { get; init; }

    public IReadOnlyList<string> Accept { get; init; } = [];

    public RangeHeaderValue? Range { get; init; }

    /// <summary>False where a repetition could do harm or is done better by the caller: an upload continues where it broke.</summary>
    public bool Repeatable { get; init; } = true;

    /// <summary>False for addresses outside of the registry (foreign layers), which get no credentials, whatever they ask.</summary>
    public bool Authenticated { get; init; } = true;
}

/// <summary>
/// Sends requests to one endpoint: answers its challenges, follows its redirects without showing credentials to
/// another host, repeats what failed for reasons that pass, and turns what remains into one error.
/// </summary>
internal sealed class RegistryClient : IDisposable
{
    private const int MaximumRedirects = 5;
    private const int MaximumErrorBody = 64 << 10;

    private readonly RegistryConnections _connections;
    private readonly RegistryAuthenticator _authenticator;
    private readonly TimeProvider _clock;

    public RegistryClient(RegistryEndpoint endpoint, ICredentialSource credentials, RegistryConnections connections, TimeProvider clock)
    {
        Endpoint = endpoint;
        (_connections, _clock) = (connections, clock);
        _authenticator = new RegistryAuthenticator(endpoint, credentials, connections, clock);
    }

    public RegistryEndpoint Endpoint { get; }

    public TransportOptions Options => _connections.Options;

    /// <summary>
    /// Sends until there is an answer that is not a challenge, a redirect or a passing failure. The caller owns the
    /// answer, whatever its status.
    /// </summary>
    /// <exception cref="HullException"><see cref="ErrorKind.Unavailable"/> where the registry cannot be reached.</exception>
    public async Task<HttpResponseMessage> SendAsync(RegistryRequest request, CancellationToken cancellation)
    {
        var attempts = request.Repeatable ? Options.Attempts : 1;
        for (var attempt = 1; ; attempt++)
        {
            TimeSpan? wanted = null;
            try
            {
                var response = await AuthenticateAsync(request, cancellation).ConfigureAwait(false);
                if (!IsPassing(response.StatusCode) || attempt >= attempts) return response;
                wanted = response.Headers.RetryAfter?.Delta;
                response.Dispose();
            }
            catch (Exception error) when (IsConnectionFailure(error, cancellation))
            {
                if (attempt >= attempts || !IsWorthRepeating(error))
                    throw new HullException(ErrorKind.Unavailable, $"registry {Endpoint.Domain} cannot be reached at {request.Address.Authority}", Innermost(error));
            }

            await Task.Delay(Backoff(attempt, wanted), _clock, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Sends and answers with the response if its status is one of <paramref name="expected"/>; else throws what the registry said.</summary>
    public async Task<HttpResponseMessage> ExpectAsync(RegistryRequest request, string what, CancellationToken cancellation, params HttpStatusCode[] expected)
    {
        var response = await SendAsync(request, cancellation).ConfigureAwait(false);
        if (expected.Contains(response.StatusCode)) return response;
        using (response) throw await FailureAsync(response, what, cancellation).ConfigureAwait(false);
    }

    /// <summary>The error an answer means, with the registry's own words where it has some.</summary>
    public async Task<HullException> FailureAsync(HttpResponseMessage response, string what, CancellationToken cancellation)
    {
        var status = (int)response.StatusCode;
        var kind = status switch
        {
            401 => ErrorKind.Unauthenticated,
            403 => ErrorKind.PermissionDenied,
            404 => ErrorKind.NotFound,
            429 => ErrorKind.ResourceExhausted,
            405 or 415 or 501 => ErrorKind.Unsupported,
            >= 500 => ErrorKind.Unavailable,
            >= 400 => ErrorKind.InvalidArgument,
            _ => ErrorKind.Internal,
        };
        var words = await WordsAsync(response, cancellation).ConfigureAwait(false);
        var hint = status switch
        {
            401 => $": hull login {Endpoint.Domain}",
            413 => ": it, or a proxy before it, has a limit on the size of a request",
            429 => $": it limits how often a client may ask; wait, log in (hull login {Endpoint.Domain}) or use a mirror",
            _ => "",
        };
        return new HullException(kind, $"{what}: registry {Endpoint.Domain} answers {status}{(words.Length > 0 ? " " + words : "")}{hint}");
    }

    /// <summary>How long to wait before the next attempt: twice as long each time, within bounds, and not all clients at once.</summary>
    public TimeSpan Backoff(int attempt, TimeSpan? wanted = null)
    {
        var delay = wanted ?? Options.RetryDelay * Math.Pow(2, attempt - 1) * (0.75 + Random.Shared.NextDouble() / 2);
        return delay < TimeSpan.Zero ? TimeSpan.Zero : delay > Options.MaxRetryDelay ? Options.MaxRetryDelay : delay;
    }

    public static bool IsPassing(HttpStatusCode status) => (int)status is 408 or 429 or 500 or 502 or 503 or 504;

    public static bool IsConnectionFailure(Exception error, CancellationToken cancellation) =>
        error is HttpRequestException or IOException or System.Net.Sockets.SocketException
        || (error is OperationCanceledException && !cancellation.IsCancellationRequested);

    public void Dispose() => _authenticator.Dispose();

    /// <summary>A name that does not exist and a certificate that is not trusted stay so.</summary>
    private static bool IsWorthRepeating(Exception error) =>
        error is not HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError };

    private static Exception Innermost(Exception error)
    {
        while (error.InnerException is not null) error = error.InnerException;
        return error;
    }

    private async Task<HttpResponseMessage> AuthenticateAsync(RegistryRequest request, CancellationToken cancellation)
    {
        if (!request.Authenticated) return await FollowAsync(request, null, cancellation).ConfigureAwait(false);
        var header = _authenticator.HeaderFor(request.Scope);
        var response = await FollowAsync(request, header, cancellation).ConfigureAwait(false);
        // Twice: a token may have expired or have been too narrow, and the fresh one is refused only for good.
        for (var round = 0; round < 2 && response.StatusCode == HttpStatusCode.Unauthorized; round++)
        {
            var challenges = response.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var values)
                ? values.SelectMany(AuthChallenge.Parse).ToList()
                : [];
            var better = await _authenticator.AnswerAsync(challenges, request.Scope, header, cancellation).ConfigureAwait(false);
            if (better is null) return response;
            response.Dispose();
            header = better;
            response = await FollowAsync(request, header, cancellation).ConfigureAwait(false);
        }

        return response;
    }

    private async Task<HttpResponseMessage> FollowAsync(RegistryRequest request, AuthenticationHeaderValue? header, CancellationToken cancellation)
    {
        var address = request.Address;
        for (var redirects = 0; ; redirects++)
        {
            var target = _connections.Follow(Endpoint, address, "a request");
            var shown = RegistryConnections.SameHost(Endpoint.Base, address) ? header : null;
            var response = await SendOnceAsync(target, address, request, shown, cancellation).ConfigureAwait(false);
            var moved = (int)response.StatusCode is 301 or 302 or 303 or 307 or 308;
            if (!moved || response.Headers.Location is not { } location) return response;
            // A body is only sent to another place where the status says that the method stays (RFC 9110, 15.4).
            if (request.Content is not null && (int)response.StatusCode is not (307 or 308)) return response;
            response.Dispose();
            if (redirects >= MaximumRedirects) throw HullException.Corrupted($"registry {Endpoint.Domain} redirects more than {MaximumRedirects} times");
            address = new Uri(address, location);
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(
        RegistryEndpoint target, Uri address, RegistryRequest request, AuthenticationHeaderValue? header, CancellationToken cancellation)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timer.CancelAfter(Options.HeaderTimeout);
        using var message = new HttpRequestMessage(request.Method, address) { Version = HttpVersion.Version11 };
        message.Headers.UserAgent.ParseAdd("hull/0.1");
        message.Headers.Authorization = header;
        message.Headers.Range = request.Range;
        foreach (var type in request.Accept) message.Headers.Accept.ParseAdd(type);
        // While an upload moves, its answer is not late.
        message.Content = request.Content?.Invoke(() => timer.CancelAfter(Options.HeaderTimeout));
        return await _connections.For(target).SendAsync(message, timer.Token).ConfigureAwait(false);
    }

    private async Task<string> WordsAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        try
        {
            var body = await BoundedBody.ReadAllAsync(response, MaximumErrorBody, Options.IdleTimeout, "error", cancellation).ConfigureAwait(false);
            var first = JsonSerializer.Deserialize(body, DistributionJson.Default.RegistryErrors)?.Errors?.FirstOrDefault();
            return RegistryConnections.Clean(first?.Message is { Length: > 0 } message ? message : first?.Code ?? "");
        }
        catch (Exception error) when (error is JsonException or HullException || IsConnectionFailure(error, cancellation))
        {
            return "";
        }
    }
}
