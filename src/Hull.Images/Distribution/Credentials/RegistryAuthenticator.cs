using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text.Json;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>
/// Answers the challenges of one endpoint: Basic (RFC 7617), or Bearer with tokens of the server that the challenge
/// names (distribution's token and OAuth 2 specifications). A token is asked for once per scope, however many
/// requests wait for it.
/// </summary>
internal sealed class RegistryAuthenticator(
    RegistryEndpoint endpoint, ICredentialSource credentials, RegistryConnections connections, TimeProvider clock) : IDisposable
{
    private const int MaximumTokenResponse = 1 << 20;

    /// <summary>What a token lives where its server does not say (token specification, "expires_in").</summary>
    private static readonly TimeSpan DefaultLifetime = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<string, Grant> _grants = new();
    private readonly SemaphoreSlim _asking = new(1, 1);
    private Task<RegistryCredential?>? _credential;

    private sealed record Grant(AuthenticationHeaderValue Header, DateTimeOffset Expires);

    /// <summary>The header known to be accepted for the scope, or null.</summary>
    public AuthenticationHeaderValue? HeaderFor(string scope) =>
        _grants.TryGetValue(scope, out var grant) && grant.Expires > clock.GetUtcNow() ? grant.Header : null;

    /// <summary>
    /// Gets a header for the scope from a 401's challenges. <paramref name="rejected"/> is the header that was refused;
    /// null is answered where there is nothing better to offer.
    /// </summary>
    public async Task<AuthenticationHeaderValue?> AnswerAsync(
        IReadOnlyList<AuthChallenge> challenges, string scope, AuthenticationHeaderValue? rejected, CancellationToken cancellation)
    {
        await _asking.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            // Another request may have got one while this one waited.
            if (HeaderFor(scope) is { } known && !known.Equals(rejected)) return known;
            var credential = await CredentialAsync(cancellation).ConfigureAwait(false);
            var grant = await AskAsync(challenges, scope, credential, cancellation).ConfigureAwait(false);
            if (grant is null || grant.Header.Equals(rejected)) return null;
            _grants[scope] = grant;
            return grant.Header;
        }
        finally
        {
            _asking.Release();
        }
    }

    public void Dispose() => _asking.Dispose();

    private Task<RegistryCredential?> CredentialAsync(CancellationToken cancellation) =>
        _credential ??= credentials.FindAsync(endpoint.CredentialDomain, cancellation);

    private async Task<Grant?> AskAsync(
        IReadOnlyList<AuthChallenge> challenges, string scope, RegistryCredential? credential, CancellationToken cancellation)
    {
        if (challenges.FirstOrDefault(challenge => challenge.IsBearer) is { } bearer)
        {
            if (credential?.RegistryToken is { Length: > 0 } ready) return Forever(new AuthenticationHeaderValue("Bearer", ready));
            return await TokenAsync(bearer, scope, credential, cancellation).ConfigureAwait(false);
        }

        if (!challenges.Any(challenge => challenge.IsBasic) || credential is not { Username.Length: > 0 }) return null;
        return Forever(AuthenticationHeaderValue.Parse(credential.Basic));
    }

    private static Grant Forever(AuthenticationHeaderValue header) => new(header, DateTimeOffset.MaxValue);

    private async Task<Grant> TokenAsync(AuthChallenge challenge, string scope, RegistryCredential? credential, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(challenge["realm"], UriKind.Absolute, out var realm))
            throw HullException.Corrupted($"registry {endpoint.Domain} names no token server that can be asked");
        var server = connections.Follow(endpoint, realm, "to its token server");
        using var request = TokenRequest(realm, challenge, scope, credential);
        HttpResponseMessage response;
        try
        {
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timer.CancelAfter(connections.Options.HeaderTimeout);
            response = await connections.For(server).SendAsync(request, timer.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new HullException(ErrorKind.Unavailable, $"token server {realm.Authority} of registry {endpoint.Domain} does not answer", error);
        }

        using (response) return await ReadTokenAsync(response, realm, credential, cancellation).ConfigureAwait(false);
    }

    private static HttpRequestMessage TokenRequest(Uri realm, AuthChallenge challenge, string scope, RegistryCredential? credential)
    {
        // What is needed is asked for, not what the challenge suggests: a registry must not widen the scope.
        var fields = new List<KeyValuePair<string, string>>();
        if (challenge["service"] is { } service) fields.Add(new("service", service));
        foreach (var part in scope.Split(' ', StringSplitOptions.RemoveEmptyEntries)) fields.Add(new("scope", part));
        if (credential?.IdentityToken is { Length: > 0 } refresh)
        {
            fields = [.. fields.Where(field => field.Key != "scope"), new("scope", scope), new("grant_type", "refresh_token"),
                new("refresh_token", refresh), new("client_id", "hull")];
            return new HttpRequestMessage(HttpMethod.Post, realm) { Content = new FormUrlEncodedContent(fields) };
        }

        if (credential is { Username.Length: > 0 }) fields.Add(new("account", credential.Username));
        var query = string.Join('&', fields.Select(field => field.Key + "=" + Uri.EscapeDataString(field.Value)));
        var address = new UriBuilder(realm) { Query = realm.Query.Length > 1 ? realm.Query[1..] + "&" + query : query };
        var request = new HttpRequestMessage(HttpMethod.Get, address.Uri);
        if (credential is { Username.Length: > 0 }) request.Headers.Authorization = AuthenticationHeaderValue.Parse(credential.Basic);
        return request;
    }

    private async Task<Grant> ReadTokenAsync(HttpResponseMessage response, Uri realm, RegistryCredential? credential, CancellationToken cancellation)
    {
        var what = $"answer of token server {realm.Authority}";
        var status = (int)response.StatusCode;
        if (status is 401 or 403)
        {
            throw new HullException(ErrorKind.Unauthenticated, credential is null
                ? $"registry {endpoint.Domain} wants a login: hull login {endpoint.Domain}"
                : $"registry {endpoint.Domain} refuses the {credential}: hull login {endpoint.Domain}");
        }

        if (status != 200) throw new HullException(status >= 500 || status == 429 ? ErrorKind.Unavailable : ErrorKind.Unauthenticated, $"{what}: HTTP status {status}");
        var body = await BoundedBody.ReadAllAsync(response, MaximumTokenResponse, connections.Options.IdleTimeout, what, cancellation).ConfigureAwait(false);
        try
        {
            var answer = JsonSerializer.Deserialize(body, DistributionJson.Default.TokenResponse);
            var token = answer?.Token is { Length: > 0 } first ? first : answer?.AccessToken;
            if (string.IsNullOrEmpty(token)) throw HullException.Corrupted($"{what}: there is no token in it");
            // A token is used a little shorter than it lives, so that it does not expire on the way.
            var lifetime = answer!.ExpiresIn is { } seconds and > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, 86400)) : DefaultLifetime;
            return new Grant(new AuthenticationHeaderValue("Bearer", token), clock.GetUtcNow() + lifetime * 0.9);
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw HullException.Corrupted($"{what} cannot be read", error);
        }
    }
}
