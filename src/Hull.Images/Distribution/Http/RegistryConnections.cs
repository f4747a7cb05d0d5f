using System.Collections.Concurrent;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>The open connections of one transfer, by address, so that parallel requests share their pools.</summary>
internal sealed class RegistryConnections(RegistriesConfig config, TransportOptions options) : IDisposable
{
    private readonly ConcurrentDictionary<(string Authority, bool Insecure), Lazy<HttpMessageInvoker>> _invokers = new();

    public TransportOptions Options { get; } = options;

    public HttpMessageInvoker For(RegistryEndpoint endpoint) =>
        _invokers.GetOrAdd((endpoint.Base.GetLeftPart(UriPartial.Authority), endpoint.Insecure),
            _ => new Lazy<HttpMessageInvoker>(() => RegistryTransport.Create(endpoint, Options))).Value;

    /// <summary>
    /// The endpoint of an address that <paramref name="origin"/> pointed to: a redirect's target or a token server.
    /// Another host is judged by its own settings, and nobody is led from TLS to plain text.
    /// </summary>
    public RegistryEndpoint Follow(RegistryEndpoint origin, Uri target, string what)
    {
        if (target.Scheme is not ("http" or "https"))
            throw HullException.Corrupted($"registry {origin.Domain} points {what} to an address that is not http: {Clean(target.ToString())}");
        if (SameHost(origin.Base, target)) return origin;
        var settings = config.For(target.Authority);
        var insecure = settings.Insecure || (origin.Base.Scheme == "http" && target.Scheme == "http");
        if (target.Scheme == "http" && !insecure && !(origin.Insecure && RegistryEndpoint.IsLoopback(target.Authority)))
            throw HullException.Corrupted($"registry {origin.Domain} points {what} from TLS to plain HTTP at {target.Authority}: refused");
        return new RegistryEndpoint(new Uri(target.GetLeftPart(UriPartial.Authority)), "", target.Authority, IsMirror: false, insecure, settings);
    }

    /// <summary>Whether credentials for <paramref name="first"/> may be sent to <paramref name="second"/>.</summary>
    public static bool SameHost(Uri first, Uri second) =>
        first.Scheme == second.Scheme && first.Port == second.Port && first.IdnHost.Equals(second.IdnHost, StringComparison.OrdinalIgnoreCase);

    /// <summary>A stranger's text fit for a terminal: without control characters, and short.</summary>
    public static string Clean(string text)
    {
        var shown = text.Length <= 200 ? text : text[..200] + "…";
        return string.Concat(shown.Select(c => char.IsControl(c) ? ' ' : c)).Trim();
    }

    public void Dispose()
    {
        foreach (var invoker in _invokers.Values)
        {
            if (invoker.IsValueCreated) invoker.Value.Dispose();
        }
    }
}
